"""The bodies of the checks' public API, as structs: they are the validation, and the OpenAPI document is made of
them. A code is ASCII digits before anything else is looked at."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

Digits = Annotated[str, Meta(pattern=r"^[0-9]{4,10}\Z")]
Word = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}\Z")]
Text = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z", max_length=256)]
Typed = Annotated[str, Meta(min_length=1, max_length=256)]
Binding = Annotated[dict[Word, Text], Meta(max_length=16)]


class CheckBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user typed. `binding`, where given, is what the user was shown to confirm: another one than at the
    start is a mismatch."""

    code: Digits
    binding: Binding | UnsetType = UNSET

    def __repr__(self) -> str:
        return "<CheckBody>"


class VerifyOtpBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simple form: the number and what the user typed."""

    mobile: Typed
    otp: Digits

    def __repr__(self) -> str:
        return "<VerifyOtpBody>"


class CheckTold(msgspec.Struct, frozen=True, kw_only=True):
    """`result` is approved, wrong, expired, locked, used or binding_mismatch; `checks_left` 0 once it has ended."""

    result: str
    checks_left: int


class VerifyOtpTold(msgspec.Struct, frozen=True, kw_only=True):
    """The same, with the one question most callers have answered first."""

    verified: bool
    result: str
    checks_left: int
