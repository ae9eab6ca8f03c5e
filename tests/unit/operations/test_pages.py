"""Where the operations ports are found."""

import json
from pathlib import Path

import pytest

from watchword.operations.pages import PortsUnknown, known_ports


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
