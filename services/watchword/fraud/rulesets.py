"""The rules in force and the candidate beside them: as an operator loaded them, exchanged while the process runs."""

from collections.abc import Mapping
from typing import Any, Literal

import asyncpg
import msgspec
import orjson
import structlog

from watchword.fraud.decide.rules import Rules
from watchword.runtime.configuration import ConfigurationWatch
from watchword.runtime.postgres import statements

Role = Literal["live", "shadow"]
RULES_EVERY_S = 1.0
TIMEOUT_S = 10.0

log = structlog.get_logger()
_SQL = statements("watchword.fraud", "lifting.sql")


class Rulesets:
    """What to judge by now. One that this version cannot read changes nothing: the one before it stands."""

    def __init__(self, configuration: ConfigurationWatch, settled: Rules) -> None:
        """`settled` are the rules of the settings, in force until a ruleset is loaded."""
        self._configuration = configuration
        self._settled = settled
        self._read: dict[str, tuple[Mapping[str, Any], Rules | None]] = {}

    def live(self) -> Rules:
        """The rules in force."""
        return self._of("live") or self._settled

    def shadow(self) -> Rules | None:
        """The candidate, if one is on trial."""
        return self._of("shadow")

    def _of(self, role: Role) -> Rules | None:
        document = self._configuration.current().rulesets.get(role)
        if document is None:
            self._read.pop(role, None)
            return None
        known, rules = self._read.get(role, (None, None))
        if document is not known:
            rules = _rules(document, role) or rules
            self._read[role] = (document, rules)
        return rules


def _rules(document: Mapping[str, Any], role: str) -> Rules | None:
    try:
        rules = msgspec.convert(document, Rules)
    except msgspec.ValidationError as error:
        log.error("fraud.ruleset_refused", ruleset=role, error=str(error))
        return None
    if wrong := rules.wrong():
        log.error("fraud.ruleset_refused", ruleset=role, error=wrong)
        return None
    log.info("fraud.ruleset_taken", ruleset=role, name=rules.name)
    return rules


async def load(dsn: str, role: Role, rules: Rules | None) -> int:
    """Make `rules` the live ruleset or the candidate; None takes it back. Answers its version, 0 where there was
    nothing to take back. Raises what Postgres raises."""
    connection = await asyncpg.connect(dsn, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S)
    try:
        text = None if rules is None else orjson.dumps(msgspec.to_builtins(rules)).decode()
        digest = "" if rules is None else rules.name
        return int(await connection.fetchval(_SQL["load_ruleset"], role, text, digest))
    finally:
        await connection.close(timeout=TIMEOUT_S)
