"""The contract of a gateway: four pure functions and what it says of itself.

A gateway turns a message into a request and an answer into an `Outcome`, and a carrier's callback into receipts.
It opens no socket, reads no clock and never raises on what a provider sends: an answer it does not know is still
one of the nine classes. One suite (tests/contract/gateways) holds every catalogue entry to this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

import msgspec

from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import ReceiptState

EVERY_TEMPLATE: Final = "*"


class Resend(StrEnum):
    """What a gateway offers when it is unknown whether a message left (guarantees.md, section 4)."""

    DEDUPES = "dedupes"  # the same client_ref again is answered with the first message
    QUERYABLE = "queryable"  # it can be asked whether it has a client_ref
    BLIND = "blind"  # neither: a resend may be a second message


class Message(msgspec.Struct, frozen=True):
    """One text for one phone. `to` is E.164 with "+"; `client_ref` is the attempt id; `life_s` is what is left of the
    code's usefulness at the time `at` (aware), to be passed to the provider as validity; signed requests are dated
    `at`. `template` is what the text was made from, "tenant/id", for a provider that has texts of its own; "" for a
    sample. Not printable: it holds a code.

    The `dlt_…` fields are for India and "" elsewhere: the ids of entity and template, the telemarketers of the chain
    joined by commas, and the hash over entity and chain. A gateway passes on those that its provider asks for."""

    client_ref: str
    to: str
    text: str
    sender: str
    life_s: int
    at: datetime
    variables: Mapping[str, str] = msgspec.field(default_factory=dict)
    template: str = ""
    dlt_entity_id: str = ""
    dlt_template_id: str = ""
    dlt_telemarketers: str = ""
    dlt_chain_hash: str = ""

    def __repr__(self) -> str:
        return f"<Message {self.client_ref}>"


@dataclass(frozen=True, slots=True)
class Account:
    """One contract with one provider: where to call, as whom, how fast. `secrets` never print.

    `sender_registered_in` are countries that know the sender; `dlt_telemarketers` the chain that carries messages to
    India, without the entity, the one who delivers last. `templates` says by which id the provider has each text that
    is registered with it ("tenant/id", or "*" for every one); where it says none, all are sent, but by a provider with
    texts of its own. `price_micros` is for one part of a message, in millionths of `currency`, 0 where it is not known;
    `prices` tells it by the beginning of the number. `receipt_parts` says which part's receipt counts where a provider
    reports on the parts of a long message: "all", "first" or "last". `feedback` tells the provider whether codes were
    typed, where its gateway can."""

    id: str
    gateway: str
    url: str
    sender: str = ""
    per_second: float = 50.0
    inflight_max: int = 50
    timeout_ms: int = 5_000
    on_unknown: str = "resend"
    price_micros: int = 0
    prices: Mapping[str, int] = field(default_factory=dict)
    currency: str = "USD"
    sender_registered_in: tuple[str, ...] = ()
    dlt_telemarketers: tuple[str, ...] = ()
    templates: Mapping[str, str] = field(default_factory=dict)
    receipt_parts: str = "all"
    feedback: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def price_for(self, range_: str) -> int:
        """What one part costs to a number of that range ("+" and leading digits), in millionths of `currency`; the
        longest prefix in `prices` decides. 0 where it is not known."""
        fitting = [prefix for prefix in self.prices if range_.startswith(prefix)]
        return self.prices[max(fitting, key=len)] if fitting else self.price_micros

    def text_for(self, template: str) -> str:
        """The provider's id of the text that stands for `template`, "tenant/id"; "" where it has none. Where nobody
        says which it is, any of them."""
        if not template:
            return next(iter(self.templates.values()), "")
        return self.templates.get(template) or self.templates.get(EVERY_TEMPLATE, "")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of the code in one message, to be told to the provider that carried it. `provider_id` is what the
    provider calls the message. `converted`: the code was typed, else its verification ended without it; `at` is when
    (aware). Signed requests are dated `now` (aware)."""

    provider_id: str
    converted: bool
    at: datetime
    now: datetime


class Request(msgspec.Struct, frozen=True):
    """An HTTP request to be made by dispatch, as it is: `url` is escaped already. Only `method` prints: headers
    hold secrets, the body holds the code, and with some providers the url holds the code as well."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Request {self.method}>"


@dataclass(frozen=True, slots=True)
class Callback:
    """An HTTP request a carrier made to us, as received. `url` is the public one the carrier called, query string
    and all; it does not print because some carriers tell their secret there."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery report in our words. Either reference may be "" where the carrier does not echo it.

    `provider_time` is what the carrier says, None where it says nothing; it never orders receipts. `part` of `parts`
    is for carriers that report on each part of a long message, both counted from 1; 0 is the whole. `reason` is the
    class of a failure, None of anything else. `unmapped` is the carrier's word where no map of ours has it, and such a
    report reads as unknown; or word and code, as "failed/30999", where no map has the code and the failure is classed
    by its word. Either is kept to be read again.
    """

    state: ReceiptState
    client_ref: str = ""
    provider_id: str = ""
    raw_code: str = ""
    network: str = ""
    provider_time: datetime | None = None
    part: int = 0
    parts: int = 0
    reason: OutcomeClass | None = None
    unmapped: str = ""


class Gateway(Protocol):
    """What a module in `gateways/<name>/` provides. `name` is its folder; `resend` its class."""

    name: str
    resend: Resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message` through `account`. Raises ValueError, naming the field or option, where
        the account cannot serve any message; the same account either always encodes or never does, but for templates
        that its provider has no text for."""

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What an HTTP answer means. Total: never raises, whatever the bytes. Header names in any case."""

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The delivery reports in a verified callback, [] where there is none. Raises ValueError on garbage."""

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """Whether the callback was made by whoever holds the account's secret, and, where the provider signs the
        time, made lately as seen from `now` (aware). Total: never raises; without a secret nothing is believed."""


@runtime_checkable
class QueryableGateway(Gateway, Protocol):
    """A gateway that can be asked about a message by our own reference: whether it has it, and how far it came."""

    def encode_lookup(self, client_ref: str, account: Account) -> Request:
        """The request that asks for `client_ref`."""

    def decode_lookup(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome | None:
        """The outcome of the message if the gateway has it, None if it has never seen it; an answer that tells
        neither is AMBIGUOUS."""


@runtime_checkable
class TraceableGateway(Gateway, Protocol):
    """A gateway that can be asked how far a message came, by the id that the provider gave it. Whether one was ever
    sent it cannot tell: of a call that was not answered nobody knows the id. So it is no `QueryableGateway`, and by
    itself its resend class is `blind`."""

    def encode_trace(self, provider_id: str, account: Account) -> Request:
        """The request that asks for `provider_id`, whatever characters it is made of. Raises ValueError as `encode`
        does."""

    def decode_trace(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome | None:
        """ACCEPTED with how far it came, None where the provider says that it has no such message, else AMBIGUOUS.
        Total: never raises."""


@runtime_checkable
class TellableGateway(Gateway, Protocol):
    """A gateway whose provider takes it into account whether the code in a message was typed: to choose its routes by
    what arrives, not by what is reported. Told only of messages of accounts that have `feedback`, whose sends announce
    it where the provider wants that."""

    def encode_feedback(self, conversion: Conversion, account: Account) -> Request:
        """The request that tells it. Doing it twice changes nothing. Raises ValueError as `encode` does."""

    def decode_feedback(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """ACCEPTED where the provider took it, else why not, as of a send. Total: never raises."""
