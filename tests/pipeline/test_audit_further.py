"""`watchword audit` on what it once took nobody's word for: money, carriers' reports, endings that nobody hears of, and
what it cannot see. Each is broken on purpose, in tables that its own role reads."""

from datetime import UTC, datetime, timedelta

from aiokafka.admin import AIOKafkaAdminClient

from tests.pipeline.test_audit import audited, breaches, committed, happened
from tests.support.carrier import simulated
from tests.support.pipeline import PATIENCE_S, Pipeline
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.receipt_received import ReceiptReceived


async def test_what_it_cannot_see_is_told_and_not_called_kept(stand: Pipeline) -> None:
    await happened(stand)
    await stand.connection.execute(
        "UPDATE configuration SET document = document || '{\"results_topic\": \"results.shop\"}' WHERE kind = 'tenant'"
    )
    await without_topics(stand, topics.INBOX)
    async with simulated() as carriers:
        ran = await audited(stand, "--carrier-ledger", carriers.url)
    assert (ran.code, ran.json["clean"], ran.json["whole"]) == (0, True, False), ran.out + ran.err
    told = {each["check"]: (each["kept"], each["unseen"]) for each in ran.json["checks"]}
    inbox, own = f"{topics.INBOX} is not there", "results.shop is not there"
    assert {name: unseen for name, (kept, unseen) in told.items() if kept is None} == {
        "A1": [inbox], "A5": [inbox], "A8": [own], "A9": [inbox], "A10": [inbox],
    }  # fmt: skip


async def without_topics(stand: Pipeline, *gone: str) -> None:
    """Delete topics, and wait until nobody sees them any more."""
    admin = AIOKafkaAdminClient(**stand.cluster.options())
    await admin.start()
    try:
        names = [stand.cluster.topic_prefix + topic for topic in gone]
        await admin.delete_topics(names)

        async def nobody_sees() -> bool:
            return all(each["error_code"] for each in await admin.describe_topics(names))

        await eventually(nobody_sees, within_s=PATIENCE_S, what="deleted topics to be gone")
    finally:
        await admin.close()


async def test_a5_names_a_report_and_an_ending_that_led_to_nothing(stand: Pipeline) -> None:
    """The report of an attempt that is still as silent as before, and an ending of which an endpoint hears nothing."""
    history = await happened(stand)
    attempt, identity = history.attempt(), history.about.verification_id
    report = ReceiptReceived(
        receipt_id="r-1", account="alpha", gateway="echo", received_at=datetime.now(UTC), sealed="",
        client_ref=str(attempt),
    )  # fmt: skip
    await stand.publish(report, subject="r-1")
    await committed(stand, "receipts", topics.RECEIPTS, 999)
    await committed(stand, "callbacks", topics.LIFECYCLE, 999)
    assert breaches(await audited(stand, "--only", "A5"), "A5") == []
    await stand.connection.execute("UPDATE attempts SET receipt_state = NULL, receipt_rank = 0")
    await stand.connection.execute(
        "INSERT INTO configuration (kind, id, version, document, digest, applied_at) "
        "VALUES ('endpoint', 'shop/main', 1, $1, '', clock_timestamp() - interval '1 hour')",
        '{"id": "main", "tenant": "shop"}',
    )
    told = breaches(await audited(stand, "--only", "A5"), "A5")
    assert [place.split("/")[0] for place in told] == [topics.LIFECYCLE, topics.RECEIPTS]
    await stand.connection.execute(
        "INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until) "
        "VALUES ('r-1/0', 'alpha', '', '', '', clock_timestamp() + interval '1 minute')"
    )
    await stand.connection.execute(
        "INSERT INTO callback_deliveries (verification_id, event_id, endpoint, tenant, event, body, state, told_at, "
        "begun_at, next_at, expires_at, gives_up_at) "
        "SELECT $1, gen_random_uuid(), 'main', 'shop', 'verification-ended', '', 'delivered', now, now, now, now, now "
        "FROM clock_timestamp() AS now", identity,
    )  # fmt: skip
    assert breaches(await audited(stand, "--only", "A5"), "A5") == []
    await stand.connection.execute("UPDATE verifications SET request_id = 'r-9'")
    told = breaches(await audited(stand, "--only", "A5"), "A5")
    assert [place.split("/")[0] for place in told] == [topics.LIFECYCLE]


async def test_a11_names_a_cap_that_is_overspent_and_money_that_is_held_for_nothing(stand: Pipeline) -> None:
    """The hour had room for two sends. A third is too many, but where the text of one of them came to two parts."""
    history = await happened(stand)
    now = datetime.now(UTC)
    ends_at, key = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1), "hour/shop/shop/now"
    await stand.connection.execute(
        "INSERT INTO spending (counter, cap, span, ends_at, limit_micros, spent_micros) "
        "VALUES ($1, 'shop', 'hour', $2, 200, 200)", key, ends_at,
    )  # fmt: skip
    await stand.connection.execute(
        "INSERT INTO configuration (kind, id, version, document, digest) "
        "VALUES ('price', 'IN', 1, '{\"country\": \"IN\", \"micros\": 100}', '')"
    )
    assert breaches(await audited(stand, "--only", "A11"), "A11") == []
    await stand.connection.execute("UPDATE spending SET spent_micros = 300")
    assert breaches(await audited(stand, "--only", "A11"), "A11") == [key]
    await stand.connection.execute("UPDATE attempts SET segments = 2")
    assert breaches(await audited(stand, "--only", "A11"), "A11") == []
    await stand.connection.execute(
        "INSERT INTO reservations (verification_id, send_no, price_micros, counters, look_at) "
        "VALUES ($1, 1, 100, ARRAY[$2], $3)", history.about.verification_id, key, now,
    )  # fmt: skip
    assert breaches(await audited(stand, "--only", "A11"), "A11") == [key]
