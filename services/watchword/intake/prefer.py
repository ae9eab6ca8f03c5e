"""What a caller would rather have: `Prefer: wait=N` (RFC 7240, section 4.3). Pure."""

import re
from collections.abc import Mapping

HEADER = "Prefer"
WAIT_MAX_S = 10
_PREFERENCE = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*")+')
_WAIT = re.compile(r'\s*wait\s*=\s*("?)([0-9]{1,9})\1\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)


def wait_s(headers: Mapping[str, str]) -> int:
    """For how many seconds the caller would wait, 1 to 10; 0 if it said nothing of the kind.

    More than 10 is 10. Of several the first counts, and what cannot be understood is as if it were not there, as the
    RFC asks.
    """
    if HEADER not in headers:
        return 0
    said = ",".join(value for name, value in headers.items() if name.lower() == "prefer")
    for preference in _PREFERENCE.findall(said):
        if wanted := _WAIT.fullmatch(preference):
            return min(int(wanted[2]), WAIT_MAX_S)
    return 0


def applied(seconds: int) -> dict[str, str]:
    """The header that says that the preference was honoured."""
    return {"Preference-Applied": f"wait={seconds}"}
