"""From a well-formed body to a request that can be decided: number, policy, template, life, signals, own code.

Everything here looks at the request and the applied configuration alone, and refuses with the problem that fits.
"""

import hmac
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from watchword.events.risk_level_set import RiskLevelSet
from watchword.intake.bodies import StartBody
from watchword.intake.request import Asker, Start
from watchword.intake.signals import Tokenised, tokenised
from watchword.kernel.binding import binding_hash
from watchword.kernel.feature import kind_of
from watchword.kernel.phone import PhoneNumber, Refusal, parse
from watchword.kernel.policy import TTL_MIN_S, Policy
from watchword.kernel.secret import Code
from watchword.kernel.tenancy import FraudMode, Tenant
from watchword.runtime.configuration import Configuration
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.problems import FieldError, Problem
from watchword.runtime.sealing import derived, joined, token

CHANNELS = frozenset({"sms"})
_NS_PER_US = 1_000


class Levels(Protocol):
    """Where the risk levels in force are looked up: `runtime.mirror.LevelMirror`."""

    def refusing(self, *, tenant: str, country: str, range_: str, now: datetime) -> RiskLevelSet | None:
        """The block in force for a destination, None where it may be sent to."""


class Understanding:
    """Makes requests of bodies, with the keys that turn identifiers into tokens and the mirror of risk levels."""

    def __init__(self, keyring: Keyring, levels: Levels) -> None:
        self._keyring = keyring
        self._levels = levels
        self._fingerprints = derived(keyring.sealing(Purpose.SIGNAL_TOKEN), "fingerprint").secret

    def start(self, body: StartBody, asker: Asker, configuration: Configuration, now: datetime) -> Start:
        """The start that `body` asks for. Raises Problem."""
        tenant = asker.tenant
        rules = rules_of(body, tenant, configuration)
        number = _number(body, tenant)
        claimed = self._claimed(body, number, tenant)
        return Start(
            asker=asker,
            verification_id=new_id(now),
            number=number,
            number_token=token(self._keyring.tenant_key(Purpose.NUMBER_TOKEN, tenant.id), number.e164.reveal()),
            purpose=body.purpose,
            channel=body.channel,
            rules=rules,
            policy_version=configuration.policy_version(tenant.id, rules.id),
            locale=body.locale,
            template=body.template or rules.template,
            reference=body.reference,
            binding=body.binding,
            binding_hash=binding_hash(body.binding),
            signals=claimed.signals,
            ip_key=claimed.ip_key,
            own_code=Code(body.code) if body.code else None,
            blocked=self._is_blocked(tenant, number, trusted=body.signals.trusted, now=now),
        )

    def fingerprint(self, *parts: str | bytes | msgspec.Struct) -> bytes:
        """What tells a repeated request from another one under the same key. Keyed: a body may hold a code, whose
        plain hash would be guessed in no time."""
        flat = [msgspec.json.encode(part) if isinstance(part, msgspec.Struct) else part for part in parts]
        return hmac.digest(self._fingerprints, joined(*flat), "sha256")

    def _is_blocked(self, tenant: Tenant, number: PhoneNumber, *, trusted: bool, now: datetime) -> bool:
        """Whether the destination is blocked for a tenant that enforces, and nobody vouches for the user. A block that
        is told to nobody is left to fraud."""
        if trusted or tenant.fraud_mode is not FraudMode.ENFORCE:
            return False
        told = self._levels.refusing(tenant=tenant.id, country=number.country, range_=number.range, now=now)
        return told is not None and kind_of(told.feature) not in tenant.silenced

    def _claimed(self, body: StartBody, number: PhoneNumber, tenant: Tenant) -> Tokenised:
        try:
            return tokenised(body.signals, number.e164.reveal(), tenant.id, self._keyring)
        except ValueError:
            fault = FieldError(pointer="/signals/ip", detail="This is not an IP address.")
            raise Problem("malformed_body", errors=(fault,)) from None


def new_id(now: datetime) -> UUID:
    """A time-ordered id (RFC 9562 version 7) of the database's present millisecond."""
    return uuid7(nanoseconds=int(now.timestamp() * 1_000_000) * _NS_PER_US)


def rules_of(body: StartBody, tenant: Tenant, configuration: Configuration) -> Policy:
    """The policy that holds for the verification, with the life asked for. Raises Problem."""
    policy = configuration.policy(tenant.id, body.policy)
    if policy is None or policy.purpose not in ("", body.purpose):
        raise Problem("policy_unknown")
    if body.channel not in CHANNELS:
        raise Problem("channel_unsupported")
    if configuration.template(tenant.id, body.template or policy.template) is None:
        raise Problem("template_unknown")
    if body.code is not None and not policy.own_code:
        raise Problem("code_refused", "The policy does not permit codes of the caller's own.")
    if body.ttl_s is None:
        return policy
    least = min(policy.ttl_s, TTL_MIN_S)
    if not least <= body.ttl_s <= policy.ttl_s:
        fault = FieldError(pointer="/ttl_s", detail=f"The policy allows {least} to {policy.ttl_s} seconds.")
        raise Problem("policy_bounds", errors=(fault,))
    return msgspec.structs.replace(policy, ttl_s=body.ttl_s)


def _number(body: StartBody, tenant: Tenant) -> PhoneNumber:
    number = parse(body.to, default_region=tenant.default_region, allowed_countries=tenant.countries)
    if isinstance(number, Refusal):
        raise Problem(number.code, number.detail)
    return number
