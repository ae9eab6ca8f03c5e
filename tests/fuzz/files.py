"""Files that operators write: the configuration, rules, networks, and recorded streams."""

import atexit
import json
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

from watchword.fraud import networks_file, offline
from watchword.fraud.decide.recording import Recording
from watchword.fraud.decide.rules import DEFAULT
from watchword.gateways.catalog import ALL
from watchword.runtime import configuration_file

Read = TypeVar("Read")

_TESTS = Path(__file__).parents[1]
_GATEWAYS = frozenset(ALL)


def configuration(data: bytes) -> None:
    """Documents, or every fault of them with the file it stands in."""
    path = _written(data, "configuration.toml")
    try:
        configuration_file.read(path, gateways=_GATEWAYS)
    except configuration_file.ConfigurationError as error:
        assert error.problems and all(str(path) in problem for problem in error.problems)


def ruleset(data: bytes) -> None:
    """Rules, from either form, that are right; or a refusal that names the file."""
    _ruleset(data, "rules.toml")
    _ruleset(data, "rules.json")


def networks(data: bytes) -> None:
    """Owners, or a refusal that names the file."""
    path = _written(data, "networks.csv")
    owners = _or_refused(lambda: networks_file.load(path), networks_file.NetworksError, path)
    assert owners is None or owners.owner("203.0.113.9").isdecimal() or not owners.owner("203.0.113.9")


def recording(data: bytes) -> None:
    """Each line is played or skipped with a reason, and a request is decided once at most."""
    tally, decided = offline.Tally(), BytesIO()
    skipped = list(offline.score_file(BytesIO(data), decided, Recording(DEFAULT), tally))
    assert len(skipped) == tally.skipped <= tally.lines
    lines = [msgspec.json.decode(line) for line in decided.getvalue().splitlines()]
    assert len(lines) == tally.requests == sum(tally.by_action.values())


def _ruleset(data: bytes, name: str) -> None:
    path = _written(data, name)
    rules = _or_refused(lambda: offline.load_rules(path), offline.RulesetError, path)
    assert rules is None or not rules.wrong()


def _or_refused(read: Callable[[], Read], refusal: type[Exception], path: Path) -> Read | None:
    try:
        return read()
    except refusal as error:
        assert str(path) in str(error)
        return None


@cache
def _directory() -> Path:
    made = TemporaryDirectory(prefix="watchword-fuzz-")
    atexit.register(made.cleanup)
    return Path(made.name)


def _written(data: bytes, name: str) -> Path:
    path = _directory() / name
    path.write_bytes(data)
    return path


def configurations() -> Iterator[bytes]:
    """The configurations of the tests."""
    for path in (*(_TESTS / "support").glob("*.toml"), *(_TESTS / "pipeline").glob("*.toml")):
        yield path.read_bytes()


def rulesets() -> Iterator[bytes]:
    """The published rules in both forms, and a few fields of them."""
    yield msgspec.json.encode(DEFAULT)
    told = msgspec.to_builtins(DEFAULT)
    yield "\n".join(f"{name} = {json.dumps(value)}" for name, value in told.items() if _is_plain(value)).encode()


def _is_plain(value: object) -> bool:
    """Whether it is written in TOML as it is in JSON."""
    return isinstance(value, bool | int | float | str)


def network_lines() -> Iterator[bytes]:
    """Lines of either family, with and without what is passed over."""
    yield b"# whose\n203.0.113.0/24,64500\n\n2001:db8::/32,AS64501,Example\n"
    yield b"0.0.0.0/0,1\n10.0.0.0/8, as4294967295 \n"


def recordings() -> Iterator[bytes]:
    """A stream with a line of each kind."""
    request = b'{"kind": "request", "at": 1767225600.5, "id": "r-1", "to": "+919876543210", "ip": "203.0.113.9"}\n'
    yield request
    yield request + b"".join(
        b'{"kind": "%s", "at": 1767225601, "id": "r-1", "state": "delivered", "good": false}\n' % kind
        for kind in (b"wrong", b"verified", b"receipt", b"feedback")
    )
