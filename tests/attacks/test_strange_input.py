"""Strange spellings: numbers under an alias, codes in other digits, paths and methods that look like ours.

What is no JSON, no UTF-8, too deep or too large: tests/contract/runtime/test_http_hostile.py. Codes in strange
digits, and bodies of the wrong types: HOSTILE in tests/pipeline/test_checks.py and test_intake.py.
"""

import asyncio
from collections.abc import Sequence

import orjson

from tests.attacks.adapter import Answered, Target
from tests.support.platform import fresh_number

PROBLEM = "application/problem+json"
OURS = "/v1/verifications"


def aliases(number: str) -> list[str]:
    """Ways to write one Indian number that people use."""
    digits = number.removeprefix("+91")
    groups = f"{digits[:5]} {digits[5:]}"
    return [
        number,
        digits,
        f"0{digits}",
        f"0091{digits}",
        f"91{digits}",
        f"+91 {groups}",
        f"+91-{digits[:3]}-{digits[3:6]}-{digits[6:]}",
        f"(+91) {groups}".replace("(+91)", "+91"),
        f"+91 (0) {groups}",
        f"+91.{digits}",
        f"0 {groups}",
    ]


def disguises(number: str) -> dict[str, str]:
    """Texts that some library somewhere would take for the number; here each is refused."""
    digits = number.removeprefix("+")
    return {
        "full-width digits": "+" + "".join(chr(0xFF10 + int(digit)) for digit in digits),
        "Arabic digits": "+" + "".join(chr(0x0660 + int(digit)) for digit in digits),
        "Devanagari digits": "+" + "".join(chr(0x0966 + int(digit)) for digit in digits),
        "full-width plus": f"\uff0b{digits}",
        "zero-width space": f"+91\u200b{digits[2:]}",
        "right-to-left mark": f"\u200f+{digits}",
        "no-break space": f"+91\u00a0{digits[2:]}",
        "leading newline": f"\n+{digits}",
        "trailing newline": f"+{digits}\n",
        "leading space": f" +{digits}",
        "tab": f"+91\t{digits[2:]}",
        "extension": f"+{digits}x12",
        "extension in words": f"+{digits};ext=12",
        "pause": f"+{digits},,12",
        "tel URI": f"tel:+{digits}",
        "sip URI": f"sip:+{digits}@example.org",
        "vanity letters": f"+91{digits[2:6]}CALLME",
        "two numbers": f"+{digits},+{digits}",
        "two numbers in lines": f"+{digits}\r\n+{digits}",
        "two pluses": f"++{digits}",
        "exponent": "+9.197e11",
        "hexadecimal": hex(int(digits)),
        "underscores": f"+91_{digits[2:]}",
        "asterisk": f"+{digits}*",
        "over-long": f"+{digits}" + "0" * 40,
        "only spaces": "    ",
        "SQL": f"+{digits}' OR '1'='1",
    }


async def test_aliases_of_a_number_are_one_number_with_one_live_verification(target: Target) -> None:
    number = fresh_number()
    begun = await target.start(number, policy="patient")
    told = await asyncio.gather(*(target.start(alias, policy="patient") for alias in aliases(number)))
    for alias, answered in zip(aliases(number), told, strict=True):
        assert (answered.word, answered.id) == ("cooldown", begun.id), alias
    await target.code_on(number)
    assert len(await target.phones.inbox(number)) == 1


async def test_disguised_numbers_are_refused_and_not_repeated(target: Target) -> None:
    number = fresh_number()
    bodies = disguises(number)
    told = await asyncio.gather(
        *(target.start(text) for text in bodies.values()),
        *(target.send("POST", "/send-otp", {"mobile": text}) for text in bodies.values()),
        *(target.send("POST", "/verify-otp", {"mobile": text, "otp": "4930215555"}) for text in bodies.values()),
    )
    for name, answered in zip(list(bodies) * 3, told, strict=True):
        assert answered.status in (400, 422), (name, answered)
        assert answered.headers["Content-Type"] == PROBLEM, name
        assert number[-6:].encode() not in answered.body, name
    assert await target.phones.inbox(number) == []


