"""What is wrong or doubtful with the messages that a file describes, beyond the form of its fields: texts as they will
be sent at their longest, and senders as the countries that they are routed to take them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from watchword.kernel.proofreading import complaints, warnings
from watchword.kernel.template import Template
from watchword.runtime.senders import Objection, objection, sendings, wants_registered_templates

if TYPE_CHECKING:
    from watchword.runtime.configuration_file import Documents


def faults_of(documents: "Documents") -> Iterator[str]:
    """What keeps the file from being applied, each with its place and its mend."""
    for template in documents.templates:
        yield from (f"{_place(template)} {fault}" for fault in complaints(template))
    yield from (f"{place}: {found.words}" for place, found in _objections(documents) if found.refuses)


def warnings_of(documents: "Documents") -> Iterator[str]:
    """What can be applied, and should be looked at."""
    for template in documents.templates:
        yield from (f"{_place(template)} {each}" for each in warnings(template))
    yield from (f"{place}: {found.words}" for place, found in _objections(documents) if not found.refuses)
    yield from _unregistered(documents)


def _objections(documents: "Documents") -> Iterator[tuple[str, Objection]]:
    senders = {each.id: (each.sender, frozenset(each.sender_registered_in)) for each in documents.accounts}
    countries = {country for tenant in documents.tenants for country in tenant.countries}
    for sending in sendings(documents.routes, senders, countries):
        found = objection(sending)
        if found is not None:
            yield f'[[accounts]] "{sending.account}"', found


def _unregistered(documents: "Documents") -> Iterator[str]:
    """Texts without a registration, of tenants that send where one is needed."""
    for tenant in documents.tenants:
        wanting = [country for country in tenant.countries if wants_registered_templates(country)]
        for template in documents.templates:
            if wanting and template.tenant == tenant.id and template.dlt is None:
                yield (
                    f"{_place(template)} is sent to {', '.join(wanting)}, where operators drop texts that are not "
                    "registered: say its registration in [templates.dlt], unless the provider adds it"
                )


def _place(template: Template) -> str:
    return f'[[templates]] "{template.tenant}/{template.id}"'
