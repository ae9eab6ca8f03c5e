"""Cursors: good for the list they were made for, and for nothing else."""

import pytest

from tests.support.requests import standing
from watchword.intake.cursor import CursorInvalid, opened, signed
from watchword.runtime.sealing import Key

KEY, NEWER, STRANGE = (Key(f"key-000{n}", bytes([n]) * 32) for n in range(3))
AFTER = standing().about.verification_id
SCOPE = ("shop", "order-7", "pending", "", "")


def test_a_cursor_leads_back_to_where_the_page_ended() -> None:
    cursor = signed(KEY, AFTER, SCOPE)
    assert len(cursor) <= 64
    assert opened((KEY,), cursor, SCOPE) == AFTER
    assert opened((NEWER, KEY), cursor, SCOPE) == AFTER


@pytest.mark.parametrize("field", range(len(SCOPE)))
def test_a_cursor_is_no_use_for_another_tenant_or_under_another_filter(field: int) -> None:
    other = tuple("other" if index == field else each for index, each in enumerate(SCOPE))
    with pytest.raises(CursorInvalid):
        opened((KEY,), signed(KEY, AFTER, SCOPE), other)


def test_words_do_not_run_into_each_other() -> None:
    with pytest.raises(CursorInvalid):
        opened((KEY,), signed(KEY, AFTER, ("sh", "op", "", "", "")), ("sho", "p", "", "", ""))


def test_a_cursor_that_was_touched_or_made_elsewhere_is_refused() -> None:
    cursor = signed(KEY, AFTER, SCOPE)
    touched = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for wrong in (touched, cursor[:-1], cursor + "A", "", "x", "\u00e9" * 43, cursor.replace(cursor[5], "!"), "A" * 64):
        with pytest.raises(CursorInvalid):
            opened((KEY,), wrong, SCOPE)
    with pytest.raises(CursorInvalid):
        opened((STRANGE,), cursor, SCOPE)
