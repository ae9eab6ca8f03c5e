"""Tests talk to this machine only. A stub that was forgotten fails the test instead of reaching somebody.

An audit hook (PEP 578) sees every connection and name look-up that goes through Python's sockets, whichever library
asks. It cannot be taken out again, so it is put in once for the whole run. Child processes have hooks of their own
or none: what they may reach is for the test that starts them.
"""

import ipaddress
import sys
from typing import Any

refused: list[str] = []
"""What was refused since somebody last looked: code under test may have swallowed the error."""

_HOST_OF = {
    "socket.connect": lambda args: args[1],
    "socket.sendto": lambda args: args[1],
    "socket.sendmsg": lambda args: args[1],
    "socket.getaddrinfo": lambda args: args[0],
    "socket.gethostbyname": lambda args: args[0],
}


class OutsideHost(AssertionError):
    """Something tried to reach a host other than this one. Not an OSError, lest it be taken for a bad network."""


def is_local(address: object) -> bool:
    """True for a path of a Unix socket, a loopback or unspecified address, `localhost`, or no host at all."""
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if not isinstance(host, str) or host in ("", "localhost") or host.startswith(("/", "\0")):
        return True
    try:
        numeric = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return numeric.is_loopback or numeric.is_unspecified


def refuse_outside_hosts() -> None:
    """From here to the end of the interpreter, every connection or look-up beyond this machine raises OutsideHost."""
    sys.addaudithook(_hook)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    host_of = _HOST_OF.get(event)
    if host_of is None:
        return
    address = host_of(args)
    if not is_local(address):
        refused.append(f"{event} {address!r}")
        raise OutsideHost(f"a test tried to reach {address!r}; only this machine is allowed")
