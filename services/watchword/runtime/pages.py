"""The pages that problem types lead to: what happened, and what to do about it."""

from html import escape

from watchword.runtime.problems import PROBLEMS, Problem

OPENAPI = "/openapi.json"
PROBLEM_PAGES = "/problems/{code}"

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}</style>
<h1>{title}</h1><p>Status {status}, code <code>{code}</code>.</p><p>{remedy}</p></html>
"""


def problem_page(code: str) -> bytes:
    """The page of one problem type. Raises Problem not_found for a code that does not exist."""
    kind = PROBLEMS.get(code)
    if kind is None:
        raise Problem("not_found")
    return _PAGE.format(
        title=escape(kind.title), status=kind.status, code=escape(code), remedy=escape(kind.remedy)
    ).encode()
