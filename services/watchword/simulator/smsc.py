"""The simulator's SMPP side: an SMSC on which every carrier is a system_id. What becomes of a message is decided in
decide.py and carrier.py, as for the other doors; here it is carried out, on time and in whatever pieces."""

import asyncio
from collections.abc import Mapping
from typing import Final, cast

from watchword.gateways.smpp.pdu import OK, RESPONSE, SEQUENCE_MAX, Command, Frames, Pdu, Tag, decode, encode
from watchword.runtime.clock import Clock
from watchword.simulator import smpp_wire
from watchword.simulator.carrier import Carrier, Door, Taken
from watchword.simulator.decide import Way
from watchword.simulator.deliveries import Deliveries
from watchword.simulator.receipts import Counts
from watchword.simulator.smpp_wire import Joining

BINDS: Final = {
    Command.BIND_RECEIVER: (False, True),
    Command.BIND_TRANSMITTER: (True, False),
    Command.BIND_TRANSCEIVER: (True, True),
}
BIND_FAILED, WRONG_STATE, ALREADY_BOUND, BAD_LENGTH, BAD_COMMAND = 0x0D, 0x04, 0x05, 0x01, 0x03
BAD_PASSWORD, BAD_SYSTEM_ID = 0x0E, 0x0F
SYSTEM_ID = b"simulator"
PEERS_MAX = 1_000
GARBAGE = b"\xff\xfe" * 40
CHUNK_PAUSE_S = 0.001


class Smsc:
    """A listening SMSC."""

    def __init__(self, carriers: Mapping[str, Carrier], counts: Mapping[str, Counts], clock: Clock) -> None:
        """Made while the event loop runs."""
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.carriers = carriers
        self.deliveries = {name: Deliveries(carrier, counts[name]) for name, carrier in carriers.items()}
        self.peers: set[Peer] = set()
        self.joining = Joining()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; answers the port. Raises OSError where it is taken."""
        self._server = await self.loop.create_server(lambda: Peer(self), host, port, backlog=128)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Cut every connection, forget the receipts that wait."""
        if self._server is not None:
            self._server.close()
        for peer in list(self.peers):
            peer.cut()
        for deliveries in self.deliveries.values():
            deliveries.stop()

    def pending(self, carrier: str) -> int:
        """How many receipts of a carrier are not taken yet."""
        return self.deliveries[carrier].pending


