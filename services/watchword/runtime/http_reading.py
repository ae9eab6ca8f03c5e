"""Takes a request apart: body, query and the headers that handlers are given. Every fault is a Problem."""

import asyncio
import re
import secrets
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from watchword.runtime.problems import FieldError, Problem
from watchword.runtime.strict_json import decode, field_error

QUERY_NAMES_MAX = 32
IDEMPOTENCY_HEADER = "Idempotency-Key"

S = TypeVar("S", bound=msgspec.Struct)

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_JSON_TYPE = re.compile(r'application/json(?:\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)


def traceparent(request: web.BaseRequest) -> str:
    """The traceparent (W3C) that came with the request, "" if there is none or it cannot be read."""
    given = request.headers.get("traceparent", "")
    return given if given and _TRACEPARENT.fullmatch(given) else ""


def trace_id_of(request: web.BaseRequest) -> str:
    """The trace the request belongs to, or a new one: 32 hex digits."""
    given = _TRACEPARENT.fullmatch(traceparent(request))
    return given[1] if given else secrets.token_hex(16)


def idempotency_key(request: web.BaseRequest) -> str:
    """The Idempotency-Key, "" if there is none. Raises Problem malformed_header."""
    keys = request.headers.getall(IDEMPOTENCY_HEADER, ())
    if not keys:
        return ""
    if len(keys) > 1 or not _IDEMPOTENCY_KEY.fullmatch(keys[0]):
        fault = FieldError(pointer=f"header:{IDEMPOTENCY_HEADER}", detail="It is 1 to 200 visible ASCII characters.")
        raise Problem("malformed_header", errors=(fault,))
    return keys[0]


async def read(request: web.BaseRequest, *, bytes_max: int, within_s: float) -> bytes:
    """The body as it came. Raises Problem: body_too_large, request_timeout or malformed_request."""
    if (request.content_length or 0) > bytes_max:
        raise Problem("body_too_large")
    if request.content.is_eof() and request.content.exception() is None:  # it came with its headers, as most do
        whole = request.content.read_nowait(-1)
        if len(whole) > bytes_max:
            raise Problem("body_too_large")
        return whole
    found = bytearray()
    try:
        async with asyncio.timeout(within_s):
            while part := await request.content.readany():
                found += part
                if len(found) > bytes_max:
                    raise Problem("body_too_large")
    except TimeoutError:
        raise Problem("request_timeout") from None
    except (web.RequestPayloadError, ConnectionError):
        raise Problem("malformed_request") from None
    return bytes(found)


def body(raw: bytes, struct: type[S], request: web.BaseRequest) -> S:
    """The body as a struct. Raises Problem: unsupported_media_type, or what `strict_json.decode` raises."""
    encoded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
    if encoded or (raw and not _JSON_TYPE.fullmatch(request.headers.get("Content-Type", "").strip())):
        raise Problem("unsupported_media_type")
    return decode(raw, struct)


def query(request: web.BaseRequest, struct: type[S]) -> S:
    """The query as a struct. Raises Problem malformed_query."""
    try:
        pairs = parse_qsl(
            request.rel_url.raw_query_string, keep_blank_values=True, strict_parsing=True, max_num_fields=32,
            errors="strict",
        ) if request.rel_url.raw_query_string else []  # fmt: skip
    except ValueError:
        raise Problem("malformed_query") from None
    given = dict(pairs)
    if len(given) != len(pairs) or any("\0" in value for value in given.values()):
        raise Problem("malformed_query")
    try:
        return msgspec.convert(given, struct, strict=False)
    except msgspec.ValidationError as error:
        fault = field_error(str(error))
        named = FieldError(pointer=f"query:{fault.pointer.lstrip('/')}", detail=fault.detail)
        raise Problem("malformed_query", errors=(named,)) from None
