"""Which numbers are known users' (decision 0058). Asked only of requests that something speaks against, which are few
unless there is an attack; and then once a batch."""

from collections.abc import Collection
from typing import TypeAlias

from watchword.kernel.feature import KNOWN_FOR
from watchword.runtime.postgres import Connection, columns, statements

Number: TypeAlias = tuple[str, str]
"""A tenant and a number's token."""

_SQL = statements("watchword.runtime", "known.sql")


async def known(connection: Connection, numbers: Collection[Number]) -> frozenset[Number]:
    """Those of `numbers` that were verified for their tenant within `KNOWN_FOR`, as far as the number was neither
    erased nor disowned since. Nothing is read where nothing is asked. Raises what Postgres raises."""
    if not numbers:
        return frozenset()
    rows = await connection.fetch(_SQL["known"], *columns(sorted(set(numbers)), 2), KNOWN_FOR)
    return frozenset((row["tenant"], row["number_token"]) for row in rows)
