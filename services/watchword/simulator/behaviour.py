"""How a carrier behaves: what `PUT /carriers/{name}/behaviour` takes, with every bound checked while reading."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

Rate = Annotated[float, Meta(ge=0, le=1)]
Millis = Annotated[float, Meta(ge=0, le=600_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Url = Annotated[str, Meta(max_length=2_048)]
Secret = Annotated[str, Meta(max_length=256)]
SUM_SLACK = 1e-9  # rates such as 0.1 + 0.2 + 0.7 are one, whatever binary fractions say


def _check_shares(what: str, shares: tuple[float, ...]) -> None:
    if sum(shares) > 1 + SUM_SLACK:
        raise ValueError(f"{what} add up to more than 1")


class Uniform(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="uniform"):
    """Anything from `min` to `max` milliseconds, each as likely."""

    min: Millis = 0.0
    max: Millis = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where the bounds are the wrong way round."""
        if self.min > self.max:
            raise ValueError("min must not be above max")


class LogNormal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="lognormal"):
    """Mostly around `median` milliseconds, sometimes far above, never above `max`. `sigma` 0.5 is usual."""

    median: Annotated[float, Meta(gt=0, le=600_000)]
    sigma: Annotated[float, Meta(ge=0, le=5)] = 0.5
    max: Millis = 60_000.0


Spread = Uniform | LogNormal


class Errors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The share of calls refused with each outcome class."""

    throttled: Rate = 0.0
    temporary: Rate = 0.0
    ambiguous: Rate = 0.0
    account: Rate = 0.0
    configuration: Rate = 0.0
    destination: Rate = 0.0
    blocked: Rate = 0.0
    expired: Rate = 0.0


class Endings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The share of accepted messages whose last receipt is not `delivered`. Only `unknown` ones reach the phone."""

    unknown: Rate = 0.0
    expired: Rate = 0.0
    undelivered: Rate = 0.0
    rejected: Rate = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where the shares are more than all."""
        _check_shares("endings", msgspec.structs.astuple(self))


class Outage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A window in which the carrier is away, in seconds from the moment it is set."""

    start_s: Seconds
    end_s: Seconds


class Smpp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What only a carrier on a kept connection can do. Rates are shares of submissions; `unbind_after` counts those
    of one connection, 0 for never."""

    receipt_form: Literal["text", "parameters", "both"] = "both"
    ids: Literal["word", "hex_then_decimal"] = "word"
    chunk_bytes: Annotated[int, Meta(ge=0, le=65_536)] = 0
    coalesce: bool = False
    drops: Rate = 0.0
    nacks: Rate = 0.0
    garbage: Rate = 0.0
    garbage_receipts: Rate = 0.0
    unknown_parameters: bool = False
    unbind_after: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    deaf: bool = False


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything one carrier does. The README beside this file is the table of the fields."""

    latency_ms: Spread = Uniform()
    errors: Errors = Errors()
    retry_after_s: Annotated[int, Meta(ge=0, le=3_600)] = 1
    timeouts_before: Rate = 0.0
    timeouts_after: Rate = 0.0
    hang_ms: Millis = 30_000.0
    down: bool = False
    outages: Annotated[tuple[Outage, ...], Meta(max_length=16)] = ()
    outage_answer: Literal["unavailable", "reset", "hang"] = "unavailable"
    dedupes: bool = True
    loss: Rate = 0.0
    endings: Endings = Endings()
    receipts: bool = True
    receipt_delay_ms: Spread = Uniform()
    receipt_steps: Annotated[tuple[Literal["submitted", "enroute"], ...], Meta(max_length=2)] = ()
    receipt_duplicates: Rate = 0.0
    receipt_reordered: Rate = 0.0
    receipt_early: Rate = 0.0
    receipt_late: Rate = 0.0
    receipt_late_ms: Spread = Uniform(5_000, 5_000)
    receipt_url: Url = ""
    blind_receipt_url: Url = ""
    receipt_secret: Secret = "simulated-receipts"
    receipt_batch_max: Annotated[int, Meta(ge=1, le=1_000)] = 20
    receipt_attempts_max: Annotated[int, Meta(ge=1, le=50)] = 20
    receipt_backoff_ms: Annotated[float, Meta(ge=1, le=60_000)] = 100.0
    token: Secret = ""
    price_micros: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 2_500
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "USD"
    smpp: Smpp = Smpp()

    def __post_init__(self) -> None:
        """Raises ValueError where shares are more than all, or an address cannot be called."""
        refused = msgspec.structs.astuple(self.errors)
        _check_shares("errors and timeouts", (*refused, self.timeouts_before, self.timeouts_after))
        _check_shares("receipt_early and receipt_late", (self.receipt_early, self.receipt_late))
        for url in filter(None, (self.receipt_url, self.blind_receipt_url)):
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                raise ValueError("receipt urls must be http(s) addresses")


def read(body: bytes) -> dict[str, Any]:
    """The fields in a JSON object. Raises ValueError where it is none."""
    return msgspec.json.decode(body, type=dict[str, Any])


def changed(behaviour: Behaviour, told: dict[str, Any]) -> Behaviour:
    """`behaviour` with the fields of `told` in place of its own. Raises ValueError that names the field for anything
    unknown, of a wrong type or out of bounds; then nothing has changed."""
    return msgspec.convert({**msgspec.to_builtins(behaviour), **told}, Behaviour)


def is_away(behaviour: Behaviour, age_s: float) -> bool:
    """Whether the carrier is in an outage `age_s` seconds after its behaviour was set."""
    return behaviour.down or any(window.start_s <= age_s < window.end_s for window in behaviour.outages)
