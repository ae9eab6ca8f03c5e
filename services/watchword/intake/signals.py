"""From what a platform claims about a request to tokens: nothing that names a user's device or address is kept."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from watchword.events.verification import Signals
from watchword.intake.bodies import Claims
from watchword.kernel.feature import OF_ALL
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import token

_NET_BYTES = {4: 3, 6: 6}  # /24 and /48
_ALLOCATED_BYTES = {4: 2, 6: 4}  # /16 and /32: coarser than whose network it is, but no worse at telling a stranger
_BLOCK_DROPS, _ROW_DROPS = 3, 2
_TAIL_CHARS = 8  # each tells ten apart, within its range or block
_OWNER_BYTES = {4: 4, 6: 8}  # an IPv6 customer has at least a /64: the budget is the customer's
_PLATFORMS = (("android", "android"), ("iphone", "ios"), ("ipad", "ios"), ("windows", "windows"), ("mac os", "macos"))


class Tokenised(msgspec.Struct, frozen=True):
    """The signals as they travel, and the name of the claimed address's budget, "" if none was claimed."""

    signals: Signals
    ip_key: str


def address_of(claimed: str) -> IPv4Address | IPv6Address | None:
    """The claimed address, None for none. Raises ValueError for text that is no address, or one with a zone."""
    if not claimed:
        return None
    address = ip_address(claimed)
    if isinstance(address, IPv6Address):
        if address.scope_id:
            raise ValueError("an address with a zone means nothing to anybody else")
        return address.ipv4_mapped or address
    return address


def tokenised(claims: Claims, number: str, tenant: str, keyring: Keyring) -> Tokenised:
    """Every identifier replaced by its hash under the tenant's key: what two platforms see of one device has two
    names. `number`, in E.164, alone has one more that all of them share, which only fraud looks at (decision 0056).
    Raises ValueError if `ip` is no address."""
    address = address_of(claims.ip)
    key = keyring.tenant_key(Purpose.SIGNAL_TOKEN, tenant)
    of_all = keyring.tenant_key(Purpose.SIGNAL_TOKEN, OF_ALL)
    signals = Signals(
        ip_token=token(key, f"ip:{address}") if address else "",
        ip_net_token=token(key, f"net:{_leading(address, _NET_BYTES)}") if address else "",
        device_token=token(key, f"device:{claims.device_id}") if claims.device_id else "",
        account_token=token(key, f"account:{claims.account_ref}") if claims.account_ref else "",
        platform=claims.platform or platform_of(claims.user_agent),
        app_version=claims.app_version,
        ja4=claims.ja4,
        form_ms=claims.form_ms,
        trusted=claims.trusted,
        owner_token=token(key, f"allocated:{_leading(address, _ALLOCATED_BYTES)}") if address else "",
        block_token=token(key, f"block:{number[:-_BLOCK_DROPS]}")[:_TAIL_CHARS],
        row_token=token(key, f"row:{number[:-_ROW_DROPS]}")[:_TAIL_CHARS],
        phone_token=token(of_all, f"phone:{number}"),
    )
    ip_key = token(key, f"owner:{_leading(address, _OWNER_BYTES)}") if address else ""
    return Tokenised(signals, ip_key)


def platform_of(user_agent: str) -> str:
    """The platform word a user agent holds, "" if it holds none we know; the rest of it is forgotten."""
    lowered = user_agent.lower()
    return next((word for mark, word in _PLATFORMS if mark in lowered), "")


def _leading(address: IPv4Address | IPv6Address, width: dict[int, int]) -> str:
    """The network part of an address in hex; its length tells the version."""
    return address.packed[: width[address.version]].hex()
