"""What providers are told of the codes in their messages, held for every gateway in the catalogue against its wire/."""

from dataclasses import replace

import pytest

from tests.contract.gateways import samples
from tests.contract.gateways.samples import Answered, Sent
from watchword.gateways.catalog import ALL, GATEWAYS, TELLABLE, facts_of
from watchword.gateways.contract import Conversion, TellableGateway
from watchword.gateways.facts import Feedback
from watchword.gateways.outcome import OutcomeClass

ANNOUNCES_NOTHING = frozenset({"vonage"})  # which accounts may tell is arranged with its support


@pytest.mark.parametrize("sent", samples.announced(), ids=lambda sent: f"{sent.gateway}-{sent.account.id}")
def test_a_message_that_feedback_will_follow_says_so_as_recorded_and_no_other_does(sent: Sent) -> None:
    told = samples.as_recorded(GATEWAYS[sent.gateway].encode(samples.MESSAGE, sent.account))
    assert told == sent.recorded
    untold = GATEWAYS[sent.gateway].encode(samples.MESSAGE, replace(sent.account, feedback=False))
    assert (samples.as_recorded(untold) != told) == (sent.gateway not in ANNOUNCES_NOTHING)


@pytest.mark.parametrize("told", samples.feedbacks(), ids=lambda told: f"{told[0].gateway}-{told[1].converted}")
def test_feedback_is_written_as_recorded(told: tuple[Sent, Conversion]) -> None:
    sent, conversion = told
    gateway = TELLABLE[sent.gateway]
    request = gateway.encode_feedback(conversion, sent.account)
    assert samples.as_recorded(request) == sent.recorded
    strange = gateway.encode_feedback(replace(conversion, provider_id="a/../b?c#d %"), sent.account)
    assert "a/../b" not in strange.url and all("!" <= letter <= "~" for letter in strange.url)
    assert samples.NUMBER[1:] not in f"{request.url}{request.body!r}", "who was verified is not told"
    assert [secret for secret in sent.account.secrets.values() if secret in request.url] == []


@pytest.mark.parametrize("name", sorted(ALL))
def test_who_can_be_told_is_what_the_facts_say(name: str) -> None:
    takes = facts_of(name).capabilities.feedback
    assert (name in TELLABLE) == isinstance(ALL[name], TellableGateway) == (takes is not Feedback.NONE)


@pytest.mark.parametrize("case", samples.answers("feedback"), ids=lambda case: f"{case.gateway}-{case.status}")
def test_answer_to_feedback_means_what_is_recorded(case: Answered) -> None:
    gateway = TELLABLE[case.gateway]
    assert gateway.decode_feedback(case.status, case.headers, case.body, case.account) == case.expected


@pytest.mark.parametrize("name", sorted(TELLABLE))
def test_feedback_has_recorded_answers_of_each_kind(name: str) -> None:
    kinds = {case.expected.kind for case in samples.answers("feedback") if case.gateway == name and case.expected}
    assert {OutcomeClass.ACCEPTED, OutcomeClass.THROTTLED, OutcomeClass.ACCOUNT} <= kinds
