"""dispatch between real Kafka, real Postgres and carriers over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.dispatch import CONFIGURATION, sending
from tests.support.pipeline import PATIENCE_S, Pipeline
from tests.support.receiver import Reply, receiver
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.send_requested import SendRequested
from watchword.events.verification_ended import VerificationEnded


async def test_a_user_gets_the_code_and_the_attempt_is_told(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        about = await it.issued()
        attempt = await it.request(about)
        assert await it.carriers.wait_for_code("+919876543210") == "493021"
        [made] = await it.made(1)
        await stand.outbox_is_empty()
    assert (made.result, made.account, made.route_reason, made.client_ref) == (
        "accepted", "north", "first", str(attempt))  # fmt: skip
    row = await stand.row("SELECT * FROM attempts WHERE id = $1", attempt)
    assert (row["state"], row["lease_until"], row["outcome"], row["segments"]) == ("accepted", None, "accepted", 1)
    assert row["provider_id"] == made.provider_id != ""
    assert row["price_micros"] == made.price_micros > 0
    assert (await stand.row("SELECT state, seq FROM verifications"))[:] == ("issued", 4)


async def test_the_same_request_twice_is_one_message(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        about = await it.issued()
        attempt = await it.request(about)
        await it.request(about, row=False)
        await it.reached(attempt, "accepted")
        other = await it.request(await it.issued("+919876543211"))
        await it.reached(other, "accepted")
        await it.request(about, row=False)
        await stand.outbox_is_empty()
        assert len(await it.carriers.inbox("+919876543210")) == 1
        assert len((await it.carriers.ledger_of("north")).calls) == 2


async def test_of_a_code_that_was_replaced_while_it_waited_only_the_newer_one_is_sent(stand: Pipeline) -> None:
    async with sending(stand) as it:
        about = await it.issued(code_version=2, sends_requested=2)
        older = await it.request(about)
        newer = await it.request(about, send_no=2, code_version=2)
        async with stand.running("dispatch"):
            await it.reached(newer, "accepted")
            await it.reached(older, "skipped_late")
            made = await it.made(2)
        assert len(await it.carriers.inbox("+919876543210")) == 1
    assert [(each.attempt_id, each.result) for each in made] == [(older, "skipped_late"), (newer, "accepted")]
    assert (await stand.row("SELECT state FROM verifications"))["state"] == "issued"


async def test_with_the_first_account_down_the_second_one_sends(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        await it.carriers.behave("north", down=True)
        await it.request(await it.issued())
        assert await it.carriers.wait_for_code("+919876543210") == "493021"
        first, second = await it.made(2)
    assert (first.result, first.outcome, first.account) == ("deferred", "temporary", "north")
    assert (second.result, second.account, second.route_reason, second.try_no) == ("accepted", "south", "failover", 2)
    assert not second.possible_duplicate
    sequences = [each.envelope.sequence for each in await stand.read(topics.LIFECYCLE)]
    assert sequences == [4, 5]


async def test_a_slow_account_never_delays_another_one(stand: Pipeline) -> None:
    slow = {"latency_ms": {"kind": "uniform", "min": 60_000, "max": 60_000}}
    async with sending(stand, timeout_ms=7_000) as it, stand.running("dispatch") as process:
        await it.carriers.behave("east", **slow)
        for number in range(30):
            await it.request(await it.issued(f"+99890123{4500 + number}"))
        await it.asked("east", 1)
        british = [await it.request(await it.issued(f"+44770090{1000 + number}")) for number in range(5)]
        for attempt in british:
            await it.reached(attempt, "accepted")
        assert process.metrics.value("watchword_dispatch_inflight", account="form") == 30, "none of them is over yet"


async def test_an_account_that_answers_nothing_is_left_before_a_call_of_it_times_out(stand: Pipeline) -> None:
    async with sending(stand, timeout_ms=3_000, uzbekistan='form", "south') as it:
        await it.carriers.behave("east", down=True, outage_answer="hang")
        for number in range(10):
            await it.request(await it.issued(f"+99890123{4500 + number}"))
        async with stand.running("dispatch") as process:

            async def mute() -> bool:
                return process.metrics.value("watchword_dispatch_mute_state", account="form") == 1

            await eventually(mute, within_s=PATIENCE_S, what="an account that is known to be mute")
            await it.request(await it.issued("+998901234999"))
            [made] = await it.made(1)
    assert (made.result, made.account, made.route_reason) == ("accepted", "south", "failover")
    assert [(each.account, each.reason.value) for each in made.passed_over] == [("form", "busy")]


async def test_a_throttled_message_is_sent_from_a_retry_topic(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch") as process:
        await it.carriers.behave("south", errors={"throttled": 1.0}, retry_after_s=0)
        about = await it.issued("+447700901000")
        first = await it.request(about)
        await it.reached(first, "deferred")
        await it.carriers.behave("south", errors={})
        await it.carriers.wait_for_code("+447700901000")
        made = await it.made(2)
        assert (process.metrics.value("watchword_dispatch_rate_level", account="south") or 0) < 1_000
    assert (made[0].result, made[0].outcome) == ("deferred", "throttled")
    assert (made[-1].result, made[-1].route_reason, made[-1].account) == ("accepted", "retry", "south")
    [retry] = await stand.read(topics.RETRY_1S)
    assert isinstance(retry.event, SendRequested)
    assert (retry.event.tried, retry.event.try_no, retry.key) == (("south",), 2, str(about.verification_id))


async def test_a_send_that_stays_refused_ends_after_four_tries_and_fails_the_verification(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        for name in ("north", "south"):
            await it.carriers.behave(name, errors={"temporary": 1.0})
        about = await it.issued()
        await it.request(about)
        made = await it.made(4)
        [ended] = await stand.told(topics.LIFECYCLE, count=1, name="verification-ended")
    assert [(each.account, each.result) for each in made] == [
        ("north", "deferred"), ("south", "deferred"), ("north", "deferred"), ("south", "rejected")]  # fmt: skip
    assert isinstance(ended.event, VerificationEnded)
    assert (ended.event.state, ended.event.reason) == ("failed", "accounts_away")
    row = await stand.row("SELECT state, end_reason, due_at, seq FROM verifications")
    assert row[:] == ("failed", "accounts_away", None, ended.envelope.sequence)


async def test_a_wrong_number_fails_the_verification_at_once(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        await it.carriers.behave("north", errors={"destination": 1.0})
        await it.request(await it.issued())
        [ended] = await stand.told(topics.LIFECYCLE, count=1, name="verification-ended")
        assert (await it.carriers.ledger_of("south")).calls == []
    assert isinstance(ended.event, VerificationEnded)
    assert ended.event.reason == "destination_rejected"


async def test_a_carrier_that_answers_with_the_code_is_told_of_without_it(stand: Pipeline) -> None:
    async with sending(stand) as it, receiver(Reply(400, body=b'{"error": "OTP493021"}')) as carrier:
        await stand.configure(CONFIGURATION, url=carrier.url, timeout_ms="3000", on_unknown="hold", uzbekistan="form")
        async with stand.running("dispatch"):
            attempt = await it.request(await it.issued("+447700901000", code="493021"))
            [made] = await it.made(1)
        assert len(carrier.calls) == 1
    row = await stand.row("SELECT raw_code FROM attempts WHERE id = $1", attempt)
    assert (made.raw_code, row["raw_code"]) == ("OTP#", "OTP#")


async def test_a_resend_that_is_refused_does_not_fail_a_verification_whose_first_code_left(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        about = await it.issued(sends_requested=2)
        await it.reached(await it.request(about), "accepted")
        await it.carriers.behave("south", errors={"destination": 1.0})
        again = await it.request(about, send_no=2)
        await it.reached(again, "rejected")
        [_, second] = await it.made(2)
        await stand.outbox_is_empty()
    assert (second.account, second.route_reason) == ("south", "resend")
    assert (await stand.row("SELECT state FROM verifications"))["state"] == "issued"


async def test_a_message_that_comes_too_late_is_skipped_and_told(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch") as process:
        past = datetime.now(UTC) - timedelta(milliseconds=1)
        attempt = await it.request(await it.issued(), send_deadline=past)
        [made] = await it.made(1)
        assert (made.result, made.raw_code, made.account) == ("skipped_late", "too_late", "")
        assert await it.state_of(attempt) == "skipped_late"
        assert (await it.carriers.ledger_of("north")).calls == []
        assert process.metrics.value("watchword_dispatch_late_sends_total") == 0


async def test_a_cancelled_verification_and_one_without_a_check_left_get_no_message(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        cancelled = await it.issued()
        await stand.connection.execute(
            "UPDATE verifications SET state = 'cancelled', ended_at = clock_timestamp(), due_at = NULL"
        )
        attempt = await it.request(cancelled)
        guessed = await it.request(await it.issued("+919876543212", checks_used=5, checks_max=5))
        other = await it.request(await it.issued("+919876543211"))
        await it.reached(other, "accepted")
        await stand.outbox_is_empty()
        assert await it.carriers.inbox("+919876543210") == []
        assert await it.carriers.inbox("+919876543212") == []
        assert (await it.state_of(attempt), await it.state_of(guessed)) == ("queued", "queued")


async def test_a_call_without_an_answer_is_repeated_and_a_deduping_gateway_sends_once(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        await it.carriers.behave("north", timeouts_after=1.0, hang_ms=20)
        attempt = await it.request(await it.issued())
        await it.asked("north", 1)
        await it.carriers.behave("north", timeouts_after=0.0)
        [made] = await it.made(1)
        assert len(await it.carriers.inbox("+919876543210")) == 1
        assert (await it.carriers.ledger()) == {str(attempt): 1}
    assert (made.result, made.raw_code, made.account, made.route_reason) == (
        "accepted", "duplicate", "north", "recovery")  # fmt: skip
    assert not made.possible_duplicate


async def test_a_claim_whose_owner_died_is_resolved_by_the_gateways_memory(stand: Pipeline) -> None:
    """Played from the worst moment on: the carrier has the message, the owner was killed before it wrote that down,
    and the user has typed the code meanwhile."""
    async with sending(stand) as it:
        about = await it.issued()
        attempt = await it.request(about)
        async with stand.running("dispatch"):
            await it.reached(attempt, "accepted")
        await stand.connection.execute(
            "UPDATE attempts SET state = 'queued', recovery = 1, provider_id = '', outcome = '', owner = ''"
        )
        await stand.connection.execute(
            "UPDATE verifications SET state = 'approved', ended_at = clock_timestamp(), due_at = NULL"
        )
        async with stand.running("dispatch"):
            await it.request(about, row=False, recovery=1)
            await it.reached(attempt, "accepted")
        assert len(await it.carriers.inbox("+919876543210")) == 1
        assert [call.door for call in (await it.carriers.ledger_of("north")).calls] == ["echo"]


async def test_a_blind_gateway_gets_the_message_once_more_unless_a_receipt_saves_it(stand: Pipeline) -> None:
    """Nobody knows of either message whether it left; of one a receipt comes before its second try."""
    async with sending(stand, uzbekistan='form", "south') as it, stand.running("dispatch") as process:
        await it.carriers.behave("east", timeouts_after=1.0, hang_ms=20)
        unheard = await it.request(await it.issued("+998901234567"))
        heard = await it.request(await it.issued("+998901234568"))
        await it.reached(heard, "unknown")
        await stand.connection.execute(
            "UPDATE attempts SET state = 'accepted', receipt_state = 'delivered', receipt_rank = 90 WHERE id = $1",
            heard,
        )
        made = await it.made(4)
        assert process.metrics.value("watchword_dispatch_possible_duplicates_total") == 1
        assert len(await it.carriers.inbox("+998901234567")) == 2
        assert len(await it.carriers.inbox("+998901234568")) == 1
    [first] = [each for each in made if each.attempt_id == unheard]
    [second] = [each for each in made if each.try_no == 2 and each.verification_id == first.verification_id]
    [saved] = [each for each in made if each.try_no == 2 and each.verification_id != first.verification_id]
    assert (first.result, first.account, first.possible_duplicate) == ("unknown", "form", False)
    assert (second.result, second.account, second.possible_duplicate) == ("accepted", "south", True)
    assert (saved.result, saved.raw_code) == ("skipped_late", "receipt_came")


async def test_an_account_that_holds_what_it_cannot_know_sends_nothing_more(stand: Pipeline) -> None:
    async with sending(stand, on_unknown="hold") as it, stand.running("dispatch"):
        await it.carriers.behave("east", timeouts_after=1.0, hang_ms=20)
        await it.request(await it.issued("+998901234567"))
        [made] = await it.made(1)
        await stand.outbox_is_empty()
    assert made.result == "unknown"
    assert await stand.connection.fetchval("SELECT count(*) FROM attempts") == 1
    assert (await stand.row("SELECT state FROM verifications"))["state"] == "issued"


async def test_a_message_of_which_nothing_is_heard_is_sent_once_more_by_another_account(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch") as process:
        about = await it.issued(purpose="hedged", sends_requested=1)
        first = await it.request(about)
        await it.reached(first, "accepted")
        waited = await stand.connection.execute(
            "UPDATE attempts SET hedge_at = clock_timestamp() WHERE id = $1 AND hedge_at > concluded_at", first
        )
        assert waited == "UPDATE 1"
        [_, second] = await it.made(2)
        inbox = await it.carriers.inbox("+919876543210")
        assert [each.carrier for each in inbox] == ["north", "south"]
        assert inbox[0].text == inbox[1].text, "the same code"
        assert process.metrics.value("watchword_dispatch_hedges_total") == 1
    assert (second.account, second.route_reason, second.possible_duplicate) == ("south", "hedge", True)
    assert [each.envelope.sequence for each in await stand.read(topics.LIFECYCLE)] == [4, 6], "5 asked for it"


async def test_an_account_that_refuses_us_is_left_alone(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch") as process:
        await it.carriers.behave("north", errors={"account": 1.0})
        refused = await it.request(await it.issued())
        await it.reached(refused, "deferred")
        assert process.metrics.value("watchword_dispatch_breaker_state", account="north") == 2
        later = [await it.request(await it.issued(f"+9198765433{number:02d}")) for number in range(3)]
        for attempt in later:
            await it.reached(attempt, "accepted")
            assert (await stand.row("SELECT account FROM attempts WHERE id = $1", attempt))["account"] == "south"
        assert len((await it.carriers.ledger_of("north")).calls) == 1
        made = await it.made(5)
    assert sorted((each.result, each.route_reason) for each in made) == [
        *[("accepted", "failover")] * 4,
        ("deferred", "first"),
    ]


async def test_a_message_for_later_waits_outside_and_holds_nobody_up(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        due = datetime.now(UTC) + timedelta(seconds=2.5)
        about = await it.issued()
        later = await it.request(about, not_before=due)
        now = await it.request(await it.issued("+919876543211"))
        await it.reached(now, "accepted")
        assert await it.state_of(later) == "queued"
        await it.reached(later, "accepted")
        row = await stand.row("SELECT claimed_at FROM attempts WHERE id = $1", later)
        assert row["claimed_at"] >= due
        assert await stand.records(topics.RETRY_5S) == [], "it never waits for longer than it has to"


async def test_an_erased_person_gets_no_message(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        about = await it.issued()
        await stand.connection.execute("DELETE FROM subjects")
        attempt = await it.request(about)
        await it.reached(attempt, "rejected")
        assert (await it.carriers.ledger_of("north")).calls == []
    row = await stand.row("SELECT state, end_reason FROM verifications")
    assert row[:] == ("failed", "message_unreadable")


async def test_without_a_route_nothing_is_sent_and_the_verification_says_so(stand: Pipeline) -> None:
    async with sending(stand, uzbekistan="north") as it, stand.running("dispatch"):
        about = await it.issued("+998901234567", country="KZ")
        attempt = await it.request(about)
        await it.reached(attempt, "rejected")
    assert (await stand.row("SELECT end_reason FROM verifications"))["end_reason"] == "no_route"


async def test_what_is_in_flight_is_finished_before_the_worker_stops(stand: Pipeline) -> None:
    async with sending(stand) as it:
        await it.carriers.behave("south", latency_ms={"kind": "uniform", "min": 700, "max": 700})
        async with stand.running("dispatch"):
            attempts = [await it.request(await it.issued(f"+44770090{1000 + number}")) for number in range(3)]
            await it.asked("south", 3)
        assert [await it.state_of(attempt) for attempt in attempts] == ["accepted"] * 3
        assert await stand.connection.fetchval("SELECT count(*) FROM outbox") == 0
        async with stand.running("dispatch"):
            other = await it.request(await it.issued("+447700902000"))
            await it.reached(other, "accepted")
        assert len((await it.carriers.ledger_of("south")).calls) == 4


async def test_a_second_worker_takes_half_and_nobody_gets_two_messages(stand: Pipeline) -> None:
    async with sending(stand) as it:
        await it.carriers.behave("south", latency_ms={"kind": "uniform", "min": 50, "max": 400})
        async with stand.running("dispatch"):
            attempts = [await it.request(await it.issued(f"+44770091{1000 + number}")) for number in range(40)]
            async with stand.running("dispatch", ordinal=1):
                attempts += [await it.request(await it.issued(f"+44770092{1000 + number}")) for number in range(40)]
                await it.made(80)
        assert await it.carriers.ledger() == {str(attempt): 1 for attempt in attempts}
        assert [await it.state_of(attempt) for attempt in attempts] == ["accepted"] * 80


async def test_poison_is_buried_untouched_and_the_partition_goes_on(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch") as process:
        about = await it.issued()
        key = str(about.verification_id).encode()
        await stand.publish_raw(topics.DISPATCH, key, b"\xff\x00 not an event")
        await it.request(about, row=False, try_no=70_000)
        attempt = await it.request(about)
        await it.reached(attempt, "accepted")

        async def buried() -> list[Any]:
            found = await stand.records(topics.dead(topics.DISPATCH))
            return found if len(found) == 2 else []

        async def counted() -> bool:
            return process.metrics.value("watchword_runtime_buried_total", stage="dispatch", reason="unreadable") == 2

        letters = await eventually(buried, within_s=20, what="two dead letters")
        await eventually(counted, within_s=20, what="both to be counted")
    assert {letter.key for letter in letters} == {key}
    assert b"\xff\x00 not an event" in {letter.value for letter in letters}
    assert {dict(letter.headers)["wwd_reason"] for letter in letters} == {b"unreadable"}


async def test_an_account_whose_sender_is_not_registered_leaves_the_message_to_the_next_one(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        await it.request(await it.issued("+998901234567", country="SG"))
        [made] = await it.made(1)
    assert (made.result, made.account, made.route_reason) == ("accepted", "south", "registration")
    assert [(each.account, each.reason) for each in made.passed_over] == [("named", "sender")]
