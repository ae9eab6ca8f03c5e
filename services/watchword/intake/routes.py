"""Intake's routes on the public door: from a body to a request, from its reply to an answer."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec

from watchword.intake.answers import Accepted, Counted, Reply
from watchword.intake.bodies import FeedbackBody, NoBody, SendOtpBody, StartBody, VerificationTold
from watchword.intake.desk import Desk
from watchword.intake.feedback import FeedbackTold
from watchword.intake.gate import Gate
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.prefer import applied, wait_s
from watchword.intake.reading import Reading
from watchword.intake.request import Asker, Cancel, Feedback, Repeat, Request, Resend
from watchword.intake.understanding import Understanding
from watchword.intake.waiting import Outcomes
from watchword.kernel.tenancy import Tenant
from watchword.runtime.access import rate_headers
from watchword.runtime.clock import Clock
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.configuration import ConfigurationWatch
from watchword.runtime.http import Answer, Call, Route
from watchword.runtime.postgres import AWAY
from watchword.runtime.problems import Problem

START, READ, CANCEL, CHECK = "start", "read", "cancel", "check"
REPLAYED = {"Idempotency-Replayed": "true"}
_HTTP_KEY = "http:"
_NUMBER = ("number_invalid", "number_type_refused", "country_not_permitted", "blocked")
_LIMITS = ("rate_limited", "number_limited", "cooldown", "sends_exhausted", "overloaded")
_REPEATS = ("idempotency_mismatch", "idempotency_in_progress", "conflict")
_CHOICES = ("policy_unknown", "template_unknown", "policy_bounds", "channel_unsupported", "code_refused")


class _Identity(msgspec.Struct):
    id: str


_IDENTITY = msgspec.json.Decoder(_Identity)


class IntakeRoutes:
    """The handlers. An id of another tenant and one that never was are answered alike, byte for byte."""

    def __init__(
        self,
        desk: Desk,
        *,
        understanding: Understanding,
        reading: Reading,
        outcomes: Outcomes,
        gate: Gate,
        configuration: ConfigurationWatch,
        clock: Clock,
        metrics: IntakeMetrics,
    ) -> None:
        self._desk = desk
        self._understanding = understanding
        self._reading = reading
        self._outcomes = outcomes
        self._gate = gate
        self._configuration = configuration
        self._clock = clock
        self._metrics = metrics

    def routes(self) -> list[Route[Any]]:
        """What to mount on the public door."""
        one = "/v1/verifications/{id}"
        starts = (*_NUMBER, *_CHOICES, *_LIMITS, *_REPEATS, "verification_live")
        return [
            Route(method="POST", path="/v1/verifications", name="start_verification", request=StartBody,
                  responses={200: VerificationTold, 202: Counted}, handler=self.start, scope=START, idempotent=True,
                  waits=True, problems=starts,
                  summary="Send a code to a number; a live verification of it is sent again"),
            Route(method="POST", path="/send-otp", name="send_otp", request=SendOtpBody,
                  responses={200: VerificationTold, 202: Counted}, handler=self.send_otp, scope=START,
                  idempotent=True, waits=True, problems=starts,
                  summary="Send a code to a number: the simple form"),
            Route(method="POST", path=f"{one}/resend", name="resend_verification", request=NoBody,
                  responses={200: VerificationTold, 202: Counted}, handler=self.resend, scope=START,
                  idempotent=True, waits=True,
                  problems=("not_found", "ended", *_LIMITS, *_REPEATS), summary="Send the code once more"),
            Route(method="POST", path=f"{one}/cancel", name="cancel_verification", request=NoBody,
                  responses={200: Counted}, handler=self.cancel, scope=CANCEL,
                  problems=("not_found", "ended", "conflict"), summary="End a live verification"),
            Route(method="POST", path=f"{one}/feedback", name="give_feedback", request=FeedbackBody,
                  responses={200: FeedbackTold}, handler=self.feedback, scope=CHECK, problems=("not_found", "conflict"),
                  summary="Say whether the user turned out to be one; the same again changes nothing"),
            Route(method="GET", path=one, name="read_verification", request=None, responses={200: VerificationTold},
                  handler=self.read, scope=READ, problems=("not_found",),
                  summary="Where a verification stands, with every attempt to send its code"),
        ]  # fmt: skip

    async def start(self, call: Call[StartBody]) -> Answer:
        """Begin a verification. Raises Problem, or what the desk raises."""
        return await self._start(call, call.body)

    async def send_otp(self, call: Call[SendOtpBody]) -> Answer:
        """Begin a verification with purpose and policy `default`. Raises as `start` does."""
        return await self._start(call, StartBody(to=call.body.mobile, code=call.body.otp))

    async def resend(self, call: Call[NoBody]) -> Answer:
        """Send a verification's code again. Raises as `start` does."""
        asked_at = asyncio.get_running_loop().time()
        with self._gate.passage(call.tenant):
            identity = _uuid(call.params["id"])
            answer = answered(await self._desk.ask(Resend(self._asker(call, call.params["id"]), identity)))
        return await self._waited(answer, call, asked_at)

    async def cancel(self, call: Call[NoBody]) -> Answer:
        """End a verification. Raises as `start` does."""
        return answered(await self._desk.ask(Cancel(self._asker(call, ""), _uuid(call.params["id"]))))

    async def feedback(self, call: Call[FeedbackBody]) -> Answer:
        """Keep the platform's word on a verification. Raises as `start` does."""
        asker, identity = self._asker(call, ""), _uuid(call.params["id"])
        return answered(await self._desk.ask(Feedback(asker, identity, call.body.good)))

    async def read(self, call: Call[None]) -> Answer:
        """One verification. Raises Problem, or what Postgres raises."""
        told = await self._reading.told(_uuid(call.params["id"]), call.tenant)
        if told is None:
            raise Problem("not_found")
        return Answer(200, told)

    async def _start(self, call: Call[Any], body: StartBody) -> Answer:
        asked_at = asyncio.get_running_loop().time()
        with self._gate.passage(call.tenant):
            answer = answered(await self._desk.ask(self._understood(call, body)))
        if answer.headers.keys().isdisjoint(REPLAYED):
            self._gate.accepted(lambda: _identity(answer))
        return await self._waited(answer, call, asked_at)

    def _understood(self, call: Call[Any], body: StartBody) -> Request:
        asker = self._asker(call, body)
        try:
            return self._understanding.start(body, asker, self._configuration.current(), self._clock.now())
        except Problem as problem:
            self._metrics.refused.add(reason=problem.code)
            raise

    async def _waited(self, answer: Answer, call: Call[Any], asked_at: float) -> Answer:
        """The outcome, if the caller wants to wait for it and there is one in time; else what was accepted: it stays
        accepted whatever fails here."""
        seconds = wait_s(call.headers)
        if not seconds:
            return answer
        identity = _identity(answer)
        left_s = max(asked_at + seconds - asyncio.get_running_loop().time(), 0.0)
        try:
            known = await self._outcomes.known(identity, within_s=left_s, gone=call.gone)
            told = await self._reading.told(identity, call.tenant) if known else None
        except (Overloaded, *AWAY):
            return answer
        headers = {**answer.headers, **applied(seconds)}
        return Answer(answer.status, answer.body, headers) if told is None else Answer(200, told, headers)

    def _asker(self, call: Call[Any], said: StartBody | str) -> Asker:
        """Who calls; `said` is what must be the same under the same Idempotency-Key, besides the operation."""
        repeat = None
        if call.idempotency_key:
            fingerprint = self._understanding.fingerprint(call.url.partition("?")[0], said)
            repeat = Repeat(_HTTP_KEY + call.idempotency_key, fingerprint)
        key = call.caller.name if call.caller is not None else ""
        return Asker(self._tenant(call), repeat, traceparent=call.traceparent, api_key=key)

    def _tenant(self, call: Call[Any]) -> Tenant:
        tenant = self._configuration.current().tenant(call.tenant)
        if tenant is None:
            raise Problem("unauthenticated")
        return tenant


def answered(reply: Reply) -> Answer:
    """The reply as HTTP says it. Raises Problem for a refusal."""
    rates = (
        rate_headers(
            "tenant",
            quota=reply.room.quota,
            window_s=reply.room.window_s,
            remaining=reply.room.remaining,
            reset_s=reply.room.reset_s,
        )
        if reply.room is not None
        else {}
    )
    if isinstance(reply, Accepted):
        return Answer(reply.status, reply.body, {**rates, **(REPLAYED if reply.replayed else {})})
    raise Problem(
        reply.code, reply.detail, retry_after_s=reply.retry_after_s or None, members=reply.members, headers=rates
    )


def _identity(answer: Answer) -> UUID:
    return UUID(_IDENTITY.decode(answer.body).id)


def _uuid(text: str) -> UUID:
    """An id as we write it. Raises Problem for everything else: other spellings of the same id are not ours."""
    try:
        identity = UUID(text)
    except ValueError:
        raise Problem("not_found") from None
    if str(identity) != text:
        raise Problem("not_found")
    return identity
