"""The checks' two routes on the public door: from a body to a check, from its answer to an answer."""

from uuid import UUID, uuid4

from msgspec import UNSET

from watchword.checks.bodies import CheckBody, CheckTold, VerifyOtpBody, VerifyOtpTold
from watchword.checks.budgets import Excess
from watchword.checks.decide import NOTHING_THERE, Result
from watchword.checks.decide import Answer as Decided
from watchword.checks.desk import Answered, Check, Desk, Exhausted
from watchword.checks.store import Unreadable
from watchword.kernel.binding import binding_hash
from watchword.kernel.phone import Refusal, parse
from watchword.kernel.secret import Code
from watchword.kernel.tenancy import FraudMode, Tenant
from watchword.runtime.configuration import ConfigurationWatch
from watchword.runtime.http import Answer, Call, Route
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.problems import Problem
from watchword.runtime.sealing import token

SCOPE = "check"
SIMPLE_PURPOSE = "default"


class CheckRoutes:
    """The handlers. A verification of another tenant and one that never was are answered alike."""

    def __init__(self, desk: Desk, *, keyring: Keyring, configuration: ConfigurationWatch, deadline_s: float) -> None:
        self._desk = desk
        self._keyring = keyring
        self._configuration = configuration
        self._deadline_s = deadline_s

    def routes(self) -> list[Route[CheckBody] | Route[VerifyOtpBody]]:
        """What to mount on the public door."""
        return [
            Route(
                method="POST",
                path="/v1/verifications/{id}/check",
                name="check_verification",
                request=CheckBody,
                responses={200: CheckTold},
                handler=self.check,
                summary="Submit what the user typed; the answer is right once",
                problems=("not_found", "number_limited"),
                scope=SCOPE,
            ),
            Route(
                method="POST",
                path="/verify-otp",
                name="verify_otp",
                request=VerifyOtpBody,
                responses={200: VerifyOtpTold},
                handler=self.verify_otp,
                summary="Submit what the user typed, by number: the simple form",
                problems=("number_invalid", "number_type_refused", "country_not_permitted", "number_limited"),
                scope=SCOPE,
            ),
        ]

    async def check(self, call: Call[CheckBody]) -> Answer:
        """One check of a verification by its id. Raises Problem, or what the desk raises."""
        identity = _uuid(call.params["id"])
        if identity is None:
            raise Problem("not_found")
        binding = None if call.body.binding is UNSET else binding_hash(call.body.binding)
        answered = await self._desk.check(
            Check(call.tenant, identity, Code(call.body.code), self._excess(call.tenant), binding),
            deadline_s=self._deadline_s,
        )
        decided = _decided(answered)
        if decided is None:
            raise Problem("not_found")
        return Answer(200, CheckTold(result=decided.result.value, checks_left=decided.checks_left))

    async def verify_otp(self, call: Call[VerifyOtpBody]) -> Answer:
        """One check of a number's newest verification. A number that has none answers as one whose code expired.
        Raises Problem, or what the desk raises."""
        tenant = call.tenant
        number = (tenant, self._number_token(tenant, call.body.mobile), SIMPLE_PURPOSE)
        identity = await self._desk.latest(number, deadline_s=self._deadline_s)
        # A number without a verification is checked all the same, so that its answer takes as long.
        check = Check(tenant, identity or uuid4(), Code(call.body.otp), self._excess(tenant))
        answered = await self._desk.check(check, deadline_s=self._deadline_s)
        decided = _decided(answered) or NOTHING_THERE
        told = VerifyOtpTold(
            verified=decided.result is Result.APPROVED,
            result=decided.result.value,
            checks_left=decided.checks_left,
        )
        return Answer(200, told)

    def _number_token(self, tenant_id: str, typed: str) -> str:
        tenant = self._tenant(tenant_id)
        number = parse(typed, default_region=tenant.default_region, allowed_countries=tenant.countries)
        if isinstance(number, Refusal):
            raise Problem(number.code, number.detail)
        return token(self._keyring.tenant_key(Purpose.NUMBER_TOKEN, tenant_id), number.e164.reveal())

    def _excess(self, tenant_id: str) -> Excess:
        tenant = self._tenant(tenant_id)
        return Excess(tenant_id, tenant.wrong_excess_per_hour, tenant.fraud_mode is FraudMode.ENFORCE)

    def _tenant(self, tenant_id: str) -> Tenant:
        tenant = self._configuration.current().tenant(tenant_id)
        if tenant is None:
            raise Problem("not_found")
        return tenant


def _uuid(text: str) -> UUID | None:
    """An id as we write it, None for everything else: other spellings of the same id are not ours."""
    try:
        identity = UUID(text)
    except ValueError:
        return None
    return identity if str(identity) == text else None


def _decided(answered: Answered) -> Decided | None:
    if isinstance(answered, Exhausted):
        raise Problem("number_limited", retry_after_s=answered.retry_after_s)
    if isinstance(answered, Unreadable):  # not for long: whoever wrote it is at the door as well, or soon again
        raise Problem("unavailable", retry_after_s=1)
    return answered if isinstance(answered, Decided) else None
