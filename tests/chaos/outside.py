"""What a platform's endpoint and the carriers know, against what the system holds: who was never told of an end, and
whose report came to nothing. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import orjson

from tests.support.receiver import Called
from watchword.events import envelope
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.verification import RECEIPT_RANK, ReceiptState, merge

ENDED = envelope.type_of(VerificationEnded)
Broken = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Notice:
    """One call to an endpoint: under which id it told how a verification ended."""

    id: str
    verification: str
    state: str


def notices(calls: Iterable[Called]) -> list[Notice]:
    """The calls that told of an end."""
    found = []
    for call in calls:
        told = orjson.loads(call.body)
        if told["type"] == ENDED:
            data = told["data"]
            found.append(Notice(call.headers["webhook-id"], data["verification_id"], data["state"]))
    return found


def untold(ends: Mapping[str, str], told: Iterable[Notice]) -> Iterator[Broken]:
    """Every verification that ended, by its state, was told to its endpoint once or more, under one id, as it is."""
    ids: dict[str, set[str]] = {}
    for notice in told:
        ids.setdefault(notice.verification, set()).add(notice.id)
        state = ends.get(notice.verification, "live or unknown")
        if notice.state != state:
            yield f"its endpoint was told that it is {notice.state}, and it is {state}", notice.verification
    for identity, state in ends.items():
        under = ids.get(identity, set())
        if not under:
            yield f"is {state}, and its endpoint was never told", identity
        elif len(under) > 1:
            yield f"its endpoint was told of its end under {len(under)} ids", identity


def unheard(attempts: Mapping[str, str], reported: Mapping[str, Iterable[str]]) -> Iterator[Broken]:
    """Every report that was taken from a carrier raised its attempt to its state, or found it there or higher.
    `attempts` are receipt states, "" for none, `reported` the states by reference."""
    for reference, words in reported.items():
        state = attempts.get(reference)
        most = reduce(merge, map(ReceiptState, words))
        if state is None:
            yield f"a carrier reported {most}, and nobody knows the attempt", reference
        elif not state or RECEIPT_RANK[ReceiptState(state)] < RECEIPT_RANK[most]:
            yield f"a carrier reported {most}, and it is {state or 'not recorded'}", reference
