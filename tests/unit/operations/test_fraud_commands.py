"""Words typed wrong end with 2 and say why, before any server is asked."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from watchword.operations.fraud import app


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("lift", "planet:mars@shop", "--reason", "x"), "is no key"),
        (("lift", "range:+99890123", "--reason", "x"), "is no key"),
        (("lift", "range:+99890123@shop"), "--reason"),
        (("lift", "range:+99890123@shop", "--reason", " "), "it cannot be empty"),
        (("lift", "range:+99890123@shop", "--reason", "x", "--undo", "--redispatch"), "--undo takes a lift back"),
        (("explain", "yesterday's"), "is not the id of a verification"),
        (("reload",), "name a FILE, or --drop"),
        (("reload", "rules.toml", "--drop"), "name a FILE, or --drop"),
        (("reload", "/nowhere/rules.toml"), "the ruleset in force stays"),
    ],
)
def test_what_is_not_said_fully_is_refused(words: tuple[str, ...], told: str) -> None:
    ended = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert ended.exit_code == 2
    assert told in " ".join(ended.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('version = "x"\nconversion = 0.7\ntrickel = 0.1\n', 3, "unknown field `trickel`"),
        ('version = "x"\nconversion = 7.0\n', 2, "`conversion` is a share between 0 and 1"),
    ],
)
def test_a_ruleset_that_is_none_is_told_with_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    ended = CliRunner().invoke(app, ["reload", str(file)])
    assert ended.exit_code == 2
    assert f"rules.toml:{line}: " in ended.output and told in ended.output


def test_a_good_ruleset_is_checked_without_a_server(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('version = "2027-01.1"\ndelay_s = 2.0\n')
    ended = CliRunner().invoke(app, ["reload", str(file), "--dry-run"])
    assert ended.exit_code == 0
    assert "ruleset 2027-01.1+" in ended.output and "is well" in ended.output
