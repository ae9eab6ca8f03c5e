"""What each named statement does, as a function over `Rows`: one module a worker, one function a statement, under the
statement's own name. What is not here no simulated process may ask for."""

from collections.abc import Mapping
from types import ModuleType

from tests.simulation.statements import checks, codes, dispatch, fraud, intake, outboxes, receipts, timers
from tests.simulation.tables import Statement
from watchword.runtime.postgres import statements

TABLES = (
    "verifications", "latest_verifications", "subjects", "codes", "attempts", "limits", "idempotency", "outbox",
    "receipts_parked", "receipts_unmapped",
)  # fmt: skip


def _of(package: str, module: ModuleType) -> dict[str, Statement]:
    return {sql: getattr(module, name) for name, sql in statements(package).items() if hasattr(module, name)}


MODELLED: Mapping[str, Statement] = {
    **_of("watchword.intake", intake),
    **_of("watchword.fraud", fraud),
    **_of("watchword.codes", codes),
    **_of("watchword.dispatch", dispatch),
    **_of("watchword.receipts", receipts),
    **_of("watchword.checks", checks),
    **_of("watchword.timers", timers),
    **outboxes.STATEMENTS,
}


def named(package: str, name: str) -> str:
    """The SQL of one statement."""
    return statements(package)[name]
