"""A platform asks for a verification by publishing to otp.inbox. The only event that holds a clear number."""

from typing import ClassVar

import msgspec

from watchword.events import topics
from watchword.kernel.event import Event


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the platform claims about the user's request, in clear. `form_ms` is milliseconds."""

    ip: str = ""
    device_id: str = ""
    user_agent: str = ""
    account_ref: str = ""
    platform: str = ""
    app_version: str = ""
    ja4: str = ""
    form_ms: int | None = None
    trusted: bool = False


class VerificationSubmitted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The same fields as POST /v1/verifications; `to` is the number as the user typed it, `ttl_s` in seconds."""

    NAME: ClassVar[str] = "verification-submitted"
    TOPIC: ClassVar[str] = topics.INBOX

    to: str
    purpose: str = "default"
    policy: str = "default"
    channel: str = "sms"
    locale: str = ""
    template: str = ""
    ttl_s: int | None = None
    reference: str = ""
    binding: dict[str, str] = {}
    signals: Claims = Claims()
