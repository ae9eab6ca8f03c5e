"""What a message is taken to cost and how much may be spent: documents that `watchword apply` writes. Money is in
millionths (micros) of one currency, the one that prices and caps are written in."""

from typing import Annotated, Literal

from msgspec import Meta

from watchword.kernel.document import ANY, CountryOrAny, Document, Name

Micros = Annotated[int, Meta(ge=0, le=1_000_000_000_000_000)]
NameOrAny = Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9_.-]{0,62}|\*)\Z")]
Window = Literal["hour", "day"]


class Price(Document, frozen=True, kw_only=True):
    """What one part of a message to `country` costs at most, "*" for every country that has no price of its own."""

    country: CountryOrAny
    micros: Micros

    @property
    def id(self) -> str:
        """The country: each has one price."""
        return self.country


class Cap(Document, frozen=True, kw_only=True):
    """How much may be spent in an hour and a day (by the clock, UTC), 0 for no end, on the sends that it is for: those
    of `tenant`, to `country`, asked for with the API key that is called `api_key`, "*" for all.

    `each` counts by itself what every tenant, country or key spends; left out, one sum stands for all of it. A cap is
    what an operator sets, no judgement: it refuses whatever a tenant's fraud mode is.
    """

    id: Name
    tenant: NameOrAny = ANY
    country: CountryOrAny = ANY
    api_key: NameOrAny = ANY
    each: Literal["", "tenant", "country", "api_key"] = ""
    hour_micros: Micros = 0
    day_micros: Micros = 0

    def is_for(self, tenant: str, country: str, api_key: str) -> bool:
        """Whether a send counts under it. What came with no key (over Kafka) counts under no key's cap."""
        if api_key == "" and (self.api_key != ANY or self.each == "api_key"):
            return False
        return self.tenant in (ANY, tenant) and self.country in (ANY, country) and self.api_key in (ANY, api_key)
