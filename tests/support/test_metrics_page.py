"""The rules that pages are held to refuse what they are there to refuse."""

import pytest

from tests.support.metrics_page import SERIES_MAX, flaws

GOOD = """# HELP watchword_x_seen_total Seen.
# TYPE watchword_x_seen_total counter
watchword_x_seen_total{reason="ok"} 1
"""


def test_a_good_page_has_no_flaw() -> None:
    assert flaws(GOOD) == []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("Seen.", ""),
        ('reason="ok"', 'reason="+919876543210"'),
        ('reason="ok"', 'reason="42"'),
        ('reason="ok"', 'reason="0195f000-1234-7abc-8def-000000012345"'),
        ('reason="ok"', 'reason="wwk_live_abc"'),
        ('reason="ok"', 'number="ok"'),
        ("watchword_", "other_"),
        ("counter", "gauge"),
    ],
)
def test_a_page_that_breaks_one_rule_is_told(was: str, becomes: str) -> None:
    assert flaws(GOOD.replace(was, becomes)) != []


def test_too_many_series_are_told() -> None:
    many = "".join(
        f'watchword_x_seen_total{{reason="r{chr(97 + number % 26)}{number}"}} 1\n' for number in range(SERIES_MAX + 1)
    )
    assert any("series" in flaw for flaw in flaws(GOOD + many))
