"""Where the operations ports are found."""

import json
from pathlib import Path

import pytest

from watchword.operations.pages import PortsUnknown, known_ports, of_each_address


def test_ports_given_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text(json.dumps({"ops": ["http://127.0.0.1:9001"]}))
    assert known_ports((), file) == ("http://127.0.0.1:9001",)
    assert known_ports(("http://host:1/",), file) == ("http://host:1",)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "3"])
def test_without_any_the_message_says_how_to_name_them(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ports.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(PortsUnknown, match="--ops"):
        known_ports((), file)


@pytest.mark.parametrize(
    ("url", "found", "asked"),
    [
        ("http://codes-0:9100", ["10.0.0.7"], ("http://codes-0:9100",)),
        ("http://nobody:9100", [], ("http://nobody:9100",)),
        (
            "http://codes-members:9100",
            ["10.0.0.7", "10.0.0.5", "10.0.0.7"],
            ("http://10.0.0.5:9100", "http://10.0.0.7:9100"),
        ),
        ("http://codes-members:9100", ["fd00::1", "fd00::2"], ("http://[fd00::1]:9100", "http://[fd00::2]:9100")),
    ],
)
def test_a_name_with_several_addresses_is_every_copy(url: str, found: list[str], asked: tuple[str, ...]) -> None:
    assert of_each_address(url, found) == asked
