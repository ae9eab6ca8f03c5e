"""What the doctor finds: one fact a finding, well or not, and for what is not the line that mends it."""

from collections.abc import Iterable

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """`check` is a stable word, `subject` what of (a topic, an account), "" for the whole. `fix` is "" where `ok`."""

    check: str
    subject: str
    ok: bool
    told: str
    fix: str = ""


def well(check: str, told: str, subject: str = "") -> Finding:
    """A finding that is as it should be."""
    return Finding(check, subject, True, told)


def ill(check: str, told: str, fix: str, subject: str = "") -> Finding:
    """A finding that is not as it should be, and what to do."""
    return Finding(check, subject, False, told, fix)


def or_well(found: Iterable[Finding], otherwise: Finding) -> list[Finding]:
    """What was found, or that all is well."""
    return list(found) or [otherwise]
