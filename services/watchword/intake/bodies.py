"""The bodies of intake's public API, as structs: they are the validation, and the OpenAPI document is made of them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from watchword.events.verification_ended import VerificationEnded

Word = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}\Z")]
WordOrNone = Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9_.-]{0,62})?\Z")]
Locale = Annotated[str, Meta(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4})?\Z")]
Digits = Annotated[str, Meta(pattern=r"^[0-9]{4,10}\Z")]
Text = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z", max_length=256)]
ShortText = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z", max_length=64)]
Typed = Annotated[str, Meta(min_length=1, max_length=256)]


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the platform claims about the user's request. Identifiers become keyed tokens and are not kept."""

    ip: Annotated[str, Meta(max_length=64)] = ""
    device_id: Text = ""
    user_agent: Annotated[str, Meta(max_length=512)] = ""
    account_ref: Text = ""
    platform: ShortText = ""
    app_version: ShortText = ""
    ja4: ShortText = ""
    form_ms: Annotated[int, Meta(ge=0, le=2_147_483_647)] | None = None
    trusted: bool = False

    def __repr__(self) -> str:
        return "<Claims>"


class StartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A verification is asked for. `to` is the number as the user typed it; `ttl_s` at most the policy's; `binding`
    is what the code shall confirm besides the number; `code` the caller's own, where the policy permits it."""

    to: Typed
    purpose: Word = "default"
    policy: Word = "default"
    channel: Annotated[str, Meta(pattern=r"^[a-z]{1,32}\Z")] = "sms"
    locale: Locale = ""
    template: WordOrNone = ""
    ttl_s: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    reference: Text = ""
    binding: Annotated[dict[Word, Text], Meta(max_length=16)] = {}
    code: Digits | None = None
    signals: Claims = Claims()

    def __repr__(self) -> str:
        return f"<StartBody purpose={self.purpose!r}>"


class SendOtpBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simple form: a number, and the code if the caller brings it."""

    mobile: Typed
    otp: Digits | None = None

    def __repr__(self) -> str:
        return "<SendOtpBody>"


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object without fields: `{}`."""


class FeedbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the platform learned afterwards: `good` for a user, false for somebody it had to turn away."""

    good: bool


class AttemptTold(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to send. `receipt` is what the carrier last said of it, "" so far."""

    send_no: int
    try_no: int
    state: str
    receipt: str
    created_at: str
    concluded_at: str | None
    receipt_at: str | None


class VerificationListed(msgspec.Struct, frozen=True, kw_only=True):
    """One verification. `result` is how it ended, in the very words of the webhook and of the results topic; null
    while it is pending."""

    id: str
    status: str
    to: str
    purpose: str
    channel: str
    country: str
    policy: str
    reference: str
    created_at: str
    expires_at: str
    next_send_at: str
    ended_at: str | None
    end_reason: str
    sends_left: int
    checks_left: int
    result: VerificationEnded | None


class VerificationTold(VerificationListed, frozen=True, kw_only=True):
    """One verification and every attempt to send its code; the code itself is told nowhere."""

    attempts: list[AttemptTold]
