"""The pages of a door about itself: what it serves, and what each type of problem means."""

from collections.abc import Iterable
from html import escape

from watchword.runtime.openapi import Operation
from watchword.runtime.problems import PROBLEMS, Problem

DOCS = "/docs"
HTML = {"Content-Type": "text/html; charset=utf-8"}

OPENAPI = "/openapi.json"
PROBLEM_PAGES = "/problems/{code}"

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem}}
td,th{{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}}</style>
<h1>{title}</h1>{content}</html>
"""
_PROBLEM = "<p>Status {status}, code <code>{code}</code>.</p><p>{remedy}</p>"
_HEAD = "<table><tr><th>Call<th>Scope<th>Meaning<th>Problems"
_ROW = "<tr><td><code>{method} {path}</code><td>{scope}<td>{summary}<td>{problems}"


def problem_page(code: str) -> bytes:
    """The page of one problem type. Raises Problem not_found for a code that does not exist."""
    kind = PROBLEMS.get(code)
    if kind is None:
        raise Problem("not_found")
    content = _PROBLEM.format(status=kind.status, code=escape(code), remedy=escape(kind.remedy))
    return _PAGE.format(title=escape(kind.title), content=content).encode()


def docs_page(title: str, routes: Iterable[Operation]) -> bytes:
    """One line a route: how to call it, which scope it needs, what it may answer besides the usual."""
    rows = [
        _ROW.format(
            method=route.method,
            path=escape(route.path),
            scope=escape(route.scope or "-"),
            summary=escape(route.summary),
            problems=" ".join(f'<a href="/problems/{code}">{code}</a>' for code in route.problems),
        )
        for route in routes
    ]
    content = f'<p>The full description is <a href="{OPENAPI}">openapi.json</a>.</p>{_HEAD}{"".join(rows)}</table>'
    return _PAGE.format(title=escape(title), content=content).encode()
