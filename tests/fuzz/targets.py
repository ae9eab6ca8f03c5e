"""What is fuzzed: for each reader a function of bytes that raises where a promise is broken, and inputs to begin with.

A refusal in the words its reader promises is no finding. Whatever else is raised is one, and so is an answer that
breaks the reader's contract.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.fuzz import files, gateways, smpp, wire

Try = Callable[[bytes], None]
Seeds = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Target:
    """One reader. `try_one` raises for an input that it does not read as promised."""

    name: str
    try_one: Try
    seeds: Seeds


TARGETS = {
    each.name: each
    for each in (
        Target("smpp-codec", smpp.codec, smpp.units),
        Target("smpp-session", smpp.session, smpp.talks),
        Target("smpp-receipt", smpp.receipt, smpp.reports),
        Target("gateway-answers", gateways.answer, gateways.answers),
        Target("gateway-callbacks", gateways.callback, gateways.callbacks),
        Target("record-headers", wire.headers, wire.header_seeds),
        Target("event-values", wire.value, wire.value_seeds),
        Target("configuration", files.configuration, files.configurations),
        Target("ruleset", files.ruleset, files.rulesets),
        Target("networks", files.networks, files.network_lines),
        Target("recording", files.recording, files.recordings),
    )
}
