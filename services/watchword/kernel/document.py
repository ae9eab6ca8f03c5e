"""The base of every applied document, and the types its fields are made of."""

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}\Z")]
Country = Annotated[str, Meta(pattern=r"^([A-Z]{2}|001)\Z")]
CountryOrAny = Annotated[str, Meta(pattern=r"^([A-Z]{2}|001|\*)\Z")]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
ANY = "*"


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every applied document: unknown fields are refused, nothing changes after it was read."""
