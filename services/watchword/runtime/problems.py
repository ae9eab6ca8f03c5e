"""Every error an HTTP door can answer: RFC 9457 problems with stable words, listed once.

A code never changes its meaning. Details are written for the caller's developer and repeat nothing that the caller
sent: not a number, not a code, not a key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import msgspec

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of problem: HTTP status, short title, and what the caller can do about it."""

    status: int
    title: str
    remedy: str


PROBLEMS: Mapping[str, Kind] = {
    # The request as such
    "malformed_request": Kind(400, "The request is not HTTP as we read it", "Send a well-formed HTTP/1.1 request."),
    "malformed_json": Kind(400, "The body is not JSON", "Send one JSON object in UTF-8 and no name twice in it."),
    "malformed_body": Kind(
        400, "The body is not of the expected form", "See errors[] for the fields, openapi.json for the form."
    ),
    "malformed_query": Kind(400, "The query is not of the expected form", "See errors[] for the names."),
    "malformed_header": Kind(400, "A header is not of the expected form", "See errors[] for the header."),
    "empty_body": Kind(400, "The body is empty", "Send a JSON object; {} where nothing needs to be said."),
    "request_timeout": Kind(408, "The request took too long to arrive", "Send the whole request at once."),
    "body_too_large": Kind(413, "The body is too large", "Send at most 16 KiB."),
    "unsupported_media_type": Kind(
        415, "The body is not of a type we read", "Send Content-Type: application/json, uncompressed."
    ),
    "header_too_large": Kind(431, "The request line or a header is too large", "Send at most 8 KiB in each."),
    "not_found": Kind(404, "There is nothing here", "Check the address and that the id belongs to your tenant."),
    "method_not_allowed": Kind(405, "The method is not allowed here", "See the Allow header."),
    # Who is asking
    "unauthenticated": Kind(
        401, "The request carries no usable API key", "Send Authorization: Bearer and a live API key."
    ),
    "forbidden_scope": Kind(403, "The API key may not do this", "Use a key with the scope that openapi.json names."),
    "signature_invalid": Kind(
        403, "The signature does not fit", "Sign with the secret agreed for this account, and lately."
    ),
    "forbidden_plaintext": Kind(403, "This door is for HTTPS", "Come through the proxy that ends TLS for it."),
    # What is asked
    "number_invalid": Kind(422, "The number is not a phone number", "Send E.164, such as +919876543210."),
    "number_type_refused": Kind(422, "Numbers of this type are not sent to", "Ask the user for a mobile number."),
    "country_not_permitted": Kind(
        403, "The tenant does not send to this country", "Add the country to the tenant's list."
    ),
    "blocked": Kind(403, "The request was judged to be abuse", "Do not repeat it; the user may try another way."),
    "policy_unknown": Kind(422, "There is no such policy", "Name a policy that was applied for the tenant."),
    "template_unknown": Kind(422, "There is no such template", "Name a template that was applied for the tenant."),
    "policy_bounds": Kind(
        422, "A value is outside what the policy allows", "See errors[] for the field and the bounds."
    ),
    "channel_unsupported": Kind(422, "The channel is not supported", "Use sms."),
    "code_refused": Kind(
        422, "The code cannot be used", "Send as many ASCII digits as the policy says, where it permits own codes."
    ),
    "cursor_invalid": Kind(400, "The cursor is not one of ours", "Take next_cursor from an answer, unchanged."),
    # What is in the way
    "idempotency_mismatch": Kind(
        422, "The Idempotency-Key was used for another body", "Use a new key for a new request."
    ),
    "idempotency_in_progress": Kind(
        409, "A request with this Idempotency-Key is under way", "Repeat it a little later."
    ),
    "conflict": Kind(409, "The request came between two others", "Repeat it."),
    "verification_live": Kind(409, "Another verification of this number is live", "Cancel it, or wait until it ends."),
    "ended": Kind(410, "The verification has ended", "Start a new one."),
    "cooldown": Kind(429, "It is too early to send again", "Wait until next_send_at."),
    "sends_exhausted": Kind(
        429, "No sends are left for this verification", "Check the code that was sent, or start anew later."
    ),
    "rate_limited": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "number_limited": Kind(429, "Too much was asked of this number", "Wait as long as Retry-After says."),
    # What is wrong here
    "internal": Kind(500, "Something is wrong on our side", "Report the trace_id."),
    "unavailable": Kind(
        503, "The service cannot answer now", "Repeat with the same Idempotency-Key after Retry-After."
    ),
    "overloaded": Kind(
        503, "The service has more to do than it can", "Repeat with the same Idempotency-Key after Retry-After."
    ),
}


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `pointer` is a JSON Pointer (RFC 6901) into the body, or "header:Name" or "query:name"."""

    pointer: str
    detail: str


class Problem(Exception):
    """Raised by a handler to answer with a problem. `members` are further fields of the answer, such as
    `next_send_at`; `headers` further headers."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after_s: float | None = None,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.kind = PROBLEMS[code]
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        self.members = dict(members or {})
        self.own_headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.kind.status

    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        headers = {"Content-Type": CONTENT_TYPE, **self.own_headers}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, ceil(self.retry_after_s)))
        return headers

    def body(self) -> bytes:
        """The answer's body."""
        told: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.kind.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail or self.kind.remedy,
            **self.members,
        }
        if self.errors:
            told["errors"] = self.errors
        if self.retry_after_s is not None:
            told["retry_after_s"] = round(self.retry_after_s, 3)
        return msgspec.json.encode(told)
