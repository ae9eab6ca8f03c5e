"""What is sealed opens only where it belongs; what is named is named the same by holders of the key alone."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.kernel.secret import Code
from watchword.runtime.sealing import (
    Key,
    SealBroken,
    check_mac,
    derived,
    joined,
    macs_equal,
    new_data_key,
    open_sealed,
    seal,
    token,
    unwrap,
    wrap,
)

KEY = Key("key-0001", bytes(range(32)))
OTHER = Key("key-0002", bytes(reversed(range(32))))
VERIFICATION = UUID("0195f000-1234-7abc-8def-000000000001")
PARTS = {
    "tenant": "shop",
    "verification": VERIFICATION,
    "number_token": "n",
    "purpose": "login",
    "binding_hash": "",
    "code": Code("493021"),
}


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_was_sealed_opens_with_the_same_data(plaintext: bytes, aad: bytes) -> None:
    assert open_sealed([OTHER, KEY], seal(KEY, plaintext, aad), aad) == plaintext


@given(st.data())
def test_a_changed_byte_breaks_the_seal(data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, b"493021", b"here"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        open_sealed([KEY], bytes(sealed), b"here")


def test_a_sealed_value_does_not_open_elsewhere_or_with_another_key() -> None:
    sealed = seal(KEY, b"493021", b"here")
    impostor = Key(KEY.id, OTHER.secret)
    for keys, aad in (([KEY], b"there"), ([OTHER], b"here"), ([], b"here"), ([impostor], b"here")):
        with pytest.raises(SealBroken) as caught:
            open_sealed(keys, sealed, aad)
        assert "493021" not in str(caught.value)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" * 36, b"\x02" + bytes(60)])
def test_bytes_that_were_never_sealed_are_refused(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        open_sealed([KEY], sealed, b"")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert len({seal(KEY, b"493021", b"") for _ in range(50)}) == 50


def test_a_key_has_one_length() -> None:
    for key_id, secret in (("short", bytes(32)), ("key-0001", bytes(31)), ("kéy-0001", bytes(32))):
        with pytest.raises(ValueError, match="32 bytes"):
            Key(key_id, secret)


def test_a_token_is_stable_short_and_belongs_to_the_key() -> None:
    made = token(KEY, "+919876543210")
    assert made == token(KEY, "+919876543210") != token(OTHER, "+919876543210")
    assert re.fullmatch(r"[A-Za-z0-9_-]{27}", made)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_parts_never_join_to_the_same_bytes(one: list[str], other: list[str]) -> None:
    assert (joined(*one) == joined(*other)) == (one == other)


def test_derived_keys_differ_by_every_label() -> None:
    made = [derived(KEY, "p", "a"), derived(KEY, "p", "b"), derived(KEY, "pa", ""), derived(OTHER, "p", "a")]
    assert len({key.secret for key in made}) == 4
    assert derived(KEY, "p", "a") == made[0]


def test_a_check_value_depends_on_every_part() -> None:
    changed: list[dict[str, object]] = [
        {"tenant": "shop2"},
        {"verification": UUID(int=VERIFICATION.int + 1)},
        {"number_token": "m"},
        {"purpose": "pay"},
        {"binding_hash": "x"},
        {"code": Code("493022")},
    ]
    made = {check_mac(KEY, **(PARTS | change)) for change in changed}  # type: ignore[arg-type]
    made |= {check_mac(KEY, **PARTS), check_mac(OTHER, **PARTS)}  # type: ignore[arg-type]
    assert len(made) == 8
    moved = PARTS | {"tenant": "sho", "number_token": "pn"}
    assert check_mac(KEY, **moved) not in made  # type: ignore[arg-type]


def test_a_code_under_an_older_pepper_still_counts() -> None:
    stored = check_mac(OTHER, **PARTS)  # type: ignore[arg-type]
    assert macs_equal(stored, [check_mac(key, **PARTS) for key in (KEY, OTHER)])  # type: ignore[arg-type]
    assert not macs_equal(stored, [check_mac(KEY, **PARTS)])  # type: ignore[arg-type]
    assert not macs_equal(stored, [])


def test_a_subjects_key_comes_back_for_that_subject_alone() -> None:
    data_key = new_data_key()
    wrapped = wrap(KEY, data_key, tenant="shop", number_token="n")
    assert unwrap([KEY], wrapped, tenant="shop", number_token="n") == data_key
    with pytest.raises(SealBroken):
        unwrap([KEY], wrapped, tenant="shop", number_token="m")
    assert data_key.secret not in wrapped
