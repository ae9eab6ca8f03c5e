"""Documents as they lie in the database, written by a version that knows more than this one."""

from typing import Any

import msgspec
import pytest

from watchword.kernel.document import read_stored
from watchword.kernel.policy import Policy, Resend
from watchword.kernel.template import Template

POLICY = {"id": "default", "tenant": "shop", "template": "default", "resend": "rotate"}
REGISTERED = {"template_id": "1234567890123456789", "text": "{#var#} is your code"}
TEMPLATE: dict[str, Any] = {
    "id": "default",
    "tenant": "shop",
    "texts": {"en": "{code}"},
    "variables": {"payee": {"kind": "text"}},
    "autofill": {"host": "shop.example"},
    "dlt": {"entity_id": "1234567890123456789", "header": "SHOPPE", "registered": {"en": REGISTERED}},
}


def test_a_verification_that_a_newer_version_began_is_read_by_the_older_ones() -> None:
    """The first field that was added to policies stopped every worker that did not know it."""
    stored = {**POLICY, "quiet_hours": ["22:00", "07:00"]}
    assert read_stored(stored, Policy) == msgspec.convert(POLICY, Policy)
    assert read_stored(stored, Policy).resend is Resend.ROTATE
    with pytest.raises(msgspec.ValidationError, match="quiet_hours"):
        msgspec.convert(stored, Policy)  # what operators apply is read as strictly as ever


@pytest.mark.parametrize("within", [("variables", "payee"), ("autofill",), ("dlt",), ("dlt", "registered", "en")])
def test_so_is_one_in_a_document_inside_of_another(within: tuple[str, ...]) -> None:
    stored: Any = msgspec.json.decode(msgspec.json.encode(TEMPLATE))
    place = stored
    for name in within:
        place = place[name]
    place["brought_by"] = "a newer version"
    assert read_stored(stored, Template) == msgspec.convert(TEMPLATE, Template)


def test_a_value_that_this_version_cannot_read_is_not_guessed() -> None:
    with pytest.raises(msgspec.ValidationError, match="resend"):
        read_stored({**POLICY, "resend": "by_letter", "quiet_hours": []}, Policy)
