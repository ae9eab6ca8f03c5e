"""What keeps caps and prices from being applied: each fault is one sentence with its mend."""

from collections.abc import Collection, Iterable, Iterator

from watchword.kernel.document import ANY
from watchword.kernel.spending import Cap


def faults_of_caps(caps: Iterable[Cap]) -> Iterator[str]:
    """What is wrong with a cap by itself."""
    for cap in caps:
        where = f'[[caps]] "{cap.id}"'
        if not cap.hour_micros and not cap.day_micros:
            yield f"{where} limits nothing; give it hour_micros, day_micros or both"
        if cap.api_key != ANY and cap.tenant == ANY:
            yield f"{where} names an api_key and no tenant; names of keys are a tenant's own, so name it too"


def unpriced(caps: Collection[Cap], prices: Collection[str]) -> list[str]:
    """What is wrong where there are caps, and no price for countries that have none of their own: those would be free,
    and their sends counted nowhere. `prices` are the countries that have one."""
    if not caps or ANY in prices:
        return []
    return ['[[caps]] count money, and not every country has a price; add [[prices]] with country = "*" for the rest']
