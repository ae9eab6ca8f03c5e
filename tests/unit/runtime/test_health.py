"""Ready means every check is well and fresh; alive means nothing that must turn stands still."""

from watchword.runtime.health import Health


class Hands:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_check_fails_until_it_was_well_once() -> None:
    health = Health(Hands())
    check = health.check("postgres")
    assert [(state.ok, state.why) for state in health.readiness()] == [(False, "not checked yet")]
    check.ok()
    assert [state.ok for state in health.readiness()] == [True]
    check.failing("away")
    assert [(state.ok, state.why) for state in health.readiness()] == [(False, "away")]


def test_a_good_word_grows_old() -> None:
    hands = Hands()
    health = Health(hands)
    health.check("configuration", ready_within_s=30).ok()
    hands.now_s = 31.0
    assert [(state.why, state.age_s) for state in health.readiness()] == [("stale", 31.0)]


def test_a_loop_that_stands_still_is_not_alive() -> None:
    hands = Hands()
    health = Health(hands)
    health.check("postgres").failing("away")
    loop = health.check("loop", live_within_s=60)
    assert all(state.ok for state in health.liveness())
    hands.now_s = 61.0
    assert [(state.check, state.ok) for state in health.liveness()] == [("loop", False)]
    loop.failing("broker away")
    assert all(state.ok for state in health.liveness())


def test_draining_is_not_ready_but_alive() -> None:
    health = Health(Hands())
    health.check("postgres").ok()
    health.draining()
    assert [state.check for state in health.readiness() if not state.ok] == ["draining"]
    assert health.liveness() == []


def test_one_name_is_one_check() -> None:
    health = Health(Hands())
    assert health.check("a") is health.check("a")
