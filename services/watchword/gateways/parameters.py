"""Optional SMPP parameters of an account's own, as India's DLT scrubbing and some providers ask for.

`tlv_1400 = "{dlt_entity_id}"` sends parameter 0x1400 with the id of the message's entity. What stands there is ASCII
with placeholders; `hex:` in front makes it bytes, `c:` ends it in NUL. Tag, form and order differ from provider to
provider, so they are the account's (delivery.md, section 4.1).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from watchword.gateways.contract import Message

TLV_PREFIX: Final = "tlv_"
BYTES_MAX: Final = 255
_TAG = re.compile(r"[0-9a-f]{4}")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_VALUES: Mapping[str, Callable[[Message], str]] = {
    "dlt_entity_id": lambda message: message.dlt_entity_id,
    "dlt_template_id": lambda message: message.dlt_template_id,
    "dlt_telemarketers": lambda message: message.dlt_telemarketers,
    "dlt_chain_hash": lambda message: message.dlt_chain_hash,
    "client_ref": lambda message: message.client_ref,
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the account's own: fixed bytes, or a text with placeholders."""

    tag: int
    text: str = ""
    fixed: bytes = field(default=b"", repr=False)
    ends_in_nul: bool = False

    def of(self, message: Message) -> bytes:
        """Its bytes for a message, b"" where a placeholder has no value for it: then it is left out."""
        told = self.fixed or self.written(message).encode("ascii")
        return told + b"\0" if told and self.ends_in_nul else told

    def written(self, message: Message) -> str:
        """Its text for a message, without the NUL that ends it, "" as `of`; "" where it is fixed bytes."""
        values = {name: _VALUES[name](message) for name in _PLACEHOLDER.findall(self.text)}
        if not all(values.values()):
            return ""
        told = _PLACEHOLDER.sub(lambda found: values[found[1]], self.text)
        return told.encode("ascii", "replace").decode("ascii")[:BYTES_MAX]


def parameters_of(options: Mapping[str, str]) -> tuple[Parameter, ...]:
    """Those of an account's options, in the order they are written. Raises ValueError naming the option."""
    return tuple(
        _parameter(option, value.strip()) for option, value in options.items() if option.startswith(TLV_PREFIX)
    )


def _parameter(option: str, value: str) -> Parameter:
    tag = option.removeprefix(TLV_PREFIX).lower().removeprefix("0x")
    if not _TAG.fullmatch(tag):
        raise ValueError(f"options.{option}: the tag is four hexadecimal digits, as in tlv_1400")
    if value.startswith("hex:"):
        return Parameter(int(tag, 16), fixed=_bytes(option, value.removeprefix("hex:")))
    text = value.removeprefix("c:")
    unknown = sorted(set(_PLACEHOLDER.findall(text)) - set(_VALUES))
    if unknown:
        raise ValueError(f"options.{option}: there is no placeholder {{{unknown[0]}}}; there are {', '.join(_VALUES)}")
    if not text.isascii() or not 1 <= len(text) <= BYTES_MAX:
        raise ValueError(f"options.{option}: must be 1-{BYTES_MAX} ASCII characters")
    return Parameter(int(tag, 16), text=text, ends_in_nul=value.startswith("c:"))


def _bytes(option: str, digits: str) -> bytes:
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"options.{option}: after hex: stand pairs of hexadecimal digits") from None
    if not 1 <= len(found) <= BYTES_MAX:
        raise ValueError(f"options.{option}: must be 1-{BYTES_MAX} bytes")
    return found
