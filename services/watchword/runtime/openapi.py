"""OpenAPI 3.1 of a door, made from the route table alone: what is not in the table is not served."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol

import msgspec

from watchword.runtime.problems import CONTENT_TYPE, PROBLEMS, FieldError

_ALWAYS = ("malformed_request", "header_too_large", "overloaded", "unavailable", "internal")
_WITH_ANY_BODY = ("body_too_large", "request_timeout")
_WITH_BODY = ("malformed_json", "malformed_body", "empty_body", "unsupported_media_type", *_WITH_ANY_BODY)
_WITH_KEY = ("malformed_header",)
_END_IN_PYTHON, _END = r"\Z", "$"  # JSON Schema has the regular expressions of ECMA-262, where \Z is the letter
_WITH_SCOPE = ("unauthenticated", "forbidden_scope")
_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")


class Operation(Protocol):
    """What a route says of itself."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def request(self) -> type[Any] | None: ...
    @property
    def query(self) -> type[msgspec.Struct] | None: ...
    @property
    def responses(self) -> Mapping[int, Any]: ...
    @property
    def problems(self) -> tuple[str, ...]: ...
    @property
    def scope(self) -> str: ...
    @property
    def idempotent(self) -> bool: ...
    @property
    def waits(self) -> bool: ...


class ProblemDocument(msgspec.Struct, kw_only=True):
    """A problem as it is answered (RFC 9457). Some have further members, such as next_send_at or trace_id."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldError] = []
    retry_after_s: float | None = None


def document(title: str, routes: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI document of the routes."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    components = _in_ecma(components)
    known = dict(zip(types, map(_in_ecma, schemas), strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, known, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("watchword")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "wwk_live_…"}},
        },
    }


def _types(routes: Iterable[Operation]) -> list[Any]:
    """Every struct that is named, once, in order."""
    found: dict[Any, None] = {ProblemDocument: None}
    for route in routes:
        for one in (route.request, route.query, *route.responses.values()):
            if one is not None and one is not bytes:
                found.setdefault(one)
    return list(found)


def _in_ecma(schema: Any) -> Any:
    """A schema whose patterns end as everybody reads it, at whatever depth they stand."""
    if isinstance(schema, list):
        return [_in_ecma(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: one.replace(_END_IN_PYTHON, _END) if name == "pattern" and isinstance(one, str) else _in_ecma(one)
        for name, one in schema.items()
    }


def _operation(route: Operation, known: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": _parameters(route, components),
        "responses": {**_answers(route, known), **_problem_answers(route)},
    }
    if route.scope:
        told["security"] = [{"apiKey": [route.scope]}]
    if route.request is bytes:
        told["requestBody"] = {"content": {"*/*": {}}}
    elif route.request is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": known[route.request]}}}
    return told


def _parameters(route: Operation, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        schema = components[route.query.__name__]
        found += [
            {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": one}
            for name, one in schema["properties"].items()
        ]
    if route.idempotent:
        key_schema = {"type": "string", "pattern": "^[!-~]{1,200}$"}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": key_schema})
    if route.waits:
        words = "wait=N: answer when the outcome is known, or after N seconds (RFC 7240)."
        wait_schema = {"type": "string"}
        found.append({"name": "Prefer", "in": "header", "required": False, "schema": wait_schema, "description": words})
    return found


def _answers(route: Operation, known: Mapping[Any, Any]) -> dict[str, Any]:
    answers = {}
    for status, struct in route.responses.items():
        content = {"content": {"application/json": {"schema": known[struct]}}} if struct is not None else {}
        answers[str(status)] = {"description": "As asked.", **content}
    return answers


def _problem_answers(route: Operation) -> dict[str, Any]:
    codes = [*_ALWAYS, *route.problems, *(_WITH_SCOPE if route.scope else ())]
    if route.request is not None:
        codes += _WITH_ANY_BODY if route.request is bytes else _WITH_BODY
    codes += _WITH_KEY if route.idempotent else ()
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    content = {CONTENT_TYPE: {"schema": {"$ref": _REF.format(name=ProblemDocument.__name__)}}}
    return {
        str(status): {"description": f"One of: {', '.join(named)}.", "content": content}
        for status, named in sorted(by_status.items())
    }
