"""The benchmark of fraud: worlds are the same for every engine, what is refused never happens, figures are right."""

from pathlib import Path

import pytest

from tests.bench.fraud.__main__ import done
from tests.bench.fraud.baselines import Conversion, LeakyBudgets, SixSigma, StaticVelocity, WeightedScore
from tests.bench.fraud.causes import CAUSES, names_cause
from tests.bench.fraud.engines import Watchword
from tests.bench.fraud.figures import figures, interval, precision_area, recall, summary
from tests.bench.fraud.measured import Kept, lived
from tests.bench.fraud.report import Run, Summary, write
from tests.bench.fraud.season import PLANS, WARM_S, Engine, Episode, Life, Lived, Season, opening, season
from tests.bench.fraud.traffic import Ask
from tests.bench.fraud.world import START_S, World, world
from watchword.fraud.decide.rules import Rule

LINE = "+99890123"
BASELINES = (Conversion, LeakyBudgets, SixSigma, StaticVelocity, WeightedScore)


def pumped(count: int = 60) -> Season:
    asks = [
        Ask(START_S + n * 20.0, f"a{n}", "shop", f"{LINE}{n * 7919 % 10_000:04d}", "UZ", f"10.{n}.1.1", None, 270_000)
        for n in range(count)
    ]
    for ask in asks:
        ask.label = "A"
    episode = Episode("A", "UZ", START_S, START_S + count * 20.0)
    return Season(world(1), "bursts", asks, [episode])


def live(made: Season, engine: Engine) -> list[Lived]:
    """A whole season with an engine."""
    life = Life(engine, 1)
    life.live(made)
    return life.lived


def test_a_world_is_what_its_seed_says() -> None:
    one, again, other = world(3), world(3), world(4)
    assert one.people == again.people != other.people
    assert len(one.countries) >= 12
    assert all(each.number.startswith("+") and 10 <= len(each.number) <= 16 for each in one.people[:200])


def test_every_family_of_attacks_and_every_stress_has_its_season() -> None:
    named = {word[0] if word[0].isupper() else word for plan in PLANS.values() for word, _ in plan}
    assert named >= set("ABCDEFGHIJKLMNOP") | {"flash", "launch", "campus", "bug", "outage", "holiday", "unchecked"}


def test_our_scorer_stops_a_pumped_range_and_the_figures_say_so() -> None:
    made = pumped()
    lived = live(made, Watchword())
    found = figures(made, lived)
    assert found["leaked before the first block: A"][0] <= 12
    assert found["cost saved: A"][0] > 75
    assert found["reason names the cause: A"] == [100.0]


@pytest.mark.parametrize("engine", BASELINES, ids=lambda engine: str(engine.__name__))
def test_a_public_rule_answers_every_request_and_learns(engine: type[Engine]) -> None:
    made, rule = pumped(), engine()
    for each in live(made, rule):
        assert each.action in ("allow", "block")
        assert 0 <= each.score <= 100
        rule.tell("verified", each.ask.at_s + 20, each.ask)


def test_what_was_refused_is_never_told_and_a_reason_must_fit_its_attack() -> None:
    class Refusing:
        def request(self, ask: Ask) -> tuple[str, float, str]:
            return "block", 100.0, "number_velocity"

        def tell(self, kind: str, at_s: float, ask: Ask) -> None:
            raise AssertionError("it never happened")

    made = pumped(5)
    for ask in made.asks:
        ask.verify_s, ask.receipt_s = 10.0, 3.0
    lived = live(made, Refusing())
    assert [each.passed for each in lived] == [False] * 5
    assert names_cause("H", "number_velocity") and not names_cause("A", "number_velocity")
    assert figures(made, lived)["reason names the cause: A"] == [0.0]
    assert "reason names the cause: A" not in figures(made, lived, explains=False)


def test_every_attack_has_the_reasons_that_name_it_and_none_is_named_by_all() -> None:
    labels = {word for plan in PLANS.values() for word, _ in plan if word[0].isupper()}
    assert CAUSES.keys() == labels
    assert all(cause.why.endswith(".") for cause in CAUSES.values())
    for rule in Rule:
        named = {label for label in labels if names_cause(label, rule.value, conversion=1.0)}
        assert named <= labels - {"K", "B" if rule is not Rule.SEQUENTIAL_SUFFIX else "A"}
    assert not any(names_cause(label, "", conversion=1.0) for label in labels), "no reason is no cause"


