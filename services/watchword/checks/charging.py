"""Charging checks to budgets before they are counted: their numbers' two, and their tenant's excess."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from watchword.checks import budgets, store
from watchword.checks.budgets import Charge, Excess
from watchword.checks.store import Found
from watchword.runtime.postgres import Connection


@dataclass(frozen=True, slots=True)
class Refused:
    """Checks that a budget refuses: when to come back, and how many of them a tenant's excess is alarming for,
    refused or not."""

    retry_after_s: Mapping[UUID, int]
    excessive: int = 0


async def charge(
    connection: Connection, wanted: Mapping[UUID, Found], excesses: Mapping[UUID, Excess], now: datetime
) -> Refused:
    """Charge every check of `wanted`, and give back what the refused ones took. Raises what Postgres raises."""
    short: dict[UUID, list[Charge]] = {}
    paid: dict[UUID, list[Charge]] = {}
    batch = {excess: excess.charge(count) for excess, count in Counter(excesses[each] for each in wanted).items()}
    borne: set[Excess] = set()
    for index, turn in enumerate(one_of_each_number(wanted)):
        # The tenants' go with the first turn: all checks of a tenant in one charge, and no statement more.
        whole = list(batch.values()) if index == 0 else []
        granted = await store.charge(connection, [*(one for each in turn for one in wanted[each].charged), *whole])
        borne |= {excess for excess, one in batch.items() if one in whole and one.key in granted}
        for each in turn:
            paid[each] = [one for one in wanted[each].charged if one.key in granted]
            short[each] = [one for one in wanted[each].charged if one.key not in granted]
    excessive = [each for each in wanted if excesses[each] not in borne]
    for each in excessive:
        if excesses[each].enforced:
            short[each].append(excesses[each].charge(1))
    refused = {each: some for each, some in short.items() if some}
    back = [one for each in refused for one in paid[each]]
    back += [excesses[each].charge(1) for each in refused if excesses[each] in borne]
    await store.give_back(connection, back)
    tats = await store.buckets(connection, sorted({one.key for some in refused.values() for one in some}))
    waits = {each: budgets.retry_after_s(some, tats, now) for each, some in refused.items()}
    return Refused(waits, len(excessive))


def one_of_each_number(wanted: Mapping[UUID, Found]) -> list[list[UUID]]:
    """The checks in turns, none of which holds two of one number: a batch then takes exactly what is left."""
    turns: list[list[UUID]] = []
    seen: dict[str, int] = {}
    for each, found in wanted.items():
        key = found.charged[0].key
        index = seen.get(key, 0)
        seen[key] = index + 1
        if index == len(turns):
            turns.append([])
        turns[index].append(each)
    return turns
