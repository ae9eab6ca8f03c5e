"""What can be applied and should be looked at."""

import pytest

from watchword.kernel.tenancy import Tenant
from watchword.runtime.configuration_file import Documents
from watchword.runtime.proofs import warnings_of


@pytest.mark.parametrize(
    ("topic", "told"), [("", False), ("results.shop", False), ("shop-results", True), ("resultsshop", True)]
)
def test_a_results_topic_that_no_access_rule_covers_is_warned_of(topic: str, told: bool) -> None:
    found = list(warnings_of(Documents(tenants=(Tenant(id="shop", countries=["FR"], results_topic=topic),))))
    assert any("results_topic does not begin with results." in each for each in found) == told
