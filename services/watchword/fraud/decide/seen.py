"""One observation as the nodes take it, and where nodes are kept."""

from typing import Protocol

import msgspec

from watchword.events.risk_level_set import RiskLevelSet
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide.node import Node


class Seen(msgspec.Struct, gc=False):
    """What happened, `at_s` seconds since the epoch, to one verification.

    `country` is where its number lies; `expected` the share of sends the tenant sees verified and `surge` how many
    times more it sends than usual, as last told, 0 for not told; `delay_s` the seconds from send to verification,
    below 0 for unknown; `place` who asked, for a number, or the number or country asked for, for who asks; `suspect`
    says that something piled up where it went, `novel` that it came from networks where nobody was verified before;
    `digest` tells repeats apart, empty where there are none.
    """

    kind: SignalKind
    at_s: float
    country: str = ""
    expected: float = 0.0
    surge: float = 0.0
    delay_s: float = -1.0
    place: str = ""
    suspect: bool = False
    novel: bool = False
    digest: bytes = b""


class Nodes(Protocol):
    """Where nodes are kept. What was asked for may have been changed."""

    def node(self, feature: str) -> Node:
        """The node of a feature, a new one where it is not known."""
        ...


Told = list[RiskLevelSet]
