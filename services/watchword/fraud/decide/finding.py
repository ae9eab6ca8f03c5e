"""What a node shows: one reason in the making."""

from typing import NamedTuple

from watchword.fraud.decide.rules import Rule


class Finding(NamedTuple):
    """What was measured against which threshold, and the points it is worth."""

    points: float
    code: Rule
    value: float
    threshold: float
