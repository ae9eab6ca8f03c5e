"""API keys with every fault: one and the same answer, whatever is wrong with them.

That the answer is chosen without a look-up where the form is wrong: tests/unit/runtime/test_access.py.
"""

import asyncio

import pytest

from tests.attacks.adapter import Answered, Target
from tests.attacks.conftest import Aims
from tests.attacks.test_strange_input import wired
from tests.support.platform import fresh_number
from watchword.runtime import api_keys

LIST = "/v1/verifications"
VOLATILE = {"Date", "Content-Length"}


def faulty(key: str, expired: str) -> dict[str, str]:
    """Authorization headers that must open nothing."""
    swapped = key[:-1] + ("0" if key[-1] != "0" else "1")
    stranger = api_keys.new_key(test=True)
    return {
        "none": "",
        "scheme alone": "Bearer",
        "scheme and space": "Bearer ",
        "no scheme": key,
        "another scheme": f"Basic {key}",
        "a token scheme": f"Token {key}",
        "two keys": f"Bearer {key}, Bearer {key}",
        "key and more": f"Bearer {key} {key}",
        "key and NUL": f"Bearer {key}%00",
        "a key of nobody": f"Bearer {stranger}",
        "expired": f"Bearer {expired}",
        "cut short": f"Bearer {key[:-1]}",
        "one more character": f"Bearer {key}A",
        "wrong checksum": f"Bearer {swapped}",
        "other letter case": f"Bearer {key.swapcase()}",
        "live for test": f"Bearer {key.replace('wwk_test_', 'wwk_live_')}",
        "quoted": f'Bearer "{key}"',
        "prefix alone": "Bearer wwk_test_",
        "wildcard": "Bearer *",
        "SQL": "Bearer ' OR 1=1 --",
        "a hash of it": f"Bearer {api_keys.hash_of(key).hex()}",
        "its name": f"Bearer {api_keys.id_of(api_keys.hash_of(key))}",
        "very long": f"Bearer {'A' * 4_000}",
        "not ASCII": "Bearer wwk_test_\u00e9\u00e9",
    }


async def test_every_fault_of_a_key_gets_the_same_answer(aims: Aims) -> None:
    given = faulty(aims.prey.key, aims.expired.key)
    told = await asyncio.gather(
        *(aims.prey.send("GET", LIST, headers={"Authorization": each}) for each in given.values())
    )
    assert {each.status for each in told} == {401}
    assert len({each.body for each in told}) == 1
    assert len({tuple(sorted(_kept(each).items())) for each in told}) == 1
    assert all(each.headers["WWW-Authenticate"].startswith("Bearer") for each in told)


def _kept(answered: Answered) -> dict[str, str]:
    return {name: value for name, value in answered.headers.items() if name not in VOLATILE}


async def test_a_key_anywhere_but_in_its_header_opens_nothing(target: Target) -> None:
    key = target.key
    places = [
        f"GET {LIST}?api_key={key} HTTP/1.1\r\nHost: x\r\n",
        f"GET {LIST}?access_token={key} HTTP/1.1\r\nHost: x\r\n",
        f"GET {LIST} HTTP/1.1\r\nHost: x\r\nCookie: Authorization=Bearer {key}\r\n",
        f"GET {LIST} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n",
        f"GET {LIST} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer {key}\r\n",
        f"GET {LIST} HTTP/1.1\r\nHost: {key}:{key}@x\r\n",
    ]
    for place in places:
        told = await target.wire(f"{place}Connection: close\r\n\r\n".encode())
        assert told.split(b" ", 2)[1] in (b"400", b"401"), told[:80]
        assert key.encode() not in told


async def test_a_header_that_stands_twice_opens_nothing(aims: Aims) -> None:
    """A proxy may have looked at the other one."""
    for first, second in ((aims.prey.key, aims.rival.key), (aims.prey.key, "nonsense"), ("nonsense", aims.prey.key)):
        both = f"GET {LIST} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {first}\r\nAuthorization: Bearer {second}\r\n"
        told = await aims.prey.wire(f"{both}Connection: close\r\n\r\n".encode())
        assert told.split(b" ", 2)[1] in (b"400", b"401"), told[:80]


@pytest.mark.parametrize("path", ["start", "check", "resend", "cancel", "send-otp", "verify-otp"])
async def test_a_key_for_reading_changes_nothing(aims: Aims, path: str) -> None:
    begun = await aims.prey.start(number := fresh_number())
    one = f"{LIST}/{begun.id}"
    calls: dict[str, tuple[str, object]] = {
        "start": (LIST, {"to": number}),
        "check": (f"{one}/check", {"code": "4930215555"}),
        "resend": (f"{one}/resend", {}),
        "cancel": (f"{one}/cancel", {}),
        "send-otp": ("/send-otp", {"mobile": number}),
        "verify-otp": ("/verify-otp", {"mobile": number, "otp": "4930215555"}),
    }
    told = await aims.reader.send("POST", *calls[path])
    assert (told.status, told.word) == (403, "forbidden_scope")
    assert (await aims.reader.status(begun.id)).json["checks_left"] == 5


async def test_a_fault_is_found_before_the_body_is_looked_at(target: Target) -> None:
    """Nobody without a key makes us parse anything, or learns what the body should be."""
    stranger = target.with_key(api_keys.new_key(test=True))
    told = [await stranger.send("POST", LIST, body) for body in (b"", b"{", b'{"to":1}', b"x" * 15_000)]
    assert {each.status for each in told} == {401}
    big = wired(stranger, "POST", LIST, body=b"x" * 60_000)
    assert (await target.wire(big)).split(b" ", 2)[1] in (b"401", b"413")