class Peer(asyncio.Protocol):
    """One ESME's connection."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._carrier: Carrier | None = None
        self._transmits = False
        self._sequence = 0
        self._submitted = 0
        self._gathered = bytearray()
        self._waiting: list[bytes] = []
        self._writer: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An ESME connected."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._smsc.peers) >= PEERS_MAX:
            self.cut()
        self._smsc.peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone: its receipts go to another, or wait."""
        self._smsc.peers.discard(self)
        self._transport = None
        if self._writer is not None:
            self._writer.cancel()
        if self._carrier is not None:
            self._smsc.deliveries[self._carrier.name].left(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        for frame in self._frames.feed(data):
            if self._carrier is None or not self._carrier.behaviour.smpp.deaf:
                self._understand(decode(frame))
        if self._frames.broken:
            self._answer(Pdu(Command.GENERIC_NACK, 0x02))
            self._flush()
            self.cut()

    def deliver(self, pdu: Pdu) -> int:
        """Write a receipt; answers its sequence number."""
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        self._answer(Pdu(pdu.command, sequence=self._sequence, fields=pdu.fields, tlvs=pdu.tlvs))
        return self._sequence

    def cut(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _understand(self, pdu: Pdu) -> None:
        match pdu.command:
            case Command.BIND_RECEIVER | Command.BIND_TRANSMITTER | Command.BIND_TRANSCEIVER:
                self._bind(pdu)
            case Command.SUBMIT_SM:
                self._submit(pdu)
            case Command.ENQUIRE_LINK:
                self._answer(Pdu(Command.ENQUIRE_LINK | RESPONSE, sequence=pdu.sequence))
            case Command.UNBIND:
                self._answer(Pdu(Command.UNBIND | RESPONSE, sequence=pdu.sequence))
                self._flush()
                if self._transport is not None:
                    self._transport.close()
            case command if command == Command.DELIVER_SM | RESPONSE and self._carrier is not None:
                self._smsc.deliveries[self._carrier.name].answered(self, pdu.sequence, pdu.status)
            case command if not command & RESPONSE:
                self._answer(Pdu(Command.GENERIC_NACK, BAD_COMMAND, pdu.sequence))

    def _bind(self, pdu: Pdu) -> None:
        carrier = self._smsc.carriers.get(pdu.text("system_id").decode("latin1"))
        status = self._refusal(pdu, carrier)
        tlvs = ((Tag.SC_INTERFACE_VERSION, b"\x34"),)
        self._answer(Pdu(pdu.command | RESPONSE, status, pdu.sequence, {"system_id": SYSTEM_ID}, tlvs))
        if status != OK or carrier is None:
            return
        self._carrier = carrier
        self._transmits, receives = BINDS[Command(pdu.command)]
        if receives:
            self._smsc.deliveries[carrier.name].joined(self)

    def _refusal(self, pdu: Pdu, carrier: Carrier | None) -> int:
        if self._carrier is not None:
            return ALREADY_BOUND
        if carrier is None:
            return BAD_SYSTEM_ID
        if carrier.behaviour.token not in ("", pdu.text("password").decode("latin1")):
            return BAD_PASSWORD
        return BIND_FAILED if carrier.is_away(self._smsc.loop.time()) else OK

    def _submit(self, pdu: Pdu) -> None:
        carrier = self._carrier
        if carrier is None or not self._transmits:
            self._answer(Pdu(pdu.command | RESPONSE, WRONG_STATE, pdu.sequence))
            return
        if not pdu.whole:
            self._answer(Pdu(pdu.command | RESPONSE, BAD_LENGTH, pdu.sequence))
            return
        message = self._smsc.joining.message(pdu, carrier.draw)
        if message is None:  # a part of a longer text; the last one carries its fate
            self._accepted(pdu, f"part-{carrier.draw.getrandbits(32):08x}".encode())
            return
        now, token = self._smsc.clock.now(), carrier.behaviour.token or "bound"
        taken = carrier.take(message, token, Door.SMPP, now, self._smsc.loop.time())
        self._submitted += 1
        if taken.early:
            self._report(pdu, carrier, taken)
        if taken.answer.latency_ms:
            self._smsc.loop.call_later(taken.answer.latency_ms / 1_000, self._conclude, pdu, carrier, taken)
        else:
            self._conclude(pdu, carrier, taken)

    def _conclude(self, pdu: Pdu, carrier: Carrier, taken: Taken) -> None:
        """Answer a submission in the way that was drawn for it."""
        draw, habits = carrier.draw, carrier.behaviour.smpp
        if taken.answer.way is Way.RESET or draw.random() < habits.drops:
            self.cut()
        elif draw.random() < habits.nacks:
            self._answer(Pdu(Command.GENERIC_NACK, BAD_COMMAND, pdu.sequence))
        elif taken.answer.error in smpp_wire.STATUSES:
            self._answer(Pdu(pdu.command | RESPONSE, smpp_wire.STATUSES[taken.answer.error], pdu.sequence))
        elif taken.accepted is not None and taken.answer.way is Way.ACCEPT:
            self._accepted(pdu, smpp_wire.response_id(taken.accepted.id, habits))
        self._afterwards(pdu, carrier, taken)

    def _afterwards(self, pdu: Pdu, carrier: Carrier, taken: Taken) -> None:
        draw, habits = carrier.draw, carrier.behaviour.smpp
        if not taken.early:
            self._report(pdu, carrier, taken)
        if draw.random() < habits.garbage:
            self._write(GARBAGE)
        if habits.unbind_after and self._submitted % habits.unbind_after == 0:
            self._sequence += 1
            self._answer(Pdu(Command.UNBIND, sequence=self._sequence))

    def _accepted(self, pdu: Pdu, message_id: bytes) -> None:
        self._answer(Pdu(pdu.command | RESPONSE, OK, pdu.sequence, {"message_id": message_id}))

    def _report(self, submitted: Pdu, carrier: Carrier, taken: Taken) -> None:
        if not submitted.number("registered_delivery"):
            return
        deliveries, habits = self._smsc.deliveries[carrier.name], carrier.behaviour.smpp
        for delay_ms, report in taken.reports:
            deliveries.add(smpp_wire.receipt(report, submitted, habits, carrier.draw), delay_ms)

    def _answer(self, pdu: Pdu) -> None:
        habits = self._carrier.behaviour.smpp if self._carrier is not None else None
        if habits is not None and habits.unknown_parameters and not pdu.status:
            pdu = Pdu(pdu.command, pdu.status, pdu.sequence, pdu.fields, (*pdu.tlvs, (0x1FFF, b"unknown")))
        self._write(encode(pdu))

    def _write(self, data: bytes) -> None:
        """At once and whole, or, where the carrier's habits say so, gathered up or in chunks."""
        if self._transport is None:
            return
        habits = self._carrier.behaviour.smpp if self._carrier is not None else None
        if habits is None or not (habits.chunk_bytes or habits.coalesce or self._waiting):
            if not self._gathered:
                self._smsc.loop.call_soon(self._flush)
            self._gathered += data
            return
        self._waiting.append(data)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_slowly(habits.chunk_bytes), name="simulator-smsc-writer")

    def _flush(self) -> None:
        """What is said in one turn of the loop goes out together."""
        if self._transport is not None:
            self._transport.write(bytes(self._gathered))
        self._gathered.clear()

    async def _write_slowly(self, chunk_bytes: int) -> None:
        while self._waiting:
            await asyncio.sleep(CHUNK_PAUSE_S)
            data = b"".join(self._waiting)
            self._waiting.clear()
            step = chunk_bytes or len(data)
            for at in range(0, len(data), step):
                if self._transport is None:
                    return
                self._transport.write(data[at : at + step])
                if chunk_bytes:
                    await asyncio.sleep(CHUNK_PAUSE_S)