async def test_json_that_reads_in_two_ways_is_read_in_neither(target: Target) -> None:
    """Each of these is one number to one parser and another number to another."""
    first, second = fresh_number(), fresh_number()
    bodies = [
        f'{{"to":"{first}","to":"{second}"}}',
        f'{{"to":"{first}","\\u0074o":"{second}"}}',
        f'{{"to":"{first}","To":"{second}"}}',
        f'{{"to":"{first}","to\\u0000":"{second}"}}',
        f'{{"to":"{first}"}}{{"to":"{second}"}}',
        f'[{{"to":"{first}"}}]',
        f'{{"to":["{first}","{second}"]}}',
        f'{{"to":"{first}" /* "to":"{second}" */}}',
        f'{{"to":"{first}",}}',
        f"{{'to':'{first}'}}",
        f'\ufeff{{"to":"{first}"}}',
        f'{{"to":"{first}","to ":"{second}"}}',
        f'{{"to":"{first}","binding":{{"a":"1","a":"2"}}}}',
        f'{{"to":"{first}","signals":{{"ip":"1.1.1.1","ip":"2.2.2.2"}}}}',
        f'{{"to":{first[1:]}}}',
        f'{{"to":"{first}","ttl_s":1e2}}',
        f'{{"to":"{first}","ttl_s":"300"}}',
        f'{{"to":"{first}","signals":{{"trusted":"true"}}}}',
        f'{{"to":"{first}","signals":{{"trusted":1}}}}',
    ]
    told = await asyncio.gather(*(target.send("POST", OURS, body.encode()) for body in bodies))
    for body, answered in zip(bodies, told, strict=True):
        assert answered.status in (400, 422), (body.replace(first, "A").replace(second, "B"), answered)
    assert [await target.phones.inbox(each) for each in (first, second)] == [[], []]


