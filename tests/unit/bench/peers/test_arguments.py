"""What the command line of the peers' bench takes, and what it refuses with a reason."""

import pytest

from tests.bench.peers.__main__ import ALL, USUAL, arguments


def test_what_is_usual_can_be_run() -> None:
    assert arguments([]).kinds == USUAL.split(",")
    assert set(USUAL.split(",")) <= set(ALL)


@pytest.mark.parametrize("words", [["--systems", "kannel,twilio"], ["--messages", "0"], ["--runs", "6000"]])
def test_what_cannot_be_ends_with_2_and_a_reason(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err
