"""Parts are counted and cut as phones put them together again."""

import pytest
import smsutil
from hypothesis import example, given
from hypothesis import strategies as st

from watchword.kernel.gsm7 import size, split

GSM7 = "@£$¥èÇ\nØΔ_ΦΞÆßÉ !#¤%&'()*+09:?¡AZÄÖÑÜ§¿azäöñüà^{}\\[~]|€"
UCS2 = GSM7 + "`ç’жअ😀𝄞\u200b\u00a0"

texts = st.one_of(
    st.text(st.sampled_from(GSM7), min_size=1, max_size=330), st.text(st.sampled_from(UCS2), min_size=1, max_size=220)
)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "gsm7", 0, 1),
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("€" * 80, "gsm7", 160, 1),
        ("a" * 152 + "€" + "a" * 10, "gsm7", 164, 2),
        ("€" * 153, "gsm7", 306, 3),
        ("ж" * 70, "ucs2", 70, 1),
        ("ж" * 71, "ucs2", 71, 2),
        ("😀" * 35, "ucs2", 70, 1),
        ("😀" * 67, "ucs2", 134, 3),
        ("`", "ucs2", 1, 1),
    ],
)
def test_parts_are_counted_as_phones_count_them(text: str, encoding: str, units: int, segments: int) -> None:
    told = size(text)
    assert (told.encoding, told.units, told.segments) == (encoding, units, segments)


@given(texts)
@example("a" * 152 + "€" + "a" * 10)
@example("ж" * 66 + "😀" * 5)
@example("€" * 153)
def test_a_text_is_cut_as_another_implementation_cuts_it(text: str) -> None:
    theirs = smsutil.split(text)
    assert split(text) == [part.content for part in theirs.parts]
    assert size(text).segments == len(theirs.parts)
    assert size(text).encoding == {"gsm0338": "gsm7", "utf_16_be": "ucs2"}[theirs.encoding]


@given(texts)
def test_the_parts_are_the_text_and_each_fits(text: str) -> None:
    parts = split(text)
    assert "".join(parts) == text and len(parts) == size(text).segments
    room = {("gsm7", True): 160, ("gsm7", False): 153, ("ucs2", True): 70, ("ucs2", False): 67}
    whole = size(text)
    for part in parts:
        units = size(part).units if whole.encoding == "gsm7" else len(part.encode("utf-16-be")) // 2
        assert units <= room[whole.encoding, len(parts) == 1]
