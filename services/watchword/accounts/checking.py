"""What is wrong with an account, as far as that can be told without calling anybody. Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from watchword.gateways import links
from watchword.gateways.contract import Account, Message
from watchword.gateways.facts import Facts, Signature
from watchword.gateways.sessions import AnyGateway

CALLBACK = "callback"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing to mend. A `serious` one keeps messages from leaving or reports from being believed."""

    account: str
    told: str
    fix: str
    serious: bool = True


def flaws(account: Account, gateway: AnyGateway, facts: Facts, sample: Message) -> list[Flaw]:
    """Everything that can be told to be wrong with `account`, [] if nothing."""
    found = [_cannot_send(account, gateway, sample), _believes_nobody(account, facts), _unasked(account, facts)]
    found.append(_in_clear(account))
    return [flaw for flaw in found if flaw is not None]


def _cannot_send(account: Account, gateway: AnyGateway, sample: Message) -> Flaw | None:
    try:
        gateway.encode(sample, account)
    except ValueError as error:
        place = str(error).partition(":")[0]
        return Flaw(account.id, f"cannot send: {error}", f"correct {_field(place)} in its [[accounts]]")
    return None


def _field(place: str) -> str:
    return place if place in ("url", "templates") or place.startswith(("secrets.", "options.")) else f"options.{place}"


def _believes_nobody(account: Account, facts: Facts) -> Flaw | None:
    if facts.capabilities.signature is Signature.SESSION or account.secrets.get(CALLBACK):
        return None
    fix = f"set secrets.{CALLBACK} to what the provider signs with (gateways/{account.gateway}/README.md)"
    return Flaw(account.id, "no delivery report will be believed", fix)


def _unasked(account: Account, facts: Facts) -> Flaw | None:
    """A provider that is told no address reports to the one in its own panel, if there is one."""
    if facts.account is None or links.OPTION not in facts.account.takes or account.options.get(links.OPTION):
        return None
    fix = f"set options.{links.OPTION} to https://<the receipts door>/receipts/{account.id}"
    return Flaw(account.id, "the provider is told no address to report to", fix, serious=False)


def _in_clear(account: Account) -> Flaw | None:
    parts = urlsplit(account.url)
    if parts.scheme not in ("http", "smpp") or parts.hostname in LOOPBACK:
        return None
    return Flaw(
        account.id, "codes and secrets leave unencrypted", f"use {parts.scheme}s:// in url, or a private network", False
    )
