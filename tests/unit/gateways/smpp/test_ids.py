"""An id is the same in response and receipt, whatever the provider does to it in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.gateways.smpp.ids import IdFormat, of_receipt, of_response


@given(number=st.integers(0, 2**64 - 1), pad=st.integers(0, 24))
def test_bases_and_padding_meet(number: int, pad: int) -> None:
    hexadecimal, decimal = f"{number:x}".encode(), str(number).rjust(pad, "0").encode()
    assert of_response(hexadecimal, IdFormat.HEX_RESP_DEC_DLR) == of_receipt(decimal, IdFormat.HEX_RESP_DEC_DLR)
    assert of_response(decimal, IdFormat.DEC_RESP_HEX_DLR) == of_receipt(hexadecimal.upper(), IdFormat.DEC_RESP_HEX_DLR)
    assert of_response(decimal, IdFormat.STRIP0_UPPER) == of_receipt(str(number).encode(), IdFormat.STRIP0_UPPER)


@given(told=st.binary(max_size=200), form=st.sampled_from(IdFormat))
def test_any_bytes_are_a_reference_or_none(told: bytes, form: IdFormat) -> None:
    for found in (of_response(told, form), of_receipt(told, form)):
        assert len(found) <= 128
        assert found.isprintable()


@pytest.mark.parametrize(
    ("told", "form", "kept"),
    [
        (b"00Ab", IdFormat.EXACT, "00Ab"),
        (b"00ab\0", IdFormat.STRIP0_UPPER, "AB"),
        (b"000", IdFormat.STRIP0_UPPER, "0"),
        (b"not-hex", IdFormat.HEX_RESP_DEC_DLR, "NOT-HEX"),
        (b"", IdFormat.EXACT, ""),
        (b"", IdFormat.STRIP0_UPPER, ""),
    ],
)
def test_what_has_no_base_is_left_as_it_is(told: bytes, form: IdFormat, kept: str) -> None:
    assert of_response(told, form) == kept
