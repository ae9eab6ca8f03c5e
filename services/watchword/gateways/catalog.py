"""Every gateway there is: one line each, by the name accounts use."""

from collections.abc import Mapping

from watchword.gateways.contract import Gateway, QueryableGateway
from watchword.gateways.echo.gateway import Echo
from watchword.gateways.template.gateway import Template

GATEWAYS: Mapping[str, Gateway] = {
    "echo": Echo(),
    "template": Template(),
}

QUERYABLE: Mapping[str, QueryableGateway] = {
    name: gateway for name, gateway in GATEWAYS.items() if isinstance(gateway, QueryableGateway)
}
