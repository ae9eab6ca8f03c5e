"""Endpoints, endings and secrets for tests of callbacks."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.events.verification import Facts, shared
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.kernel.ids import event_id

PATIENCE_S = 20.0
SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"t" * 32).decode()
_BEGINNING = Path(__file__).with_name("callbacks.toml")


def endpoint(
    url: str, *, name: str = "main", secrets: Sequence[str] = (SECRET,), disabled: bool = False, events: str = ""
) -> str:
    """An endpoint of the shop as a configuration file has it."""
    listed = ", ".join(f'"{secret}"' for secret in secrets)
    wanted = f"events = [{events}]" if events else ""
    return (
        f'\n[[endpoints]]\nid = "{name}"\ntenant = "shop"\nurl = "{url}"\nsecrets = [{listed}]\n'
        f"disabled = {str(disabled).lower()}\n{wanted}\n"
    )


async def configure(stand: Pipeline, *endpoints: str) -> None:
    """Apply tenants and these endpoints."""
    file = stand.keyring_path.with_name("callbacks.toml")
    file.write_text(_BEGINNING.read_text("utf-8") + "".join(endpoints), "utf-8")
    await stand.configure(file)


async def ended(stand: Pipeline, *, state: str = "approved", **columns: Any) -> Facts:
    """A verification that has ended, in its row."""
    ends: dict[str, Any] = {"state": state, "end_reason": "right_code", "seq": 5, "sends_issued": 1, "checks_used": 1}
    about = await stand.verification(**({"due_at": None} | ends | {"ended_at": columns.pop("at", None)} | columns))
    return about


def ending(about: Facts) -> VerificationEnded:
    """The event that tells it."""
    return VerificationEnded(
        **shared(about), state=Ending.APPROVED, reason="right_code", requested_at=about.expires_at, checks_used=1
    )


def id_of(about: Facts) -> UUID:
    """The id of that event."""
    return event_id(str(about.verification_id), VerificationEnded.NAME)


async def tell(stand: Pipeline, *endings: Facts) -> None:
    """Publish their endings, as whoever ended them would."""
    for about in endings:
        await stand.publish(ending(about), subject=str(about.verification_id))


async def states(stand: Pipeline, *, wanted: dict[str, int]) -> dict[str, int]:
    """The first moment at which so many deliveries are in each state."""

    async def reached() -> dict[str, int]:
        rows = await stand.connection.fetch("SELECT state, count(*) AS n FROM callback_deliveries GROUP BY state")
        found = {row["state"]: row["n"] for row in rows}
        return found if found == wanted else {}

    return await eventually(reached, within_s=PATIENCE_S, what=f"deliveries {wanted}")
