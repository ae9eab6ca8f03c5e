"""Who asks: networks, devices and single numbers, and how a whole tenant fares."""

from random import Random

import pytest

from tests.unit.fraud.facts import KEYS, NOW_S, SENT, VERIFIED, Judged, seen, sends
from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide.rules import OnePhone, Rules
from watchword.fraud.decide.seen import Seen
from watchword.fraud.decide.tenants import EXPECTED
from watchword.kernel.feature import OF_ALL, Kind, feature_key

BLOCKED = RiskLevel.BLOCKED
NET, DEVICE, NUMBER, TENANT = KEYS[Kind.IP_NET], KEYS[Kind.DEVICE], KEYS[Kind.NUMBER], KEYS[Kind.TENANT]


def test_one_network_is_blocked_by_its_first_unverified_sends_wherever_they_go() -> None:
    judged = Judged().see(NET, *sends(10, apart_s=30))
    assert judged.levels(NET)[-1] is BLOCKED
    assert judged.last(NET).reasons[0].code == "ip_velocity"


def test_a_campus_whose_users_verify_is_left_in_peace() -> None:
    judged = Judged()
    for n in range(500):
        judged.see(NET, seen(SENT, n * 10.0, place="UZ"))
        if n > 2 and n % 3:
            judged.see(NET, seen(VERIFIED, n * 10.0, place="UZ"))
    assert BLOCKED not in judged.levels(NET)


def campus(share: float, *, seed: int, expected: float, count: int = 300) -> Judged:
    """Somebody new asks from one address every 20 s; `share` of them type the code in, 20 s later."""
    judged, random = Judged(), Random(seed)
    typed = False
    for n in range(count):
        if typed:
            judged.see(NET, Seen(VERIFIED, NOW_S + n * 20.0, "UZ", expected, place="UZ"))
        if judged.node(NET).level is BLOCKED and NOW_S + n * 20.0 < judged.node(NET).until_s:
            typed = False
            continue
        judged.see(NET, Seen(SENT, NOW_S + n * 20.0, "UZ", expected, place="UZ"))
        typed = random.random() < share
    return judged


def test_a_campus_in_a_country_of_poor_routes_is_left_in_peace_though_the_tenant_fares_better_elsewhere() -> None:
    assert sum(BLOCKED in campus(0.6, seed=seed, expected=0.9).levels(NET) for seed in range(12)) <= 1


def test_who_types_in_one_code_in_five_from_one_address_is_blocked_all_the_same() -> None:
    for seed in range(6):
        assert BLOCKED in campus(0.2, seed=seed, expected=0.75).levels(NET)


def test_a_network_that_asks_for_countries_that_do_not_belong_together_says_so() -> None:
    judged = Judged().see(NET, *(seen(SENT, n * 60.0, place=f"C{n}") for n in range(6)))
    assert "ip_many_countries" in {reason.code for reason in judged.last(NET).reasons}


def test_a_device_with_ever_more_numbers_is_blocked_though_they_verify() -> None:
    judged = Judged()
    for n in range(8):
        judged.see(DEVICE, seen(SENT, n * 600.0, place=f"n{n}"), seen(VERIFIED, n * 600.0 + 9, place=f"n{n}"))
    assert judged.last(DEVICE).reasons[0].code == "device_many_numbers"
    same = Judged()
    for n in range(30):
        same.see(DEVICE, seen(SENT, n * 600.0, place="mine"), seen(VERIFIED, n * 600.0 + 9, place="mine"))
    assert same.levels(DEVICE) == []


def test_a_bombed_number_is_blocked_sooner_if_everybody_asks_for_it() -> None:
    scattered = Judged().see(NUMBER, *(seen(SENT, n * 30.0, place=f"p{n}") for n in range(6)))
    assert scattered.levels(NUMBER)[-1] is BLOCKED
    single = Judged().see(NUMBER, *(seen(SENT, n * 30.0, place="home") for n in range(9)))
    assert single.levels(NUMBER) == []


def test_a_number_that_is_verified_starts_anew() -> None:
    judged = Judged()
    for n in range(40):
        judged.see(NUMBER, seen(SENT, n * 30.0, place=f"p{n}"))
        if n % 4 == 3:
            judged.see(NUMBER, seen(VERIFIED, n * 30.0))
    assert judged.levels(NUMBER) == []


