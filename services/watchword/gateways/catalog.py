"""Every gateway there is: one line each, by the name accounts use."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from watchword.gateways import facts
from watchword.gateways.aws.gateway import Aws
from watchword.gateways.contract import Gateway, QueryableGateway, TellableGateway, TraceableGateway
from watchword.gateways.echo.gateway import Echo
from watchword.gateways.facts import Facts
from watchword.gateways.infobip.gateway import Infobip
from watchword.gateways.jasmin.gateway import Jasmin
from watchword.gateways.kannel.gateway import Kannel
from watchword.gateways.msg91.gateway import Msg91
from watchword.gateways.plivo.gateway import Plivo
from watchword.gateways.sessions import AnyGateway, SessionGateway
from watchword.gateways.sinch.gateway import Sinch
from watchword.gateways.smpp.gateway import Smpp
from watchword.gateways.template.gateway import Template
from watchword.gateways.twilio.gateway import Twilio
from watchword.gateways.vonage.gateway import Vonage
from watchword.kernel import dlt

GATEWAYS: Mapping[str, Gateway] = {
    "aws": Aws(),
    "echo": Echo(),
    "infobip": Infobip(),
    "jasmin": Jasmin(),
    "kannel": Kannel(),
    "msg91": Msg91(),
    "plivo": Plivo(),
    "sinch": Sinch(),
    "template": Template(),
    "twilio": Twilio(),
    "vonage": Vonage(),
}

QUERYABLE: Mapping[str, QueryableGateway] = {
    name: gateway for name, gateway in GATEWAYS.items() if isinstance(gateway, QueryableGateway)
}

TRACEABLE: Mapping[str, TraceableGateway] = {
    name: gateway for name, gateway in GATEWAYS.items() if isinstance(gateway, TraceableGateway)
}

TELLABLE: Mapping[str, TellableGateway] = {
    name: gateway for name, gateway in GATEWAYS.items() if isinstance(gateway, TellableGateway)
}

# Those whose carriers keep a connection.
SESSIONS: Mapping[str, SessionGateway] = {"smpp": Smpp()}

ALL: Mapping[str, AnyGateway] = {**GATEWAYS, **SESSIONS}


def facts_of(name: str) -> Facts:
    """The gateway.toml of a catalogue entry. Raises ValueError for another name."""
    if name not in ALL:
        raise ValueError(f"{name}: no such gateway")
    return facts.load(Path(__file__).parent / name)


# Those whose providers send texts of their own.
OWN_TEXTS: frozenset[str] = frozenset(name for name in ALL if facts_of(name).capabilities.own_texts)

# Those that cannot tell their providers what a text is registered as in India.
WITHOUT_DLT: frozenset[str] = frozenset(name for name in ALL if not facts_of(name).capabilities.dlt)


class Registered(Protocol):
    """An account, as a file has it or as workers do."""

    @property
    def gateway(self) -> str: ...

    @property
    def templates(self) -> Mapping[str, str]: ...


def sends_only_registered(account: Registered, country: str) -> bool:
    """Whether the account is for texts alone of which it says that they are registered with its provider: where it says
    so of any, where the provider has texts of its own, and in India where only the provider could add their ids."""
    by_provider = account.gateway in OWN_TEXTS or (country == dlt.COUNTRY and account.gateway in WITHOUT_DLT)
    return bool(account.templates) or by_provider
