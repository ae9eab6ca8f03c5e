"""The operator's file of networks, and what a recording makes of it."""

from pathlib import Path

import pytest

from watchword.fraud.decide.line import Line, LineKind, Reading
from watchword.fraud.networks_file import NetworksError, load
from watchword.kernel.feature import Kind


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "networks.csv"
    path.write_text(text, "utf-8")
    return path


def asks(ip: str, asn: str | None = None) -> Line:
    return Line(kind=LineKind.REQUEST, at=1.0, id="a", tenant="shop", to="+998901234567", ip=ip, asn=asn)


def test_a_request_is_counted_under_whose_network_it_comes_from(tmp_path: Path) -> None:
    path = written(tmp_path, "# networks\n\n198.51.0.0/16,AS64500,Example\n198.51.100.0/24, 64501\n")
    reading = Reading(load(path))
    about, *_ = reading.understood(asks("198.51.100.7"))
    assert about.features[Kind.ASN] == "asn:as64501@shop"
    said, *_ = reading.understood(asks("198.51.100.7", asn="7"))
    assert said.features[Kind.ASN] == "asn:as7@shop"


def test_a_network_that_is_not_in_the_file_is_nobodys(tmp_path: Path) -> None:
    about, *_ = Reading(load(written(tmp_path, "198.51.0.0/16,64500\n"))).understood(asks("203.0.113.9"))
    assert Kind.ASN not in about.features
    assert Kind.IP_NET in about.features


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("198.51.0.0/16\n", ":1: no number"),
        ("198.51.0.0/16,64500\n198.51.0.1/16,1\n", ":2: no network"),
        ("198.51.0.0/16,4294967296\n", ":1: no number"),
        ("198.51.0.0/16,1 # \u00e9\n", "not plain ASCII"),
    ],
)
def test_a_file_that_is_none_is_refused_by_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(NetworksError, match=named):
        load(written(tmp_path, text))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworksError, match="missing"):
        load(tmp_path / "missing.csv")