@pytest.mark.parametrize(("kind", "limit"), [(Kind.IP_NET, 12), (Kind.DEVICE, 8), (Kind.NUMBER, 10)])
def test_wrong_codes_beyond_what_the_right_ones_explain_are_a_guesser(kind: Kind, limit: int) -> None:
    feature = feature_key(kind, "guesser", "shop")
    judged = Judged().see(feature, *(seen(SignalKind.WRONG, float(n)) for n in range(limit + 1)))
    assert judged.last(feature).reasons[0].code == "guess_budget"
    clumsy = Judged()
    for n in range(40):
        clumsy.see(feature, seen(SignalKind.WRONG, n * 60.0), seen(VERIFIED, n * 60.0 + 9))
    assert clumsy.levels(feature) == []


def test_a_tenant_that_never_has_a_code_checked_is_known_for_it() -> None:
    judged = Judged().see(TENANT, *sends(200, apart_s=60))
    expected = {reason.code: reason.value for reason in judged.last(TENANT).reasons}[EXPECTED]
    assert expected < 0.1


def test_what_piles_up_teaches_nothing_about_a_tenant_whose_codes_are_checked() -> None:
    judged = Judged()
    for n in range(60):
        judged.see(TENANT, seen(SENT, n * 60.0), seen(VERIFIED, n * 60.0 + 20))
    before = judged.node(TENANT).slow
    for n in range(500):
        suspect = seen(SENT, 4_000.0 + n)
        suspect.suspect = True
        judged.see(TENANT, suspect)
    assert judged.node(TENANT).slow == pytest.approx(before, rel=0.01)


PHONE = feature_key(Kind.PHONE, "token", OF_ALL)


def asked_by(tenants: int, *, each: int = 1, verified: tuple[int, ...] = ()) -> Judged:
    """One number asked for by so many tenants, `each` times, a minute apart; some of them see its code typed in."""
    judged = Judged()
    for n in range(tenants * each):
        place = f"tenant-{n % tenants}"
        judged.see(PHONE, seen(SENT, n * 60.0, place=place))
        if n % tenants in verified:
            judged.see(PHONE, seen(VERIFIED, n * 60.0 + 20, place=place))
    return judged


def test_one_number_asked_for_by_five_tenants_is_refused_to_all() -> None:
    assert asked_by(3).levels(PHONE) == []
    assert asked_by(4).levels(PHONE)[-1] is RiskLevel.ELEVATED
    assert asked_by(5).levels(PHONE)[-1] is BLOCKED


def test_no_tenant_can_have_a_number_refused_to_another_nor_two_or_three_of_them() -> None:
    for few in (1, 2, 3):
        assert asked_by(few, each=30).levels(PHONE) == []


def test_a_tenant_takes_back_what_it_added_and_no_more() -> None:
    assert asked_by(5, verified=(1,)).levels(PHONE) == [RiskLevel.ELEVATED]
    assert asked_by(5, verified=(1, 2)).levels(PHONE) == []
    whitening = asked_by(5)
    whitening.see(PHONE, *(seen(VERIFIED, 400.0 + n, place="rogue") for n in range(50)))
    assert whitening.node(PHONE).level is BLOCKED


def test_somebody_who_signs_up_at_twelve_places_in_an_hour_is_left_in_peace() -> None:
    assert asked_by(12, verified=tuple(range(12))).levels(PHONE) == []


def test_what_tenants_asked_for_an_hour_ago_is_forgotten() -> None:
    judged = asked_by(4)
    judged.see(PHONE, seen(SENT, 3 * 60 + 3_601, place="tenant-9"))
    assert judged.node(PHONE).level is not BLOCKED


def test_a_refusal_tells_no_tenant_how_many_others_ask_for_a_number() -> None:
    told = {tuple(each.reasons) for tenants in range(5, 30) for each in [asked_by(tenants).last(PHONE)]}
    [[reason]] = told
    assert (reason.code, reason.value, reason.threshold) == ("number_velocity", 1.0, 1.0)


def test_many_tenants_take_no_more_room_than_a_few() -> None:
    judged = asked_by(40)
    assert len(judged.node(PHONE).places) == 12


@pytest.mark.parametrize("phone", [OnePhone(doubted=3), OnePhone(doubted=5, tenants=4), OnePhone(tenants=13)])
def test_rules_that_would_let_three_tenants_learn_of_each_other_are_none(phone: OnePhone) -> None:
    assert "`doubted`" in Rules(phone=phone).wrong()
