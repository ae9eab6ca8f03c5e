"""The demo's chapters. Each does what a platform would, and says beforehand what must come of it."""

from rich.table import Table

from watchword.local.auditing import audited
from watchword.local.narration import Narrator, Platform, code_in
from watchword.local.stack import Stack
from watchword.replay.timeline import Timeline, gist, read_timeline
from watchword.runtime.kafka import Cluster

PUMPED_SENDS_MAX = 40
PUMPED_LOOKED_AT = 4


async def tell(narrator: Narrator, platform: Platform, stack: Stack) -> None:
    """The whole story. Raises NotAsTold at the first thing that is not as told."""
    verification = await a_user_gets_a_code(narrator, platform)
    await the_first_account_is_down(narrator, platform)
    await wrong_codes_lock(narrator, platform)
    await a_code_is_sent_again(narrator, platform)
    await a_pumped_range_is_blocked(narrator, platform)
    await the_topics_remember(narrator, stack.cluster, verification)
    await every_promise_is_kept(narrator, stack)


async def a_user_gets_a_code(narrator: Narrator, platform: Platform) -> str:
    """The happy path; answers the verification's id."""
    number = "+919876540001"
    narrator.chapter("1. A user types a number and gets a code")
    verification = await _started(narrator, platform, number)
    code = await _code_on(narrator, platform, number)
    answer = await platform.check(verification, code)
    narrator.expect(answer["result"] == "approved", f"the right code: {answer['result']}")
    answer = await platform.check(verification, code)
    narrator.expect(answer["result"] == "used", f"the same code once more: {answer['result']}")
    return verification


async def the_first_account_is_down(narrator: Narrator, platform: Platform) -> None:
    """Failover within the same send."""
    number = "+919876540002"
    narrator.chapter("2. The first gateway account is down")
    await platform.behave("alpha", down=True)
    narrator.say("carrier alpha answers nothing but errors from now on")
    verification = await _started(narrator, platform, number)
    code = await _code_on(narrator, platform, number)
    [message] = await platform.inbox(number)
    narrator.expect(message["carrier"] == "beta", f"it came by carrier {message['carrier']}")
    answer = await platform.check(verification, code)
    narrator.expect(answer["result"] == "approved", f"the right code: {answer['result']}")
    await platform.behave("alpha", down=False)


async def wrong_codes_lock(narrator: Narrator, platform: Platform) -> None:
    """Guessing ends the verification."""
    number = "+919876540003"
    narrator.chapter("3. Somebody guesses")
    verification = await _started(narrator, platform, number)
    code = await _code_on(narrator, platform, number)
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
    results = [(await platform.check(verification, wrong))["result"] for _ in range(5)]
    narrator.expect(results[:4] == ["wrong"] * 4, f"four guesses: {', '.join(results[:4])}")
    narrator.expect(results[4] == "locked", f"the fifth: {results[4]}")
    answer = await platform.check(verification, code)
    narrator.expect(answer["result"] == "locked", f"the right code afterwards: {answer['result']}")


async def a_code_is_sent_again(narrator: Narrator, platform: Platform) -> None:
    """Resend: refused during the gap, then the same code in a second message."""
    number = "+919876540004"
    narrator.chapter("4. The user asks for the code again")
    verification = await _started(narrator, platform, number)
    code = await _code_on(narrator, platform, number)
    path = f"/v1/verifications/{verification}/resend"
    status, answer = await platform.call("POST", path, {})
    narrator.expect(status == 429, f"at once: {status} {answer.get('code')}, next at {answer.get('next_send_at')}")

    async def resent() -> bool | None:
        return True if (await platform.call("POST", path, {}))[0] == 202 else None

    await narrator.until(resent, told="a resend is accepted once the gap has passed")

    async def second() -> str | None:
        messages = await platform.inbox(number)
        return code_in(messages[1]["text"]) if len(messages) > 1 else None

    again = await narrator.until(second, told="a second message arrives")
    narrator.expect(again == code, "after the gap: a second message, with the same code")
    answer = await platform.check(verification, again)
    narrator.expect(answer["result"] == "approved", f"the right code: {answer['result']}")


async def a_pumped_range_is_blocked(narrator: Narrator, platform: Platform) -> None:
    """Unverified sends pile up in one range: it is blocked, its country is not."""
    narrator.chapter("5. A number range is pumped")
    sent: list[str] = []

    async def blocked() -> str | None:
        if len(sent) < PUMPED_SENDS_MAX:
            status, answer = await platform.start(f"+99890123{len(sent):04d}")
            if status == 403:
                return f"at the door: {answer.get('code')}"
            sent.append(str(answer["id"]))
        # The newest ones may not be assessed yet.
        for verification in sent[-PUMPED_LOOKED_AT:]:
            _, told = await platform.call("GET", f"/v1/verifications/{verification}")
            if told.get("status") == "blocked":
                return "by its assessment"
        return None

    how = await narrator.until(blocked, told="numbers of the range are blocked", within_s=30)
    narrator.expect(
        len(sent) <= PUMPED_SENDS_MAX, f"after {len(sent)} unverified sends numbers of +99890123… are blocked, {how}"
    )
    number = "+998935550001"
    verification = await _started(narrator, platform, number)
    code = await _code_on(narrator, platform, number)
    answer = await platform.check(verification, code)
    narrator.expect(answer["result"] == "approved", "another number of the same country goes through")


async def the_topics_remember(narrator: Narrator, cluster: Cluster, verification: str) -> None:
    """The first verification's life, read back from Kafka alone."""
    narrator.chapter("6. The first verification, read back from the topics")

    async def told() -> Timeline | None:
        read = await read_timeline(cluster, verification)
        names = {moment.name for moment in read.moments}
        return read if {"verification-ended", "receipt-recorded"} <= names else None

    read = await narrator.until(told, told="the topics hold the verification's whole life")
    table = Table("seq", "after", "event", "topic", "what it says", box=None, padding=(0, 2, 0, 0))
    for moment in read.moments:
        after_ms = (moment.at - read.moments[0].at).total_seconds() * 1000
        number = str(moment.sequence or "-")
        table.add_row(number, f"{after_ms:.0f} ms", moment.name, moment.topic, gist(moment.event))
    narrator.console.print(table)
    counted = [moment.sequence for moment in read.moments if moment.sequence]
    narrator.expect(counted == list(range(1, len(counted) + 1)), f"{len(counted)} counted events without a gap")


async def every_promise_is_kept(narrator: Narrator, stack: Stack) -> None:
    """What `watchword audit` says of all that happened, carriers' ledgers included."""
    narrator.chapter("7. The audit holds tables, topics and carriers to every promise")
    for finding in await audited(stack):
        shown = "".join(f"; {each.id} {each.told}" for each in finding.breaches[:1])
        narrator.expect(not finding.breaches, f"{finding.check}: {finding.promise}{shown}")


async def _started(narrator: Narrator, platform: Platform, number: str) -> str:
    status, answer = await platform.start(number)
    narrator.expect(status == 202, f"start for {answer.get('to', number)}: {status} {answer.get('id', answer)}")
    return str(answer["id"])


async def _code_on(narrator: Narrator, platform: Platform, number: str) -> str:
    async def look() -> str | None:
        messages = await platform.inbox(number)
        return code_in(messages[-1]["text"]) if messages else None

    code = await narrator.until(look, told=f"a message arrives on {number}")
    narrator.say(f"the phone shows: {(await platform.inbox(number))[-1]['text']!r}")
    return code
