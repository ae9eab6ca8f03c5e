"""How Postgres would carry out a statement whose arguments it does not know, and what in that plan reads too much."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from watchword.runtime.postgres import Connection

MANY_ROWS = 10_000

# EXPLAIN leaves placeholders open only where nobody binds them: neither a driver's prepared statement nor EXECUTE does.
_PLANNER = """
CREATE OR REPLACE FUNCTION pg_temp.plan_of(statement text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    told json;
BEGIN
    EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || statement INTO told;
    RETURN told;
END $$
"""
_SIZES = "SELECT relname::text AS name, reltuples::bigint AS entries FROM pg_class WHERE relkind IN ('r', 'i')"

Plan = Mapping[str, Any]


async def sizes(connection: Connection) -> dict[str, int]:
    """How many rows each table has, and entries each index, as of the last ANALYZE; partitions by themselves."""
    return {row["name"]: row["entries"] for row in await connection.fetch(_SIZES)}


async def plan_of(connection: Connection, statement: str) -> Plan:
    """The plan of `statement`, whose $1, $2 … stay open. As the role and under the settings of the connection."""
    await connection.execute(_PLANNER)
    told = orjson.loads(await connection.fetchval("SELECT pg_temp.plan_of($1)", statement))
    return dict(told[0]["Plan"])


def costly(plan: Plan, entries: Mapping[str, int]) -> Iterator[str]:
    """The scans that read a large table, or a large index, from end to end."""
    for node in _nodes(plan):
        kind = node["Node Type"]
        table, index = node.get("Relation Name", ""), node.get("Index Name", "")
        if kind == "Seq Scan" and entries.get(table, 0) > MANY_ROWS:
            yield f"{kind} on {table}"
        elif index and "Index Cond" not in node and entries.get(index, 0) > MANY_ROWS:
            yield f"{kind} of all of {index}"


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
