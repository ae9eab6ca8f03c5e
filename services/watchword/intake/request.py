"""What intake is asked, understood: the number parsed, the policy found, every identifier made a token. Values only.

Both doors make these; whatever can be refused without looking at state has been refused by then.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from watchword.events.verification import Signals
from watchword.kernel.phone import PhoneNumber
from watchword.kernel.policy import Policy
from watchword.kernel.secret import Code
from watchword.kernel.tenancy import Tenant


@dataclass(frozen=True, slots=True)
class Repeat:
    """How a repeated request is known: a key within the tenant and a keyed fingerprint of what was asked under it.

    `keeps_refusals` is for the Kafka door, where the same record may be read again and must come to the same end;
    over HTTP a refusal is not kept, so that the same key may be tried again.
    """

    key: str
    fingerprint: bytes = field(repr=False)
    keeps_refusals: bool = False


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who published the request: refusals are told on otp.results. `position` is topic/partition/offset; past
    `expires_at`, if there is one, the publisher has no use for the verification any more."""

    request_id: str
    reference: str
    position: str
    expires_at: datetime | None = None


class Asker(msgspec.Struct, frozen=True):
    """On whose behalf, and how to answer: what every request has in common. `api_key` is the name of the key that was
    used, "" over Kafka."""

    tenant: Tenant
    repeat: Repeat | None = None
    publisher: Publisher | None = None
    traceparent: str = ""
    api_key: str = ""


class Start(msgspec.Struct, frozen=True):
    """A verification is asked for. `rules` is the policy with the life that was asked for; `verification_id` becomes
    the new verification's id if there is to be one; `ip_key` names the claimed address's budget, "" if none."""

    asker: Asker
    verification_id: UUID
    number: PhoneNumber
    number_token: str
    purpose: str
    channel: str
    rules: Policy
    policy_version: int
    locale: str
    template: str
    reference: str
    binding: Mapping[str, str]
    binding_hash: str
    signals: Signals
    ip_key: str = ""
    own_code: Code | None = None
    blocked: bool = False


class Resend(msgspec.Struct, frozen=True):
    """The code of a verification is asked for once more."""

    asker: Asker
    verification_id: UUID


class Cancel(msgspec.Struct, frozen=True):
    """A verification shall end."""

    asker: Asker
    verification_id: UUID


class Feedback(msgspec.Struct, frozen=True):
    """The platform says of a verification whether its user was one."""

    asker: Asker
    verification_id: UUID
    good: bool


Request = Start | Resend | Cancel | Feedback


def touched(request: Request) -> Iterator[Hashable]:
    """What a request is exclusive about: its idempotency key, and its number and purpose or its verification."""
    asker = request.asker
    if asker.repeat is not None:
        yield "key", asker.tenant.id, asker.repeat.key
    if isinstance(request, Start):
        yield "number", asker.tenant.id, request.number_token, request.purpose
    else:
        yield "verification", request.verification_id
