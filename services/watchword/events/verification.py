"""What every event about a verification says of it, so that each event can be read by itself."""

from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from watchword.kernel.event import Event, Instant


class OpenEnum(StrEnum):
    """An enum whose readers meet newer words without failing: what they do not know reads as `unknown`."""

    @classmethod
    def _missing_(cls, value: object) -> "OpenEnum":
        return cls("unknown")


class Signals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the platform claims about the request, with every identifier replaced by a keyed token; and what intake adds
    for fraud to count by (decision 0055).

    `form_ms` is the time the user took to fill the form; `trusted` says the platform vouches for the user.
    `owner_token` names whose network the address belongs to; `block_token` and `row_token` the thousand and the hundred
    numbers of its range that the number is one of; `phone_token` the number itself, the same for every tenant.
    """

    ip_token: str = ""
    ip_net_token: str = ""
    device_token: str = ""
    account_token: str = ""
    platform: str = ""
    app_version: str = ""
    ja4: str = ""
    form_ms: int | None = None
    trusted: bool = False
    owner_token: str = ""
    block_token: str = ""
    row_token: str = ""
    phone_token: str = ""


class VerificationEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The fields shared by all events of a verification.

    `number_token` is a keyed hash of the number under the tenant's key; `range` is its leading digits, the last
    four dropped, with "+"; `country` is an ISO 3166-1 alpha-2 code, or "001" for non-geographic numbers.
    """

    verification_id: UUID
    tenant: str
    number_token: str
    country: str
    range: str
    purpose: str
    channel: str
    policy: str
    policy_version: int
    expires_at: Instant
    number_type: str = ""
    reference: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The shared fields as stored; `fields()` of it starts every event of the verification."""

    verification_id: UUID
    tenant: str
    number_token: str
    country: str
    range: str
    purpose: str
    channel: str
    policy: str
    policy_version: int
    expires_at: Instant
    number_type: str = ""
    reference: str = ""


def shared(source: "VerificationEvent | Facts") -> dict[str, Any]:
    """The shared fields of `source`, to be spread into another event of the same verification."""
    if isinstance(source, Facts):
        return msgspec.structs.asdict(source)
    return {name: getattr(source, name) for name in Facts.__struct_fields__}
