"""A file of networks and whose they are, supplied by the operator: `CIDR,ASN` a line, such as `203.0.113.0/24,64500`.

An `AS` before the number, what follows a second comma, empty lines and lines that begin with `#` are passed over.
No such database comes with Watchword: they are licensed.
"""

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

from watchword.kernel.networks import Network, Prefixes

LINES_MAX = 3_000_000
ASN_MAX = 2**32 - 1
_DIGITS_MAX = len(str(ASN_MAX))


class NetworksError(ValueError):
    """A file that cannot be used; the message names the file, the line where it can, and the reason."""


def load(path: Path) -> Prefixes:
    """The owners in a file. Raises NetworksError."""
    try:
        with path.open(encoding="ascii") as lines:
            return Prefixes(_read(path, lines))
    except OSError as error:
        raise NetworksError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NetworksError(f"{path}: not plain ASCII") from None


def _read(path: Path, lines: Iterator[str]) -> Iterator[tuple[Network, int]]:
    for number, line in enumerate(lines, 1):
        if number > LINES_MAX:
            raise NetworksError(f"{path}: more than {LINES_MAX} lines")
        told = line.strip()
        if not told or told.startswith("#"):
            continue
        cidr, _, rest = told.partition(",")
        word = rest.partition(",")[0].strip().upper().removeprefix("AS")
        try:
            network = ip_network(cidr.strip())
        except ValueError:
            raise NetworksError(f"{path}:{number}: no network before the comma, such as 203.0.113.0/24") from None
        if not (word.isdecimal() and len(word) <= _DIGITS_MAX and int(word) <= ASN_MAX):
            raise NetworksError(f"{path}:{number}: no number of an autonomous system behind the comma")
        yield network, int(word)
