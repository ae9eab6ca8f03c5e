"""Orders that are drawn: by what is told, again and again the same, and as often as the shares say."""

from collections import Counter
from dataclasses import replace
from uuid import UUID, uuid5

import msgspec
import pytest

from tests.support.sends import ABOUT, EAST, NORTH, SOUTH, attempt, called
from watchword.dispatch.decide.conclude import conclude
from watchword.dispatch.decide.drawing import Stream, drawn, order_of
from watchword.dispatch.decide.facts import Choice, Health, Routing
from watchword.dispatch.decide.plan import plan
from watchword.dispatch.decide.routed import routed
from watchword.events.attempt_made import AttemptMade, Candidate, Drawn, DrawnBy
from watchword.events.verification import Facts
from watchword.gateways.outcome import OutcomeClass
from watchword.kernel.tenancy import Choosing, Route

ACCOUNTS = [NORTH, SOUTH, EAST]
NAMES = [account.id for account in ACCOUNTS]
ORDERED = Route(id="india", country="IN", accounts=NAMES)
SCORED = Route(id="india", country="IN", accounts=NAMES, choice=Choosing.SCORED)
WEIGHED = Route(
    id="india", country="IN", accounts=NAMES, choice=Choosing.WEIGHTS, weights={"north": 60, "south": 30, "east": 10}
)
READY = dict.fromkeys(NAMES, Health.READY)
COUNTS = {"north": (1.0, 30.0), "south": (40.25, 2.1239), "east": (0.0, 0.0)}
GOLDEN = ["nse", "sne", "nse", "nse", "nse", "sne", "ens", "sne"]
UNIFORM = 0.5540581470091568
SEEDS = [str(uuid5(UUID(int=0), str(number))) for number in range(600)]


def firsts(route: Route, counts: dict[str, tuple[float, float]]) -> Counter[str]:
    told = (drawn(route, NAMES, counts, seed) for seed in SEEDS)
    return Counter(order_of(each)[0] for each in told if each is not None)


def routing_of(route: Route, number: int = 0, **health: Health) -> Routing:
    about = replace_id(number)
    return routed(route, ACCOUNTS, READY | health, about, lambda account, _: COUNTS[account])


def replace_id(number: int) -> Facts:
    return msgspec.structs.replace(ABOUT, verification_id=UUID(SEEDS[number]))


def made_by(choice: Choice, send_no: int) -> AttemptMade:
    """The event of an attempt that `choice` led to, as a reader of the topic has it."""
    case = attempt(send_no=send_no, account=choice.account, reason=choice.reason, grounds=choice.grounds)
    ended = conclude(case, called(OutcomeClass.ACCEPTED), Routing((), {}), case.first_try_at)
    [emit] = [each for write in ended.done.writes for each in write.emits]
    return msgspec.json.decode(msgspec.json.encode(emit.event), type=AttemptMade)


def account_again(told: AttemptMade) -> str:
    """The account that follows from the event alone, by the rule that stands in its schema."""
    assert told.drawn is not None
    order = order_of(told.drawn)
    start = (told.send_no - 1) % len(order)
    passed = {each.account for each in told.passed_over}
    return next(each for each in (*order[start:], *order[:start]) if each not in passed)


@pytest.mark.parametrize("route", [SCORED, WEIGHED], ids=lambda route: route.choice)
@pytest.mark.parametrize("send_no", [1, 2, 3])
def test_a_replay_of_what_was_told_takes_the_same_account(route: Route, send_no: int) -> None:
    taken = set()
    for number in range(100):
        away = NAMES[number % 4 : number % 4 + 1]
        choice = plan(send_no, (), routing_of(route, number, **dict.fromkeys(away, Health.AWAY)))
        assert isinstance(choice, Choice)
        told = made_by(choice, send_no)
        assert told.route == "india" and told.account == account_again(told) == choice.account.id
        taken.add(told.account)
    assert taken == set(NAMES)


def test_the_order_of_a_seed_stays_what_it_was() -> None:
    candidates = (
        Candidate(account="north", verified=3.5, unverified=1.0),
        Candidate(account="south", verified=3.0, unverified=1.25),
        Candidate(account="east"),
    )
    told = [Drawn(by=DrawnBy.SCORED, seed=f"seed-{n}", candidates=candidates, explore_share=0.1) for n in range(8)]
    assert ["".join(name[0] for name in order_of(each)) for each in told] == GOLDEN
    assert Stream("seed").uniform() == pytest.approx(UNIFORM, abs=1e-12)


def test_whose_codes_are_typed_in_is_tried_first_nearly_always_and_the_others_now_and_then() -> None:
    found = firsts(SCORED, {"north": (100.0, 900.0), "south": (900.0, 100.0), "east": (100.0, 900.0)})
    assert found["south"] >= 0.95 * len(SEEDS)
    assert min(found["north"], found["east"]) >= 0.001 * len(SEEDS)


def test_without_exploring_a_bad_account_would_not_be_heard_of_again() -> None:
    """The floor is what the test before counts: with the smallest one that can be set it is almost gone."""
    least = msgspec.structs.replace(SCORED, explore_share=0.01)
    found = firsts(least, {"north": (100.0, 900.0), "south": (900.0, 100.0), "east": (100.0, 900.0)})
    assert found["south"] >= 0.985 * len(SEEDS)


def test_where_nothing_is_known_everybody_has_an_equal_chance() -> None:
    found = firsts(SCORED, {})
    assert all(0.26 < found[name] / len(SEEDS) < 0.41 for name in NAMES)


def test_weights_are_shares_of_the_first_place() -> None:
    found = firsts(WEIGHED, {})
    assert [round(found[name] / len(SEEDS), 1) for name in NAMES] == [0.6, 0.3, 0.1]


def test_what_is_told_is_what_was_drawn_from() -> None:
    told = routing_of(SCORED).drawn
    assert told is not None and (told.by, told.seed, told.explore_share) == ("scored", SEEDS[0], 0.03)
    assert [(each.account, each.verified, each.unverified) for each in told.candidates] == [
        ("north", 1.0, 30.0), ("south", 40.25, 2.124), ("east", 0.0, 0.0)]  # fmt: skip


def test_a_route_that_is_not_drawn_stays_in_its_order_and_tells_nothing() -> None:
    found = routing_of(ORDERED)
    assert ([account.id for account in found.accounts], found.drawn) == (NAMES, None)


def test_draws_of_a_score_have_its_mean() -> None:
    draws = [Stream(seed).beta(1 + 8, 1 + 2) for seed in SEEDS]
    assert sum(draws) / len(draws) == pytest.approx(9 / 12, abs=0.02)


def test_an_account_that_is_too_dear_is_not_drawn_for() -> None:
    route = msgspec.structs.replace(SCORED, price_max_micros=100)
    accounts = [replace(NORTH, price_micros=101), SOUTH, EAST]
    found = routed(route, accounts, READY, ABOUT, lambda account, _: COUNTS[account])
    assert found.drawn is not None and [each.account for each in found.drawn.candidates] == ["south", "east"]
    assert found.barred == {"north": "price"} and found.accounts[-1].id == "north"
