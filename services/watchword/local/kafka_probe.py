"""Asks a broker, in thirty lines of its own protocol, whether it is ready to serve.

An open port is not enough: Kafka listens before its broker is known to the controller. The question is a Metadata
request, version 1 (Kafka protocol guide, API key 3), for no topic at all; the answer names the live brokers.
"""

import socket
import struct

_METADATA_V1 = struct.pack(">hhih9si", 3, 1, 1, 9, b"watchword", 0)
_ANSWER_BYTES_MAX = 65_536
_INT32_BYTES = 4


def serves(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """True if the broker answers and counts at least one live broker. A refused or silent port is False."""
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(_METADATA_V1)) + _METADATA_V1)
            size = struct.unpack(">i", _exactly(connection, _INT32_BYTES))[0]
            if not 2 * _INT32_BYTES <= size <= _ANSWER_BYTES_MAX:
                return False
            _correlation_id, brokers = struct.unpack_from(">ii", _exactly(connection, size))
    except OSError:
        return False
    return bool(brokers > 0)


def _exactly(connection: socket.socket, count: int) -> bytes:
    """The next `count` bytes. Raises ConnectionError if the peer closes before."""
    received = b""
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        received += chunk
    return received
