"""Over SMPP no reference of ours goes along with a message. Whose it is, is known by what the carrier calls it; where
its answer was lost, by the phone that got it: then it is of one of the attempts of which nobody can tell. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """A message that reached the phone of a verification. `reference` is the carrier's own, `provider_id` what it
    answered, or would have."""

    reference: str
    provider_id: str
    verification: str


@dataclass(frozen=True, slots=True)
class Called:
    """An attempt over SMPP. `provider_id` is "" where no answer came."""

    id: str
    verification: str
    provider_id: str


def owners(messages: Iterable[Message], attempts: Iterable[Called]) -> Mapping[str, str]:
    """The attempt of each message, by the message's reference. One that nobody can have sent has none."""
    by_id: dict[tuple[str, str], str] = {}
    unanswered: defaultdict[str, list[str]] = defaultdict(list)
    for each in attempts:
        if each.provider_id:
            by_id[each.verification, each.provider_id] = each.id
        else:
            unanswered[each.verification].append(each.id)
    found: dict[str, str] = {}
    for message in messages:
        left = unanswered[message.verification]
        owner = by_id.get((message.verification, message.provider_id)) or (left.pop(0) if left else "")
        if owner:
            found[message.reference] = owner
    return found
