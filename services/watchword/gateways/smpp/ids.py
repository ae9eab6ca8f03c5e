"""A message id as it is told in a response and again in a receipt: providers change base and padding in between."""

import re
from enum import StrEnum
from typing import Final

from watchword.gateways import reading

_DECIMAL = re.compile(r"[0-9]{1,64}")
_HEX = re.compile(r"[0-9a-fA-F]{1,64}")
_TEN, _SIXTEEN = 10, 16


class IdFormat(StrEnum):
    """How an account's two forms of an id are brought to one."""

    EXACT = "exact"
    STRIP0_UPPER = "strip0_upper"  # zeros in front and the case of letters do not count
    HEX_RESP_DEC_DLR = "hex_resp_dec_dlr"
    DEC_RESP_HEX_DLR = "dec_resp_hex_dlr"


_BASES: Final = {
    IdFormat.HEX_RESP_DEC_DLR: (_SIXTEEN, _TEN),
    IdFormat.DEC_RESP_HEX_DLR: (_TEN, _SIXTEEN),
}


def of_response(told: bytes, form: IdFormat) -> str:
    """The id in a submit response, as receipts will be matched by it; "" where it cannot be a reference."""
    return _one(told, form, receipt=False)


def of_receipt(told: bytes, form: IdFormat) -> str:
    """The id in a receipt, in the form of `of_response`."""
    return _one(told, form, receipt=True)


def _one(told: bytes, form: IdFormat, *, receipt: bool) -> str:
    text = reading.reference(told.rstrip(b"\0").decode("latin1").strip())
    if form is IdFormat.EXACT or not text:
        return text
    if form in _BASES:
        base = _BASES[form][receipt]
        if (_HEX if base == _SIXTEEN else _DECIMAL).fullmatch(text):
            return str(int(text, base))
    return text.lstrip("0").upper() or "0"
