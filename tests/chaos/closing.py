"""When everything is in order again: wait until all is quiet, then ask everybody what they know."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from tests.chaos.carriers import BURIED, Place, Poison
from tests.chaos.installation import BOUND, CARRIERS, Installation
from tests.chaos.nameless import Called, Message, owners
from tests.chaos.outside import Broken, notices, unheard, untold
from tests.chaos.truth import Attempt, Row, Seen, Sms
from tests.chaos.users import Phones, User
from tests.support.proxy import FAIR
from tests.support.records import DEAD, everything_on
from tests.support.waiting import eventually, paced
from watchword.local.process import LocalServerError

QUIET_WITHIN_S = 180.0
READY_WAITS = 3
AUDIT_WITHIN_S = 400.0
AT_REST_AFTER_S = 5.0
AUDITS_MAX = 12
CANARIES_MAX = 300  # each is looked for in every byte of every record


async def set_right(made: Installation) -> None:
    """Fair weather, carriers as usual, every worker ready. Raises LocalServerError for one that is not."""
    for proxy in made.proxies.values():
        proxy.change(FAIR)
    for name in CARRIERS:
        await made.behave(name)
    for name, child in list(made.stack.children.items()):
        if not child.stopped:
            await _ready(made, name)


async def _ready(made: Installation, name: str) -> None:
    """Wait for one worker, again where a busy machine takes longer than a start may: who is late is started anew."""
    for left in reversed(range(READY_WAITS)):
        try:
            await asyncio.to_thread(made.stack.await_ready, name)
            return
        except LocalServerError:
            if not left:
                raise


async def quiet(made: Installation) -> str:
    """Wait until nothing is under way; answers what still was when patience ended, "" if nothing."""
    last = ""

    async def is_quiet() -> bool:
        nonlocal last
        last = await _under_way(made)
        await paced(0 if not last else 0.5)
        return not last

    try:
        await eventually(is_quiet, within_s=QUIET_WITHIN_S, what="everything to be quiet")
    except AssertionError:
        return last
    return ""


async def _under_way(made: Installation) -> str:
    told = await rows(
        made,
        "SELECT (SELECT count(*) FROM outbox) AS outbox, "
        "(SELECT count(*) FROM attempts WHERE state IN ('queued', 'sending')) AS attempts, "
        "(SELECT count(*) FROM callback_deliveries WHERE state = 'pending') AS callbacks",
    )
    left = {name: int(count) for name, count in dict(told[0]).items() if count}
    for name in CARRIERS:
        if pending := (await made.carriers.receipts_of(name)).pending:
            left[f"receipts of {name}"] = pending
    return ", ".join(f"{count} {name}" for name, count in left.items())


async def rows(made: Installation, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """What the database says, as its owner."""
    connection = await asyncpg.connect(made.dsn, timeout=10)
    try:
        return list(await connection.fetch(query, *arguments, timeout=60))
    finally:
        await connection.close(timeout=10)


async def seen(made: Installation, users: Sequence[User], phones: Phones) -> Seen:
    """Everything the judgement goes by."""
    await phones.read()
    verifications = await rows(
        made, "SELECT id::text, state, end_reason AS reason, sends_requested AS sends FROM verifications"
    )
    attempts = await rows(
        made,
        "SELECT id::text, verification_id::text AS verification, send_no, account, state, send_deadline, "
        "possible_duplicate FROM attempts",
    )
    names = await _named(made, users, phones)
    sms = [
        Sms(names.get(message["client_ref"], message["client_ref"]), datetime.fromisoformat(message["time"]))
        for phone in phones.by_number.values()
        for message in phone.messages
    ]
    return Seen(users, [Row(**row) for row in verifications], [Attempt(**row) for row in attempts], sms)


async def _named(made: Installation, users: Sequence[User], phones: Phones) -> Mapping[str, str]:
    """The attempts of messages that came over SMPP."""
    ids = {sent.client_ref: sent.id for sent in (await made.carriers.ledger_of(BOUND)).messages}
    messages = [
        Message(message["client_ref"], ids[message["client_ref"]], user.id)
        for user in users
        for message in phones.of(user.number).messages
        if message["client_ref"] in ids
    ]
    attempts = await rows(
        made,
        "SELECT id::text, verification_id::text AS verification, provider_id FROM attempts "
        "WHERE account = 'bound' AND claimed_at IS NOT NULL ORDER BY id",
    )
    return owners(messages, (Called(**row) for row in attempts))


async def outside(made: Installation) -> tuple[dict[str, int], list[Broken]]:
    """How often the platform's endpoint was called and how many attempts carriers reported on; and what of that does
    not agree with the tables. To be asked when all is quiet."""
    ends = await rows(made, "SELECT id::text, state FROM verifications WHERE ended_at IS NOT NULL")
    attempts = await rows(made, "SELECT id::text, coalesce(receipt_state, '') AS state FROM attempts")
    reported: dict[str, tuple[str, ...]] = {}
    for name in CARRIERS:
        for sent in (await made.carriers.ledger_of(name)).messages:
            if sent.reported:
                reported[sent.client_ref] = (*reported.get(sent.client_ref, ()), *sent.reported)
    told = notices(made.endpoint.calls)
    broken = [
        *untold({row["id"]: row["state"] for row in ends}, told),
        *unheard({row["id"]: row["state"] for row in attempts}, reported),
    ]
    return {"ends_told": len({each.verification for each in told}), "attempts_reported": len(reported)}, broken


async def audit(made: Installation, users: Sequence[User], phones: Phones, directory: Path) -> dict[str, Any]:
    """What `watchword audit` finds, asked again while nothing but the last offsets is missing."""
    canary = directory / "canaries"
    canary.write_text("\n".join(_canaries(users, phones)[:CANARIES_MAX]), "utf-8")
    words = ("audit", "--json", "--at-rest", "--canary", str(canary), "--carrier-ledger", made.stack.simulator_url)
    told: dict[str, Any] = {}
    for _ in range(AUDITS_MAX):
        told = await _watchword(made, *words)
        broken = {each["check"] for each in told.get("checks", ()) if each["breaches"]}
        if broken != {"A9"}:
            break
        await paced(AT_REST_AFTER_S)
    return told


async def _watchword(made: Installation, *words: str) -> dict[str, Any]:
    environment = {
        "WATCHWORD_POSTGRES": made.dsn,
        "WATCHWORD_KAFKA": made.stack.cluster.bootstrap,
        "WATCHWORD_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchword", *words,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, complaint = await asyncio.wait_for(process.communicate(), AUDIT_WITHIN_S)
    except TimeoutError:
        process.kill()
        out, complaint = await process.communicate()
    try:
        return dict(orjson.loads(out))
    except orjson.JSONDecodeError:
        return {
            "clean": False,
            "checks": [],
            "failed": complaint.decode(errors="replace")[-2_000:] or "it took too long",
        }


def _canaries(users: Sequence[User], phones: Phones) -> list[str]:
    lines = []
    for user in users:
        lines.append(user.number)
        if user.id and (code := phones.of(user.number).code()):
            lines.append(f"{user.id} {code}")
    return lines


async def letters(made: Installation, poison: Sequence[Poison]) -> list[tuple[str, str]]:
    """What is wrong with the dead topics: good events that were buried, poison that was not."""
    found: dict[Place, str] = {}
    for record in await everything_on(made.stack.cluster, DEAD):
        why = {name: value.decode() for name, value in record.headers if name.startswith("wwd_") and value}
        place = (why["wwd_topic"], int(why["wwd_partition"]), int(why["wwd_offset"]))
        found[place] = why["wwd_reason"]
    known = {each.place: each for each in poison}
    broken = [
        (f"a good event was buried: {reason}", "/".join(map(str, place)))
        for place, reason in found.items()
        if place not in known
    ]
    broken += [
        (f"poison was passed over in silence: {each.event} v{each.major}", "/".join(map(str, each.place)))
        for each in poison
        if each.place[0] in BURIED and each.place not in found
    ]
    return broken
