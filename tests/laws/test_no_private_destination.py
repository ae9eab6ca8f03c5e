"""No spelling of an address that is not public gets past the guard, and no public name is mistaken for one."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from watchword.kernel.destination import Destination, Refusal, admits, destination

PRIVATE = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
        ),
    )
)
private_4 = st.sampled_from(PRIVATE).flatmap(
    lambda network: st.integers(int(network[0]), int(network[-1])).map(IPv4Address)
)
labels = st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True)


def spellings(address: IPv4Address) -> list[str]:
    """How browsers, libraries and the C library may be told this address."""
    number = int(address)
    a, b, c, d = address.packed
    return [
        str(address),
        f"{address}.",
        str(number),
        hex(number),
        hex(number).upper(),
        f"0{number:o}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{number & 0xFFFF}",
        f"{a:03d}.{b:03d}.{c:03d}.{d:03d}",
        f"{a}.{b}.{c:#x}.{d}",
        f"user@{address}",
        f"8.8.8.8@{address}",
        f"[::ffff:{address}]",
        f"[{IPv6Address((0xFFFF << 32) | number)}]",
        f"[{IPv6Address(number)}]",
        f"[{IPv6Address((0x64FF9B << 96) | number)}]",
        f"[{IPv6Address((0x0064FF9B0001 << 80) | number)}]",
        f"[{IPv6Address((0x2002 << 112) | (number << 80))}]",
        f"[{IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF))}]",
        f"[{IPv6Address((0x26064700 << 96) | (0x5EFE << 32) | number)}]",
    ]


@given(private_4, st.sampled_from(["", ":443", ":8443"]), st.sampled_from(["", "/", "/otp?x=1"]))
def test_no_spelling_of_a_private_address_is_called(address: IPv4Address, port: str, rest: str) -> None:
    for spelling in spellings(address):
        assert isinstance(destination(f"https://{spelling}{port}{rest}"), Refusal), spelling


@given(private_4)
def test_no_spelling_of_a_private_address_is_admitted_behind_a_name(address: IPv4Address) -> None:
    for spelling in spellings(address):
        assert not admits(spelling.strip("[]")), spelling


@given(st.integers(0, (1 << 128) - 1).map(IPv6Address))
def test_what_is_admitted_is_global_unicast(address: IPv6Address) -> None:
    if admits(str(address)):
        assert address.is_global
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None


@given(st.lists(labels, min_size=1, max_size=4), st.integers(1, 65_535))
def test_a_name_of_plain_labels_is_called_on_the_port_it_says(names: list[str], port: int) -> None:
    found = destination(f"https://{'.'.join(names)}.example:{port}/otp")
    assert isinstance(found, Destination)
    assert (found.host, found.port) == (".".join([*names, "example"]), port)


@given(st.text(max_size=60))
def test_any_text_has_a_verdict(text: str) -> None:
    assert isinstance(destination(text), Destination | Refusal)
    assert isinstance(destination(f"https://{text}/"), Destination | Refusal)
