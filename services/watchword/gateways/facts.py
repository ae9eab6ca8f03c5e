"""What a gateway says of itself as data: the `gateway.toml` beside it.

Statuses and error words change when providers please; they are a table that an operator can read and correct, not
branches in code. The contract suite demands a recorded case for every line of it.
"""

import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from watchword.gateways import reasons
from watchword.gateways.contract import Resend
from watchword.gateways.outcome import OutcomeClass
from watchword.kernel.verification import ReceiptState


class Signature(StrEnum):
    """What a callback's authenticity rests on."""

    BODY_AND_TIME = "body-and-time"  # a MAC over the time and everything that is told
    BODY = "body"  # a MAC over everything that is told, at any time
    LINK = "link"  # a MAC over our reference, in the address we gave; the body is not covered
    SHARED_SECRET = "shared-secret"  # a secret told along with the callback; the body is not covered
    SESSION = "session"  # the connection it came over, on which we told our password


class Feedback(StrEnum):
    """What a provider takes of what became of a message."""

    NONE = "none"
    CONVERTED = "converted"  # that its code was typed; what it does not hear of counts as not
    EITHER = "either"  # that as well as that it was not


class Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the provider can do. `replay_window_s` is how far a signed time may lie from ours, 0 where unsigned.
    `lookup`: it can be asked by our reference; `trace`: by its own id, once that is known. `own_texts`: it sends texts
    that it has, each named by an id (`templates` of the account), and never ours. `feedback`: what it can be told of
    codes that were typed. Without `dlt` its interface has no field for the ids that operators in India ask for."""

    lookup: bool
    signature: Signature
    replay_window_s: int
    trace: bool = False
    own_texts: bool = False
    feedback: Feedback = Feedback.NONE
    dlt: bool = True


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of what the provider sends is read; what is longer counts as unreadable."""

    answer_bytes_max: int
    callback_bytes_max: int
    receipts_max: int


class AccountForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account of this gateway looks like: options it needs, options it takes, beginnings of options whose ends
    are its own to choose, secrets it calls with. Every one checks callbacks by `secrets.callback`."""

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gateway.toml. `statuses` has keys such as "429" and "5xx", the exact one first; `errors` and `states`
    are keyed by the provider's own word in lower case.

    `families` are coarser words that a provider files its errors under. `reasons` are the codes that say why a message
    did not arrive, those of the shared tables `reasons_from` among them (reasons.py). `id_format` is the expression
    its message ids match, "" where they have no form; `acknowledgement` the body it wants to hear for a callback.
    `account` is None where the options are the account's own to choose.
    """

    name: str
    resend: Resend
    capabilities: Capabilities
    limits: Limits
    statuses: dict[str, OutcomeClass]
    errors: dict[str, OutcomeClass]
    states: dict[str, ReceiptState]
    families: dict[str, OutcomeClass] = {}
    reasons: dict[str, OutcomeClass] = {}
    reasons_from: tuple[str, ...] = ()
    id_format: str = ""
    acknowledgement: str = ""
    account: AccountForm | None = None


def of_status(statuses: Mapping[str, OutcomeClass], status: int) -> OutcomeClass:
    """The class of an HTTP status that came without a word we know: the exact entry, then its hundred's. Nothing
    about an unlisted one is certain, least of all that the message did not leave, so it is AMBIGUOUS."""
    exact = statuses.get(str(status))
    return exact or statuses.get(f"{status // 100}xx", OutcomeClass.AMBIGUOUS)


@cache
def load(folder: Path) -> Facts:
    """Read `folder`/gateway.toml. Raises ValueError naming the key where the file is not as it should be, so that a
    wrong table is found when the process starts and not when a provider answers."""
    path = folder / "gateway.toml"
    try:
        told = tomllib.loads(path.read_text("utf-8"))
        told["reasons"] = _reasons(told.get("reasons_from", ()), told.get("reasons", {}))
        return msgspec.convert(told, Facts)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {error}") from error


def _reasons(shared: Iterable[str], own: Mapping[str, Any]) -> dict[str, Any]:
    """The shared tables and a gateway's own, which wins."""
    found: dict[str, Any] = {}
    for name in shared:
        found |= reasons.shared(name)
    return found | reasons.expanded(own)
