"""One verification's rows as the public API tells them."""

from collections.abc import Iterable
from datetime import datetime

import asyncpg
import msgspec

from watchword.events.envelope import instant
from watchword.events.verification import Facts
from watchword.events.verification_ended import Ending, VerificationEnded, result_of
from watchword.intake.answers import counted
from watchword.intake.bodies import AttemptTold, VerificationListed, VerificationTold
from watchword.kernel.document import read_stored
from watchword.kernel.policy import Policy
from watchword.kernel.verification import State


def told(row: asyncpg.Record, attempts: Iterable[asyncpg.Record], shown_number: str) -> VerificationTold:
    """The verification in `row` with its attempts. Terminal ones are told like live ones."""
    alone = listed(row, shown_number)
    return VerificationTold(
        **{name: getattr(alone, name) for name in VerificationListed.__struct_fields__},
        attempts=[_attempt(each) for each in attempts],
    )


def listed(row: asyncpg.Record, shown_number: str) -> VerificationListed:
    """The verification in `row` by itself."""
    about = counted(
        str(row["verification_id"]),
        State(row["state"]),
        read_stored(row["rules"], Policy),
        shown_number=shown_number,
        expires_at=row["expires_at"],
        next_send_at=row["next_send_at"],
        sends_requested=row["sends_requested"],
        checks_used=row["checks_used"],
    )
    return VerificationListed(
        **msgspec.structs.asdict(about),
        purpose=row["purpose"],
        channel=row["channel"],
        country=row["country"],
        policy=row["policy"],
        reference=row["reference"],
        created_at=instant(row["created_at"]),
        ended_at=_instant(row["ended_at"]),
        end_reason=row["end_reason"],
        result=_result(row),
    )


def _result(row: asyncpg.Record) -> VerificationEnded | None:
    if row["ended_at"] is None:
        return None
    return result_of(
        Facts(**{name: row[name] for name in Facts.__struct_fields__}),
        state=Ending(row["state"]),
        reason=row["end_reason"],
        requested_at=row["created_at"],
        sends_used=row["sends_issued"],
        checks_used=row["checks_used"],
    )


def _attempt(row: asyncpg.Record) -> AttemptTold:
    return AttemptTold(
        send_no=row["send_no"],
        try_no=row["try_no"],
        state=row["state"],
        receipt=row["receipt_state"] or "",
        created_at=instant(row["created_at"]),
        concluded_at=_instant(row["concluded_at"]),
        receipt_at=_instant(row["receipt_at"]),
    )


def _instant(moment: datetime | None) -> str | None:
    return instant(moment) if moment is not None else None
