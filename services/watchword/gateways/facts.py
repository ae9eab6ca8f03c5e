"""What a gateway says of itself as data: the `gateway.toml` beside it.

Statuses and error words change when providers please; they are a table that an operator can read and correct, not
branches in code. The contract suite demands a recorded case for every line of it.
"""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from watchword.gateways.contract import Resend
from watchword.gateways.outcome import OutcomeClass
from watchword.kernel.verification import ReceiptState


class Signature(StrEnum):
    """What a callback's authenticity rests on."""

    BODY_AND_TIME = "body-and-time"  # a MAC over the time and every byte of the body
    SHARED_SECRET = "shared-secret"  # a secret told along with the callback; the body is not covered


class Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the provider can do. `replay_window_s` is how far a signed time may lie from ours, 0 where unsigned."""

    lookup: bool
    signature: Signature
    replay_window_s: int


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of what the provider sends is read; what is longer counts as unreadable."""

    answer_bytes_max: int
    callback_bytes_max: int
    receipts_max: int


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gateway.toml. `statuses` has keys such as "429" and "5xx", the exact one first; `errors` and `states`
    are keyed by the provider's own word in lower case."""

    name: str
    resend: Resend
    capabilities: Capabilities
    limits: Limits
    statuses: dict[str, OutcomeClass]
    errors: dict[str, OutcomeClass]
    states: dict[str, ReceiptState]


def of_status(statuses: Mapping[str, OutcomeClass], status: int) -> OutcomeClass:
    """The class of an HTTP status that came without a word we know: the exact entry, then its hundred's. Nothing
    about an unlisted one is certain, least of all that the message did not leave, so it is AMBIGUOUS."""
    exact = statuses.get(str(status))
    return exact or statuses.get(f"{status // 100}xx", OutcomeClass.AMBIGUOUS)


def load(folder: Path) -> Facts:
    """Read `folder`/gateway.toml. Raises ValueError naming the key where the file is not as it should be, so that a
    wrong table is found when the process starts and not when a provider answers."""
    path = folder / "gateway.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Facts)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {error}") from error
