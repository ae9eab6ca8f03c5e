"""Receipts forged, replayed and swapped at the running door, for a carrier of each kind of proof in the catalogue.

A carrier's true word here is that the message did not arrive; each lie is that it did, which would count for more. So
what is known at the end tells whether any lie was believed. What each verifier makes of more: tests/contract/gateways.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import pytest_asyncio
from yarl import URL

from tests.attacks.adapter import Answered, Target
from tests.attacks.conftest import Aims
from tests.attacks.reporting import KINDS, Kind, Report, Told, forgeries
from tests.support.platform import fresh_number
from tests.support.records import everything_on, lag, lives
from tests.support.scripted import Answer, Scripted, http, scripted
from tests.support.stack import configured
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.catalog import decode
from watchword.events.envelope import read
from watchword.events.receipt_received import ReceiptReceived
from watchword.gateways.catalog import ALL
from watchword.kernel.ids import attempt_id
from watchword.local.stack import Stack
from watchword.runtime.apply import apply
from watchword.runtime.keyring import Keyring, Purpose

WITHIN_S = 15.0
REPEATS = 3
ACCOUNT = """
[[routes]]
id = "{account}"
country = "*"
purpose = "{account}"
accounts = ["{account}"]

[[accounts]]
id = "{account}"
gateway = "{kind.gateway}"
url = "{url}/{account}"
secrets = {{token = "t", callback = "secret-of-{account}"}}
{kind.more}
[accounts.options]
{options}
"""


@dataclass(frozen=True)
class Doors:
    """The door of the stack, and carriers of every kind, two accounts each: `<kind>-a` and `<kind>-b`."""

    stack: Stack
    target: Target
    carriers: Scripted

    async def calls(self, account: str, report: Report) -> Answered:
        """Call an account's address as a carrier does."""
        url = URL(report.url(self.address(account)), encoded=True)
        sending = self.target.session.request(report.method, url, data=report.body or None, headers=report.headers)
        async with sending as answer:
            return Answered(answer.status, await answer.read())

    def address(self, account: str) -> str:
        """Where an account's carrier reports to."""
        return f"{self.target.receipts}/receipts/{account}"

    async def sent_by(self, account: str, kind: Kind) -> tuple[str, Told]:
        """A message that the account's carrier has taken: its verification, and what the carrier may say of it."""
        identity = await eventually(partial(self._begun, account), within_s=WITHIN_S, what=f"{account} to be called")
        await eventually(partial(self._taken, identity), within_s=WITHIN_S, what=f"a message taken by {account}")
        ref = str(attempt_id(UUID(identity), 1, 1))
        return identity, Told(self.address(account), account, f"secret-of-{account}", ref, kind.id)

    async def known(self, identity: str) -> str:
        """What is known of the verification's only message, once it is something."""

        async def word() -> str:
            [attempt] = (await self.target.status(identity)).json["attempts"]
            return str(attempt["receipt"] or "")

        return await eventually(word, within_s=WITHIN_S, what=f"a receipt of {identity}")

    async def _begun(self, account: str) -> str:
        """A verification that is sent by this account; "" while dispatch does not know its route yet."""
        before = self.carriers.calls[account]
        begun = await self.target.start(fresh_number(), purpose=account)
        assert begun.status == 202, begun
        await eventually(partial(self._taken, begun.id), within_s=WITHIN_S, what="a message sent by anybody")
        return begun.id if self.carriers.calls[account] > before else ""

    async def _taken(self, identity: str) -> bool:
        attempts = (await self.target.status(identity)).json["attempts"]
        return bool(attempts) and attempts[0]["state"] == "accepted"


@pytest_asyncio.fixture(scope="module")
async def doors(stack: Stack, aims: Aims) -> AsyncIterator[Doors]:
    """Accounts of every kind, known to the door."""
    named = {f"{kind.name}-{letter}": kind for kind in KINDS for letter in "ab"}
    async with scripted({account: Answer(http(kind.answer)) for account, kind in named.items()}) as carriers:
        file = stack.plan.directory / "carriers.toml"
        file.write_text("".join(_account(account, kind, carriers.url) for account, kind in named.items()), "utf-8")
        keyring = Keyring.load(stack.plan.directory / "keyring.json", {Purpose.ACCOUNT, Purpose.ENDPOINT})
        await apply(stack.dsn, file, keyring=keyring, gateways=frozenset(ALL))
        await configured(stack)
        yield Doors(stack, aims.prey, carriers)


def _account(account: str, kind: Kind, url: str) -> str:
    options = "\n".join(f'{name} = "{value}"' for name, value in kind.options.items())
    return ACCOUNT.format(account=account, kind=kind, url=url, options=options)


async def test_no_carrier_s_receipt_is_forged_replayed_or_told_of_another_s_message(doors: Doors) -> None:
    attacked = await asyncio.gather(*(_attacked(doors, kind) for kind in KINDS))
    assert [fault for faults, _ in attacked for fault in faults] == []
    cluster = doors.stack.cluster

    async def matched() -> bool:
        return await lag(cluster, "receipts", [topics.RECEIPTS]) == 0

    await eventually(matched, within_s=WITHIN_S, what="every receipt that was kept to be matched")
    kept = Counter([event.account for event in await _kept(doors)])
    expected = {f"{kind.name}-a": 1 + REPEATS for kind in KINDS} | {f"{kind.name}-b": 2 for kind in KINDS}
    assert {account: kept[account] for account in expected} == expected, "nothing that was refused is kept"
    identities = [identity for _, sent in attacked for identity in sent]
    known = [await doors.known(identity) for identity in identities]
    assert known == ["undelivered"] * len(identities), "and no lie is believed"
    told = await lives(cluster)
    recorded = [[each.event for each in told[identity]].count("receipt-recorded") for identity in identities]
    assert recorded == [1] * len(identities), "nor what was told again"


async def _attacked(doors: Doors, kind: Kind) -> tuple[list[str], list[str]]:
    """What should not have come of the attacks on carriers of one kind, and the verifications they were about."""
    ours, theirs = f"{kind.name}-a", f"{kind.name}-b"
    (identity, told), (other, told_other) = await asyncio.gather(doors.sent_by(ours, kind), doors.sent_by(theirs, kind))
    tried = {
        what: (ours, report, 403)
        for what, report in forgeries(kind, replace(told, delivered=True), told_other.ref).items()
    }
    tried["a receipt at another account's address"] = theirs, kind.report(told), 403
    tried["another account's word on our message"] = (
        theirs, kind.report(replace(told_other, ref=told.ref, id="of-ours", delivered=True)), 200,
    )  # fmt: skip
    tried["their own receipt"] = theirs, kind.report(told_other), 200
    tried |= {f"our own receipt {number}": (ours, kind.report(told), 200) for number in range(1 + REPEATS)}
    answers = {what: await doors.calls(account, report) for what, (account, report, _) in tried.items()}
    bodies = {answer.body for answer in answers.values() if answer.status == 403}
    faults = [
        f"{kind.name}: {what}: {answers[what].status}"
        for what, (_, _, status) in tried.items()
        if answers[what].status != status
    ]
    return faults + [f"{kind.name}: what was wrong is told"] * (len(bodies) != 1), [identity, other]


async def _kept(doors: Doors) -> list[ReceiptReceived]:
    """Every callback that was kept."""
    records = await everything_on(doors.stack.cluster, [topics.RECEIPTS])
    events = [decode(read(record.headers).type, record.value) for record in records]
    return [event for event in events if isinstance(event, ReceiptReceived)]