def test_what_an_attacker_does_not_type_in_is_a_cause_only_where_users_type_more_of_their_codes_in() -> None:
    assert names_cause("F60", "range_unverified_pileup", 0.9)
    assert not names_cause("F60", "range_unverified_pileup", 0.55)
    assert not names_cause("F60", "country_unverified_pileup", 0.9)
    assert not names_cause("F95", "range_unverified_pileup", 0.9)


def test_a_person_who_asks_often_counts_once_however_many_requests_were_refused() -> None:
    class Refusing:
        def request(self, ask: Ask) -> tuple[str, float, str]:
            return "block" if ask.id in ("u0", "u1") else "allow", 0.0, ""

        def tell(self, kind: str, at_s: float, ask: Ask) -> None: ...

    numbers = (f"{LINE}0001", f"{LINE}0001", f"{LINE}0001", f"{LINE}0002", f"{LINE}0003")
    asks = [
        Ask(START_S + n, f"u{n}", "shop", number, "UZ", None, None, 270_000, stress="flash")
        for n, number in enumerate(numbers)
    ]
    made = Season(world(1), "crowds", asks, [])
    found = figures(made, live(made, Refusing()))
    assert found["requests blocked: flash"] == [pytest.approx(40.0)]
    assert found["users blocked: flash"] == [pytest.approx(100 / 3)]
    assert found["users challenged: flash"] == [0.0]


def test_rare_events_have_an_interval_of_their_mean() -> None:
    told = summary([0.0] * 29 + [3.0])
    assert (told.median, told.low, told.high) == (0.0, 0.0, 0.0)
    assert told.mean == pytest.approx(0.1)
    assert told.mean_low == 0.0 < told.mean < told.mean_high <= 0.4
    assert interval([[float(n)] for n in range(400)], max) == (10.0, 389.0)


def test_recall_counts_what_scores_above_the_users() -> None:
    made = pumped(20)
    for ask in made.asks[:10]:
        ask.label = ""
    lived = live(made, Watchword())
    for n, each in enumerate(lived):
        each.score = float(n)
    assert recall(lived) == 100.0
    assert precision_area(lived) == pytest.approx(100.0)
    for each in lived:
        each.score = 1.0
    assert precision_area(lived) == pytest.approx(1.0), "a score that tells nothing is as precise as attacks are many"


def test_a_rule_that_does_better_is_named_in_the_report(tmp_path: Path) -> None:
    def at(value: float) -> Summary:
        return Summary(value, value, value, value, 1, value, value)

    found = {
        "cost saved: A": {"ours": at(90.0), "watchword as live": at(91.0), "theirs": at(95.0)},
        "users blocked: normal": {"ours": at(0.01), "theirs": at(30.0)},
    }
    write(tmp_path, found, Run(("ours", "watchword as live", "theirs"), ("bursts",), range(1001, 1003), "fast"))
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "- cost saved: A: theirs 95; ours 90 (means)" in text
    assert "- users blocked: normal" not in text
    assert "| users blocked: normal | 0.010 (0.010-0.010), mean 0.010 (0.010-0.010) | - |" in text
    assert "O is A, E and G at once" in text
    assert (tmp_path / "leaked.svg").exists()


def test_a_season_goes_on_where_the_opening_of_its_world_ended() -> None:
    home = world(2)
    first, made = opening(home), season(home, "guessed")
    first.asks = first.asks[-40:]
    made.asks = [ask for ask in made.asks if ask.label == "I"][:20]
    found = dict(lived("static velocity", first, [made, season_of_its_own(home)]))
    assert 0 < found["guessed"]["requests blocked: normal"][0] < 5, "the people of the opening are in its figures"
    assert found["guessed"]["leaked before the first block: I"][0] <= 20
    assert "requests blocked: unchecked" in found["unchecked"] and "requests blocked: normal" not in found["unchecked"]


def season_of_its_own(home: World) -> Season:
    made = season(home, "unchecked")
    assert not made.follows and all(ask.at_s < START_S + WARM_S for ask in made.asks)
    made.asks = made.asks[:40]
    return made


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept.jsonl")
    kept.keep((1_001, "quiet", "six sigma"), {"cost saved: A": [1.0]})
    again = Kept(tmp_path / "kept.jsonl")
    assert again.known == kept.known
    assert list(done(range(1_001, 1_002), ("six sigma",), ("quiet",), again, 1)) == [1_001]