def wired(target: Target, method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as it is on the wire, let in by the target's key."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {target.key}", "Connection: close"]
    lines += [*headers, *([f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else [])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def statuses(target: Target, sent: Sequence[bytes]) -> list[int]:
    """The status of each answer."""
    told = await asyncio.gather(*(target.wire(each) for each in sent))
    return [int(each.split(b" ", 2)[1]) for each in told]


async def test_a_path_that_only_looks_like_ours_leads_nowhere(target: Target) -> None:
    begun = await target.start(fresh_number())
    one = f"{OURS}/{begun.id}"
    paths = [
        f"{one}/",
        f"//{one[1:]}",
        f"/v1//verifications/{begun.id}",
        f"/v1/./verifications/{begun.id}",
        f"/V1/verifications/{begun.id}",
        f"/v1/Verifications/{begun.id}",
        f"{one};a=b",
        f"{OURS}/{begun.id.upper()}",
        f"{OURS}/{{{begun.id}}}",
        f"{OURS}/{begun.id.replace('-', '')}",
        f"{OURS}/urn:uuid:{begun.id}",
        f"{OURS}/{begun.id}%00",
        f"{OURS}/{begun.id}%0a",
        f"{OURS}/{begun.id}%20",
        f"{OURS}/..%2f..%2fmetrics",
        f"/v1/verifications%2f{begun.id}%2f",
        f"{OURS}/%2e%2e/metrics",
        f"{OURS}/{begun.id}.json",
        f"/v2/verifications/{begun.id}",
        "/metrics",
        "/livez",
        "/readyz",
        "/receipts/east",
        "/.env",
        "/admin",
        "/",
        "*",
    ]
    assert begun.id != begun.id.upper(), "an id of digits alone has one spelling"
    found = dict(zip(paths, await statuses(target, [wired(target, "GET", path) for path in paths]), strict=True))
    assert {path: status for path, status in found.items() if status not in (400, 404)} == {}


async def test_a_method_that_is_not_ours_changes_nothing(target: Target) -> None:
    begun = await target.start(fresh_number())
    one = f"{OURS}/{begun.id}"
    methods = ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD", "get", "GETS", "PROPFIND"]
    overridden = [
        wired(target, "GET", f"{one}/cancel", "X-HTTP-Method-Override: POST"),
        wired(target, "GET", f"{one}/cancel?_method=POST", "X-HTTP-Method: POST"),
        wired(target, "GET", "/", f"X-Original-URL: {one}/cancel", f"X-Rewrite-URL: {one}/cancel"),
    ]
    told = await statuses(target, [wired(target, method, one) for method in methods] + overridden)
    assert set(told) <= {400, 404, 405}, dict(zip(methods, told, strict=False))
    assert (await target.status(begun.id)).word == "pending"


async def test_two_requests_are_never_read_where_a_proxy_would_see_one(target: Target) -> None:
    """Smuggling: whatever two ends could disagree about is refused, and the connection is closed behind it."""
    begun = await target.start(fresh_number())
    inner = wired(target, "POST", f"{OURS}/{begun.id}/cancel", body=b"{}")
    head = (
        f"POST {OURS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.key}\r\nContent-Type: application/json\r\n"
    )
    chunked = b"0\r\n\r\n" + inner
    length = str(len(chunked)).encode()
    tricks = [
        b"Content-Length: " + length + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunked,
        b"Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n" + chunked,
        b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n" + chunked,
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked,
        b"Content-Length: 2\r\nContent-Length: " + length + b"\r\n\r\n{}" + inner,
        b"Content-Length: +2\r\n\r\n{}" + inner,
        b"Content-Length: 0x2\r\n\r\n{}" + inner,
        b"Content-Length: 2, 2\r\n\r\n{}" + inner,
        b"Content-Length: -1\r\n\r\n" + inner,
        b"Content-Length: 2\r\n Transfer-Encoding: chunked\r\n\r\n{}" + inner,
    ]
    for trick in tricks:
        told = await target.wire(head.encode() + trick)
        assert told.count(b"HTTP/1.1 ") == 1 and told.split(b" ", 2)[1].startswith(b"4"), trick[:80]
    assert (await target.status(begun.id)).word == "pending", "the request inside was never carried out"


async def test_what_was_sent_is_in_no_refusal(target: Target) -> None:
    mark = "4930215555"
    fields: list[dict[str, object]] = [
        {"to": mark * 3},
        {"to": "+919876543210", mark: mark},
        {"to": "+919876543210", "purpose": mark.upper() + "!"},
        {"to": "+919876543210", "locale": mark},
        {"to": "+919876543210", "channel": mark},
        {"to": "+919876543210", "policy": f"x{mark}"},
        {"to": "+919876543210", "template": f"x{mark}"},
        {"to": "+919876543210", "code": mark + "0"},
        {"to": "+919876543210", "binding": {mark + "!": "x"}},
        {"to": "+919876543210", "signals": {"ip": mark}},
        {"to": "+919876543210", "signals": {mark: mark}},
        {"to": "+919876543210", "reference": mark + "\u0007"},
    ]
    told: list[Answered] = await asyncio.gather(*(target.send("POST", OURS, each) for each in fields))
    told += await asyncio.gather(
        target.send("GET", f"{OURS}?status={mark}"),
        target.send("GET", f"{OURS}?{mark}={mark}"),
        target.send("GET", f"{OURS}?cursor={mark}"),
        target.send("GET", f"{OURS}/{mark}"),
        target.send("POST", OURS, orjson.dumps({"to": "+919876543210"}), {"Idempotency-Key": mark * 30}),
        target.send("POST", OURS, b"{}", {"Content-Type": mark}),
        target.send("GET", OURS, headers={"Authorization": f"Bearer {mark}"}),
    )
    for answered in told:
        assert 400 <= answered.status < 500, answered
        assert mark.encode() not in answered.body + repr(answered.headers).encode(), answered
