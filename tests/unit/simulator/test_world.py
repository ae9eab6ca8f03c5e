"""What the simulator remembers and what it forgets."""

from datetime import UTC, datetime

from watchword.simulator.world import Call, Ledger, Phones, Sent, Sms

NOW = datetime(2026, 10, 26, 6, 13, tzinfo=UTC)


def sms(text: str) -> Sms:
    """A message with this text."""
    return Sms(time=NOW, text=text, sender="SHOP", carrier="north", client_ref=text)


def test_phone_shows_its_newest_messages_newest_last() -> None:
    phones = Phones(messages_max=2)
    for text in ("one", "two", "three"):
        phones.deliver("+919876543210", sms(text))
    assert [message.text for message in phones.inbox("+919876543210")] == ["two", "three"]
    assert phones.dropped_messages == 1
    assert phones.inbox("+919876543211") == ()


def test_phone_without_messages_for_longest_is_forgotten_first() -> None:
    phones = Phones(phones_max=2)
    for number in ("+1", "+2", "+1", "+3"):
        phones.deliver(number, sms("hello"))
    assert phones.latest(9) == ["+3", "+1"]
    assert (len(phones), phones.dropped_phones) == (2, 1)
    phones.clear()
    assert (len(phones), phones.inbox("+1")) == (0, ())


def test_ledger_forgets_the_oldest_and_counts_it() -> None:
    ledger = Ledger(calls_max=2, sent_max=2)
    for ref in ("a", "b", "c"):
        ledger.note(Call(NOW, "echo", ref, "accepted", False, f"id-{ref}"))
        ledger.add(Sent(ref, f"id-{ref}", NOW))
    assert [call.client_ref for call in ledger.calls] == ["b", "c"]
    assert list(ledger.sent) == ["b", "c"]
    assert (ledger.calls_total, ledger.dropped_calls, ledger.dropped_sent) == (3, 1, 1)


def test_ledger_knows_which_receipts_were_taken() -> None:
    ledger = Ledger()
    ledger.add(Sent("a", "id-a", NOW))
    for ref, state in (("a", "enroute"), ("a", "delivered"), ("a", "enroute"), ("forgotten", "delivered")):
        ledger.report(ref, state)
    assert ledger.sent["a"].reported == ("enroute", "delivered")


def test_reader_of_all_phones_gets_each_message_once() -> None:
    phones = Phones()
    for text in ("a", "b", "c"):
        phones.deliver(f"+4479{text}", sms(text))
    count, new = phones.since(1)
    assert (count, [(number, each.text) for number, each in new]) == (3, [("+4479b", "b"), ("+4479c", "c")])
    assert phones.since(3) == (3, [])
    assert phones.since(99) == (3, [])
