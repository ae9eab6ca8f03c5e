"""The base of every applied document, and the types its fields are made of."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from msgspec.inspect import DictType, StructType, Type, UnionType, type_info

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}\Z")]
Country = Annotated[str, Meta(pattern=r"^([A-Z]{2}|001)\Z")]
CountryOrAny = Annotated[str, Meta(pattern=r"^([A-Z]{2}|001|\*)\Z")]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
ANY = "*"

T = TypeVar("T", bound=msgspec.Struct)


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every applied document: unknown fields are refused, nothing changes after it was read."""


def read_stored(document: Mapping[str, Any], kind: type[T]) -> T:
    """A document as it lies in the database, where a newer version may have written it: fields that this one does not
    know are passed over, those of documents inside of it too. What operators apply is read strictly, and not by this.
    Raises msgspec.ValidationError on a value that this version cannot read."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError:  # seldom: only while two versions run, so looking for it may cost
        return msgspec.convert(_known(document, _shape(kind)), kind)


@lru_cache(maxsize=64)
def _shape(kind: type[msgspec.Struct]) -> Type:
    return type_info(kind)


def _known(value: Any, shape: Type) -> Any:
    """`value` without the fields that no struct of `shape` has."""
    if not isinstance(value, Mapping):
        return value
    match shape:
        case StructType(fields=fields):
            known = {each.encode_name: each.type for each in fields}
            return {name: _known(each, known[name]) for name, each in value.items() if name in known}
        case DictType(value_type=of_each):
            return {name: _known(each, of_each) for name, each in value.items()}
        case UnionType(types=types):
            return next((_known(value, each) for each in types if isinstance(each, StructType | DictType)), value)
    return value
