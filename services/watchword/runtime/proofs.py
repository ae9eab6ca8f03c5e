"""What is wrong or doubtful with the messages that a file describes, beyond the form of its fields: texts as they will
be sent at their longest, senders as the countries that they are routed to take them, and which of their own texts
providers send for ours. What dispatch passes an account over for is decided by the same functions."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from watchword.events.topics import TENANT_RESULTS
from watchword.gateways.catalog import OWN_TEXTS, WITHOUT_DLT
from watchword.gateways.contract import EVERY_TEMPLATE
from watchword.kernel import dlt
from watchword.kernel.document import ANY
from watchword.kernel.proofreading import complaints, warnings
from watchword.kernel.senders import Objection, objection, sendings, wants_registered_templates
from watchword.kernel.template import Template

if TYPE_CHECKING:
    from watchword.runtime.configuration_file import Documents


def faults_of(documents: "Documents") -> Iterator[str]:
    """What keeps the file from being applied, each with its place and its mend."""
    for template in documents.templates:
        yield from (f"{_place(template)} {fault}" for fault in complaints(template))
    yield from (f"{place}: {found.words}" for place, found in _objections(documents) if found.refuses)
    mend = "leave it out, or say in templates to which texts the provider adds them"
    yield from (f"{place}: {mend}" for place in _bare(documents, dlt.COUNTRY))


def warnings_of(documents: "Documents") -> Iterator[str]:
    """What can be applied, and should be looked at."""
    for template in documents.templates:
        yield from (f"{_place(template)} {each}" for each in warnings(template))
    yield from (f"{place}: {found.words}" for place, found in _objections(documents) if not found.refuses)
    if any(dlt.COUNTRY in tenant.countries for tenant in documents.tenants):
        yield from (f"{place}; it is passed over there" for place in _bare(documents, ANY))
    yield from _unregistered(documents)
    yield from _beyond_the_rules(documents)
    yield from _unsent(documents)


def _objections(documents: "Documents") -> Iterator[tuple[str, Objection]]:
    senders = {each.id: (each.sender, frozenset(each.sender_registered_in)) for each in documents.accounts}
    countries = {country for tenant in documents.tenants for country in tenant.countries}
    for sending in sendings(documents.routes, senders, countries):
        found = objection(sending)
        if found is not None:
            yield f'[[accounts]] "{sending.account}"', found


def _bare(documents: "Documents", country: str) -> Iterator[str]:
    """Accounts by which texts reach India without the ids of entity and template, on routes of `country`."""
    for account in documents.accounts:
        for route in documents.routes:
            if account.gateway not in WITHOUT_DLT or account.templates or account.id not in route.accounts:
                continue
            if route.country == country:
                yield (
                    f'[[accounts]] "{account.id}" is on the route "{route.id}" to {dlt.COUNTRY}, and '
                    f'"{account.gateway}" has no field for the ids of entity and template, without which '
                    "operators there drop a message"
                )


def _unsent(documents: "Documents") -> Iterator[str]:
    """Templates that an account is passed over for, and accounts that have one text whatever was asked for."""
    for account in documents.accounts:
        if not account.templates and account.gateway not in OWN_TEXTS:
            continue
        where = f'[[accounts]] "{account.id}"'
        names = [f"{each.tenant}/{each.id}" for each in documents.templates]
        unnamed = [name for name in names if name not in account.templates]
        if EVERY_TEMPLATE not in account.templates:
            mend = "once it is registered, add it to templates"
            yield from (f'{where} has no text for "{name}" and is passed over for it: {mend}' for name in unnamed)
        elif len(unnamed) > 1:
            yield f'{where} has one text for {", ".join(unnamed)}: templates has "{EVERY_TEMPLATE}" for all of them'


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


def _beyond_the_rules(documents: "Documents") -> Iterator[str]:
    """Topics of tenants that no access rule covers: callbacks could neither make them nor write to them."""
    for tenant in documents.tenants:
        if tenant.results_topic and not tenant.results_topic.startswith(TENANT_RESULTS):
            yield (
                f'[[tenants]] "{tenant.id}": results_topic does not begin with {TENANT_RESULTS}, so under the rules of '
                "deploy/kafka/acls.txt nothing can be told there: call it so, or add rules for it"
            )


def _place(template: Template) -> str:
    return f'[[templates]] "{template.tenant}/{template.id}"'
