"""SMPP: the codec, a whole conversation, and the text of a delivery report."""

from collections.abc import Iterator

from tests.unit.gateways.smpp.stories import ACCOUNT, SUBMISSION, Talk, answer, report
from watchword.gateways.contract import Callback
from watchword.gateways.sessions import Answered, Ended, Reported, SessionEvent, Unanswered
from watchword.gateways.smpp.gateway import Smpp
from watchword.gateways.smpp.pdu import Command, Frames, Pdu, decode, encode
from watchword.gateways.smpp.receipt import keys_of, told_by
from watchword.gateways.smpp.session import State

_KEYS = {"id", "sub", "dlvrd", "submit date", "submit_date", "submitdate", "done date", "done_date", "donedate"} | {
    "stat",
    "err",
    "text",
}


def codec(data: bytes) -> None:
    """Cut anywhere, a stream is the same frames; every frame is read, and what was whole can be written."""
    cut, stream = data[:1], data[1:]
    at = int.from_bytes(cut, "big") * len(stream) // 255
    whole, parts = Frames(), Frames()
    frames = whole.feed(stream)
    assert frames == parts.feed(stream[:at]) + parts.feed(stream[at:])
    assert whole.broken == parts.broken
    for frame in frames:
        unit = decode(frame)
        if unit.whole:
            written = encode(unit)
            again = decode(written)
            assert again.whole and encode(again) == written
            assert (again.command, again.status, again.sequence) == (unit.command, unit.status, unit.sequence)


def session(data: bytes) -> None:
    """A conversation with any carrier: two messages each end once, reports wait, and after the end there is nothing."""
    talk = Talk(("trx", "tx", "rx")[data[0] % 3] if data else "trx")
    talk.session.open(talk.now_s)
    events: list[SessionEvent] = []
    submitted: list[int] = []
    sent = iter(data[1:])
    while (size := next(sent, None)) is not None:
        if size % 8 == 0:
            events += talk.waits(size / 8)
        elif size % 8 == 1 and talk.session.room >= len(SUBMISSION.units):
            submitted.append(len(submitted))
            talk.session.submit(submitted[-1], SUBMISSION, talk.now_s)
        elif size % 8 == 2:
            talk.session.leave(talk.now_s)
        else:
            events += talk.session.receive(bytes(next(sent, 0) for _ in range(size)), talk.now_s)
        for event in [each for each in events if isinstance(each, Reported)][-1:]:
            talk.session.settle(event.number, kept=size % 2 == 0)
        talk.wrote()
    over = talk.session.state is State.ENDED
    assert over == any(isinstance(event, Ended) for event in events)
    assert not over or talk.session.receive(data, talk.now_s) == talk.waits(1_000) == []
    events += [] if over else talk.session.lose("cut")
    ended = [event.ticket for event in events if isinstance(event, Answered | Unanswered)]
    assert sorted(ended) == submitted, f"{ended} of {submitted}"
    assert sum(isinstance(event, Ended) for event in events) == 1


def receipt(data: bytes) -> None:
    """A report's text and parameters: read by the keys that are known, or refused as one without an id."""
    keys = keys_of(data)
    assert set(keys) <= _KEYS, keys
    unit = Pdu(Command.DELIVER_SM, fields={"esm_class": 4, "short_message": data[:254]})
    told_by(unit)
    try:
        [told] = Smpp().receipts(Callback("POST", "", {}, encode(unit)), ACCOUNT)
    except ValueError:
        return
    assert told.provider_id and len(told.provider_id) <= 128
    assert len(told.raw_code) <= 64 and told.raw_code.isprintable()


def units() -> Iterator[bytes]:
    """Units of both sides, one after another."""
    talk = Talk()
    talk.session.open(talk.now_s)
    stream = talk.session.outgoing() + encode(answer(Command.BIND_TRANSCEIVER, 1, system_id=b"smsc"))
    stream += SUBMISSION.units[0] + encode(answer(Command.SUBMIT_SM, 2, message_id=b"m-1"))
    stream += encode(report(7)) + encode(Pdu(Command.ENQUIRE_LINK, sequence=8))
    for cut in (b"\0", b"\x40", b"\xff"):
        yield cut + stream
    yield b"\0" + encode(Pdu(Command.DATA_SM, sequence=3, tlvs=((0x001E, b"m-1\0"), (0x0427, b"\2"))))


def talks() -> Iterator[bytes]:
    """Conversations: bound, a message sent, answered, reported, left."""
    bind = encode(answer(Command.BIND_TRANSCEIVER, 1, system_id=b"smsc"))
    submitted = encode(answer(Command.SUBMIT_SM, 2, message_id=b"m-1"))
    heard = [_heard(unit) for unit in (submitted, encode(report(7)), encode(Pdu(Command.UNBIND, sequence=9)))]
    yield b"\0" + _heard(bind) + b"\x01" + b"".join(heard)
    yield b"\0" + _heard(bind) + b"\x01\x01" + b"\xf8" * 2 + b"\x02" + b"\xf8"
    yield b"\x02" + _heard(bind) + heard[1] + b"\x02"
    yield b"\0" + _heard(encode(answer(Command.BIND_TRANSCEIVER, 1, status=0x0E)))


def _heard(unit: bytes) -> bytes:
    """A step of a conversation in which the carrier says a unit, and what fills the step up."""
    size = next(size for size in range(len(unit), len(unit) + 8) if size % 8 == 7)
    return bytes((size,)) + unit + b"\0" * (size - len(unit))


def reports() -> Iterator[bytes]:
    """Texts as carriers write them."""
    yield b"id:m-1 sub:001 dlvrd:001 submit date:2610260613 done date:2610260614 stat:DELIVRD err:000 text:493021 is"
    yield b"ID: 0123ABCD; STAT: undeliv; ERR: E7A"
    yield b"stat:REJECTD err:069 id:7F3A text:a:b id:c"
