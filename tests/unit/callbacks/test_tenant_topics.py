"""What the broker's answer to the making of a tenant's topic says."""

import pytest
from aiokafka.errors import (
    InvalidReplicationFactorError,
    NotControllerError,
    PolicyViolationError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)

from watchword.callbacks.decide.tell import TopicState
from watchword.callbacks.tenant_topics import state_after


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, TopicState.THERE),
        (TopicAlreadyExistsError.errno, TopicState.THERE),
        (NotControllerError.errno, TopicState.UNKNOWN),
        (RequestTimedOutError.errno, TopicState.UNKNOWN),
        (TopicAuthorizationFailedError.errno, TopicState.REFUSED),
        (PolicyViolationError.errno, TopicState.REFUSED),
        (InvalidReplicationFactorError.errno, TopicState.REFUSED),
        (12_345, TopicState.REFUSED),
    ],
)
def test_a_controller_that_moves_refuses_no_topic(code: int, state: TopicState) -> None:
    assert state_after(code) is state
