"""Whose network an address belongs to, by the longest prefix that holds it. What no prefix holds belongs to nobody."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

Network = IPv4Network | IPv6Network


class Owners(Protocol):
    """Anything that knows whose networks are whose."""

    def owner(self, address: str) -> str:
        """The autonomous system number of an address such as "64500", "" for unknown or for what is no address."""
        ...


class Prefixes:
    """Owners by prefix, held in memory: about a hundred bytes each. Of equal prefixes the last one counts."""

    def __init__(self, prefixes: Iterable[tuple[Network, int]]) -> None:
        by_length: dict[tuple[int, int], dict[int, int]] = {}
        for network, asn in prefixes:
            of_length = by_length.setdefault((network.version, network.prefixlen), {})
            of_length[int(network.network_address) >> (network.max_prefixlen - network.prefixlen)] = asn
        self._by_length = sorted(by_length.items(), key=lambda entry: -entry[0][1])

    def __len__(self) -> int:
        return sum(len(of_length) for _, of_length in self._by_length)

    def owner(self, address: str) -> str:
        """The number of the longest prefix that holds the address, "" for none."""
        try:
            read = ip_address(address.strip())
        except ValueError:
            return ""
        if isinstance(read, IPv6Address) and read.ipv4_mapped is not None:
            read = read.ipv4_mapped
        value = int(read)
        for (version, length), of_length in self._by_length:
            if version == read.version:
                asn = of_length.get(value >> (read.max_prefixlen - length))
                if asn is not None:
                    return str(asn)
        return ""
