"""The table of test_bad_answers.py: what is answered, through which gateway, and what that means."""

import gzip
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.support.scripted import Answer, http

TIMEOUT_MS: Final = 3_000
TEN_MEGABYTES: Final = 10 * 1024 * 1024
SID: Final = "SM0123456789abcdef0123456789abcdef"
TAKEN: Final = b'{"id": "m-1"}'
PAGE: Final = b"<!doctype html><html><body><h1>Sign in to go on</h1></body></html>"


class Follows(StrEnum):
    """What an answer leads to: the state that the attempt comes to."""

    FAILOVER = "deferred"  # it says that nothing was sent: another account sends it at once
    NOTHING = "unknown"  # it may have been sent: nobody else sends it now
    RECEIPT = "accepted"
    END = "rejected"  # no account could send it


ACCOUNTS: Final = {
    "template": """
gateway = "template"
secrets = {key = "k"}
[accounts.options]
path = "/send"
content_type = "application/json"
body = '{"to": "{to}", "text": "{text}"}'
id = "/id"
error = "/error"
""",
    "twilio": """
gateway = "twilio"
secrets = {token = "t"}
options = {account_sid = "AC1"}
""",
    "kannel": """
gateway = "kannel"
secrets = {token = "t"}
options = {username = "shop"}
""",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One bad answer. `outcome` and `reason` are the class and the word that stand in the attempt's row; where a part
    of an answer may come before the rest of it or with it, the reason is one of two, "a|b"."""

    name: str
    answer: Answer
    outcome: str
    reason: str
    follows: Follows
    gateway: str = "template"
    provider_id: str = ""


def chunked(body: bytes) -> bytes:
    """An answer in chunks that are not as they should be."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


def _unknown(name: str, answer: Answer, reason: str = "200", gateway: str = "template") -> Case:
    return Case(name, answer, "ambiguous", reason, Follows.NOTHING, gateway)


def _not_sent(name: str, answer: Answer, outcome: str, reason: str, gateway: str = "template") -> Case:
    return Case(name, answer, outcome, reason, Follows.FAILOVER, gateway)


def _taken(name: str, answer: Answer, provider_id: str, reason: str = "200", gateway: str = "template") -> Case:
    return Case(name, answer, "accepted", reason, Follows.RECEIPT, gateway, provider_id)


_PAGES = (
    *(
        _unknown(f"page-{gateway}", Answer(http(PAGE, kind="text/html")), gateway=gateway)
        for gateway in ("template", "twilio", "kannel")
    ),
    *(
        _not_sent(
            f"page-503-{gateway}", Answer(http(PAGE, status="503 Down", kind="text/html")), "temporary", "503", gateway
        )
        for gateway in ("template", "twilio", "kannel")
    ),
    _unknown("page-500", Answer(http(PAGE, status="500 Oops", kind="text/html")), "500"),
    _not_sent("page-404", Answer(http(PAGE, status="404 Not Found", kind="text/html")), "configuration", "404"),
    _unknown("done-see-elsewhere", Answer(http(status="303 See Other", more="Location: /elsewhere\r\n")), "303"),
    _not_sent("redirect", Answer(http(status="302 Found", more="Location: /elsewhere\r\n")), "configuration", "302"),
    _not_sent(
        "slow-down-for-ever",
        Answer(http(status="429 Slow", more="Retry-After: 99999999999999999999\r\n")),
        "throttled",
        "429",
    ),
)
_BROKEN = (
    _unknown("cut", Answer(http(TAKEN, length=100)), "ClientPayloadError"),
    _unknown("cut-by-reset", Answer(http(TAKEN, length=100), reset=True), "ClientPayloadError|ClientOSError"),
    _unknown("cut-refusal", Answer(http(b"no", status="400 Bad", length=100)), "ClientPayloadError"),
    _unknown("shorter-than-told", Answer(http(TAKEN, length=100), stays=True), "TimeoutError"),
    _unknown("broken-chunk", Answer(chunked(b'5\r\n{"id"\r\nzz\r\n')), "ClientPayloadError|ClientResponseError"),
    _unknown("chunk-cut", Answer(chunked(b"ff\r\n" + TAKEN)), "ClientPayloadError"),
    _unknown("chunks-never-end", Answer(chunked(b"d\r\n" + TAKEN + b"\r\n"), stays=True), "TimeoutError"),
    _unknown("hangs-up", Answer(), "ServerDisconnectedError"),
    _unknown("reset", Answer(reset=True), "ClientOSError|ServerDisconnectedError"),
    _unknown("never", Answer(stays=True), "TimeoutError"),
    _unknown("never-kannel", Answer(stays=True), "TimeoutError", "kannel"),
    _unknown("drips", Answer(b"HTTP/1.1 200 OK\r\n", b"X", pause_s=0.05), "TimeoutError"),
    _unknown("no-http", Answer(b"SSH-2.0-OpenSSH_9.6\r\n"), "ClientResponseError"),
    _unknown("two-lengths", Answer(http(TAKEN, more="Content-Length: 3\r\n")), "ClientResponseError"),
    _unknown("nothing-in-it", Answer(b"HTTP/1.1 204 No Content\r\n\r\n"), "204"),
)
_LARGE = (
    _unknown("ten-megabytes", Answer(http(TAKEN + b" " * TEN_MEGABYTES))),
    _unknown("endless-body", Answer(http(length=1 << 40), again=b"x" * 65_536)),
    _unknown("endless-head-line", Answer(b"HTTP/1.1 200 OK\r\nX-Long: ", again=b"x" * 65_536), "ClientResponseError"),
    _unknown("endless-heads", Answer(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 500), "ClientResponseError"),
    _unknown(
        "endless-trailers", Answer(chunked(b"0\r\n"), b"X-More: x\r\n" * 500), "ClientPayloadError|ClientResponseError"
    ),
    _unknown("bomb", Answer(http(gzip.compress(b" " * TEN_MEGABYTES + TAKEN), more="Content-Encoding: gzip\r\n"))),
    _unknown("packed-unasked", Answer(http(gzip.compress(TAKEN), more="Content-Encoding: gzip\r\n"))),
    _unknown("deep", Answer(http(b"[" * 60_000))),
    _unknown("id-of-ten-kilobytes", Answer(http(b'{"id": "' + b"9" * 10_240 + b'"}'))),
    _unknown("id-of-ten-kilobytes-twilio", Answer(http(b'{"sid": "' + b"9" * 10_240 + b'"}')), gateway="twilio"),
)
_READABLE = (
    _not_sent("error-at-200", Answer(http(b'{"error": "no_money"}')), "temporary", "no_money"),
    Case("error-at-200-twilio", Answer(http(b'{"code": 21211}')), "destination", "21211", Follows.END, "twilio"),
    _not_sent(
        "error-at-200-kannel",
        Answer(http(b"Authorization failed for sendsms")),
        "account",
        "Authorization_failed_for_sendsms",
        "kannel",
    ),
    _unknown("error-and-id", Answer(http(b'{"id": "m-1", "error": "no_money"}')), "no_money"),
    _unknown("error-and-id-twilio", Answer(http(f'{{"sid": "{SID}", "code": 39999}}'.encode())), "39999", "twilio"),
    _unknown("no-id", Answer(http(b"{}"))),
    _unknown("id-empty", Answer(http(b'{"id": ""}'))),
    _unknown("id-null", Answer(http(b'{"id": null}'))),
    _unknown("id-null-twilio", Answer(http(b'{"sid": null}')), gateway="twilio"),
    _unknown("id-true", Answer(http(b'{"id": true}'))),
    _unknown("id-in-a-list", Answer(http(b'{"id": ["m-1"]}'))),
    _unknown("null", Answer(http(b"null"))),
    _unknown("no-utf-8", Answer(http(b'{"id": "\xff\xfe"}'))),
    _unknown("no-utf-8-kannel", Answer(http(b"0: Accepted for delivery\xff")), gateway="kannel"),
    _unknown("empty-kannel", Answer(http()), gateway="kannel"),
    _taken("id-a-number", Answer(http(b'{"id": 12345}')), "12345"),
    _taken("id-a-number-twilio", Answer(http(b'{"sid": 12345}')), "12345", "unfamiliar_id", "twilio"),
    _taken("wrong-type", Answer(http(TAKEN, kind="text/html; charset=utf-16")), "m-1"),
    _taken(
        "wrong-type-kannel", Answer(http(b"0: Accepted for delivery", kind="application/json")), "", "200", "kannel"
    ),
    _taken("no-utf-8-in-the-head", Answer(http(TAKEN, more="X-Name: \xff\xfe\r\n")), "m-1"),
)
ENDLESS: Final = tuple(case.name for case in _LARGE if case.answer.again)
CASES: Final = (*_PAGES, *_BROKEN, *_LARGE, *_READABLE)
