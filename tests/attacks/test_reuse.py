"""Reuse, replay and confusion: a code is good once, for its own verification, number, purpose, binding and tenant.

That an unknown id and another tenant's answer alike byte for byte: tests/pipeline/test_checks.py, test_intake.py.
"""

import asyncio
from collections import Counter

import pytest

from tests.attacks.adapter import Target, other_than
from tests.attacks.conftest import NOBODY, Aims
from tests.attacks.test_guessing import resent
from tests.support.platform import fresh_number
from tests.support.waiting import eventually

SHOWN = {"amount": "12.00", "currency": "INR", "payee": "shop"}


async def test_a_code_replayed_by_both_paths_at_once_approves_once(target: Target) -> None:
    number = fresh_number()
    begun = await target.send("POST", "/send-otp", {"mobile": number})
    code = await target.code_on(number)
    told = await asyncio.gather(
        *(target.check(begun.id, code) for _ in range(10)),
        *(target.send("POST", "/verify-otp", {"mobile": number, "otp": code}) for _ in range(10)),
    )
    assert Counter(each.word for each in told) == {"approved": 1, "used": 19}
    assert (await target.check(begun.id, code)).word == "used"


async def test_a_code_is_no_use_for_another_purpose_or_number(target: Target) -> None:
    number = fresh_number()
    login, code = await target.issued(number, purpose="login")
    payment, _ = await target.issued(number, purpose="payment")
    stranger, _ = await target.issued(fresh_number(), purpose="login")
    assert [(await target.check(each, code)).word for each in (payment, stranger)] == ["wrong", "wrong"]
    assert (await target.check(login, code)).word == "approved"


async def test_a_code_of_before_is_no_use_for_what_came_after(target: Target) -> None:
    """Neither for the next verification of the number nor, where codes rotate, after a resend."""
    number = fresh_number()
    before, old = await target.issued(number)
    await target.send("POST", f"/v1/verifications/{before}/cancel", {})
    after, new = await target.issued(number)
    assert [(await target.check(*each)).word for each in ((before, old), (after, old))] == ["expired", "wrong"]
    assert (await target.check(before, new)).word == "expired"
    assert (await target.check(after, new)).word == "approved"


async def test_a_replaced_code_is_wrong(target: Target) -> None:
    identity, old = await target.issued(number := fresh_number(), policy="rotating")
    await resent(target, identity)
    new = await target.code_on(number, seen=1)

    async def replaced() -> bool:
        return (await target.check(identity, old)).word == "wrong"

    assert old != new
    await eventually(replaced, within_s=20, what="the old code to be wrong")
    assert (await target.check(identity, new)).word == "approved"


async def test_a_payment_that_was_changed_after_it_was_shown_is_not_approved(target: Target) -> None:
    identity, code = await target.issued(fresh_number(), binding=SHOWN)
    for changed in (
        SHOWN | {"amount": "12.01"},
        SHOWN | {"amount": "12.00 "},
        SHOWN | {"memo": ""},
        {name: SHOWN[name] for name in ("amount", "currency")},
    ):
        told = await target.check(identity, code, binding=changed)
        assert told.word == "binding_mismatch", changed
    assert (await target.check(identity, code, binding=dict(reversed(SHOWN.items())))).word == "approved"


async def test_a_wrong_binding_tells_nothing_of_the_code(target: Target) -> None:
    identity, code = await target.issued(fresh_number(), binding=SHOWN)
    told = [await target.check(identity, each, binding={}) for each in (code, other_than(code))]
    assert [each.json for each in told] == [{"result": "binding_mismatch", "checks_left": left} for left in (4, 3)]


async def test_a_rival_s_key_reaches_nothing_of_the_tenant(aims: Aims) -> None:
    identity, code = await aims.prey.issued(fresh_number(), reference="a-secret-order")
    one = f"/v1/verifications/{identity}"
    theirs = await asyncio.gather(
        aims.rival.check(identity, code),
        aims.rival.resend(identity),
        aims.rival.status(identity),
        aims.rival.send("POST", f"{one}/cancel", {}),
    )
    nobodys = await asyncio.gather(
        aims.rival.check(NOBODY, code),
        aims.rival.resend(NOBODY),
        aims.rival.status(NOBODY),
        aims.rival.send("POST", f"/v1/verifications/{NOBODY}/cancel", {}),
    )
    assert {each.status for each in theirs} == {404}
    assert [each.body for each in theirs] == [each.body for each in nobodys]
    listed = await aims.rival.send("GET", "/v1/verifications?reference=a-secret-order")
    assert listed.json["verifications"] == []
    assert (await aims.prey.check(identity, code)).word == "approved", "nothing was counted or cancelled"


@pytest.mark.attack
async def test_a_rival_s_cursor_leads_into_nobody_else_s_list(aims: Aims) -> None:
    for _ in range(2):
        await aims.rival.start(fresh_number())
        await aims.prey.start(fresh_number())
    page = await aims.rival.send("GET", "/v1/verifications?limit=1")
    cursor = page.json["next_cursor"]
    told = await aims.prey.send("GET", f"/v1/verifications?limit=1&cursor={cursor}")
    assert (told.status, told.word) == (400, "cursor_invalid")


@pytest.mark.attack
async def test_a_rival_s_idempotency_key_replays_nothing(aims: Aims) -> None:
    number = fresh_number()
    first = await aims.prey.start(number, repeat="shared-by-chance")
    second = await aims.rival.start(number, repeat="shared-by-chance")
    assert (first.status, second.status) == (202, 202)
    assert first.id != second.id
    assert "Idempotency-Replayed" not in second.headers
