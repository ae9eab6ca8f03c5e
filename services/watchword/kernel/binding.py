"""What a code confirms besides the number, such as an amount and a payee, as one short word to compare by."""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

_DIGEST_BYTES = 16
_encoder = msgspec.json.Encoder(order="sorted")


def binding_hash(binding: Mapping[str, str]) -> str:
    """32 hex digits that only this binding gives, "" for none; the order of its fields does not matter."""
    if not binding:
        return ""
    return blake2b(_encoder.encode(dict(binding)), digest_size=_DIGEST_BYTES).hexdigest()
