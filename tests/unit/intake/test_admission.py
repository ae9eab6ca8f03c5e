"""Who is let in while more is asked than can be decided."""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.intake.admission import FEW, Admission, Admitted

SHOP, OTHER = "shop", "other"


class Desk:
    """A desk that answers in order of arrival, `per_s` of them, on a clock that is turned by hand."""

    def __init__(self, *, per_s: float, inside_min: int = 10) -> None:
        self.admission = Admission(wait_max_s=1.0, tenant_share=0.2, inside_min=inside_min)
        self.now_s = 0.0
        self.waits_s: dict[str, list[float]] = {SHOP: [], OTHER: []}
        self.refused = dict.fromkeys(self.waits_s, 0)
        self._per_s = per_s
        self._line: deque[Admitted] = deque()
        self.free_at_s = 0.0

    def ask(self, tenant: str) -> None:
        admitted = self.admission.enter(tenant, self.now_s)
        if admitted is None:
            self.refused[tenant] += 1
        else:
            self._line.append(admitted)

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        while self._line and (at_s := max(self.free_at_s, self._line[0].entered_s) + 1 / self._per_s) <= self.now_s:
            first = self._line.popleft()
            self.admission.leave(first, at_s)
            self.waits_s[first.tenant].append(at_s - first.entered_s)
            self.free_at_s = at_s

    def flood(self, *, per_s: float, seconds: float, also_every_s: float = 0.0) -> None:
        """`per_s` requests of the shop, and one of the other tenant now and then."""
        next_s = self.now_s + also_every_s
        for _ in range(int(per_s * seconds)):
            self.ask(SHOP)
            self.pass_time(1 / per_s)
            if also_every_s and self.now_s >= next_s:
                self.ask(OTHER)
                next_s += also_every_s


def test_whoever_can_be_decided_in_time_is_let_in() -> None:
    desk = Desk(per_s=100)
    desk.flood(per_s=95, seconds=10)
    assert desk.refused[SHOP] == 0 and max(desk.waits_s[SHOP]) < 0.1


def test_ten_times_too_much_is_refused_at_once_and_whoever_is_let_in_waits_no_longer_than_told() -> None:
    desk = Desk(per_s=100)
    desk.flood(per_s=1_000, seconds=10)
    assert len(desk.waits_s[SHOP]) >= 0.95 * 100 * 10, "the desk is never idle for it"
    assert max(desk.waits_s[SHOP]) <= 1.0
    assert desk.refused[SHOP] >= 8_500


def test_after_a_flood_everybody_is_let_in_again_as_soon_as_what_was_inside_is_decided() -> None:
    desk = Desk(per_s=100)
    desk.flood(per_s=1_000, seconds=5)
    desk.pass_time(1.0)
    before = desk.refused[SHOP]
    desk.flood(per_s=50, seconds=10)
    assert desk.refused[SHOP] == before


def test_a_tenant_that_floods_keeps_no_other_tenant_out() -> None:
    desk = Desk(per_s=100)
    desk.flood(per_s=1_000, seconds=10, also_every_s=0.2)
    assert desk.refused[OTHER] == 0 and max(desk.waits_s[OTHER]) <= 1.0
    assert len(desk.waits_s[OTHER]) >= 45


def test_while_nothing_is_decided_a_few_wait_and_the_rest_hear_no() -> None:
    desk = Desk(per_s=0.001)
    desk.flood(per_s=10, seconds=3)
    assert desk.refused == {SHOP: 30 - FEW, OTHER: 0}


def test_while_the_first_has_waited_for_a_quarter_of_the_time_whoever_asks_most_hears_no() -> None:
    admission = Admission(wait_max_s=1.0, tenant_share=0.2, inside_min=200)
    for number in range(40):
        admission.enter(OTHER if number % 10 == 9 else SHOP, 0.0)
    assert admission.enter(SHOP, 0.24) is not None
    assert admission.enter(SHOP, 0.26) is None


def test_who_asks_alone_is_let_in_until_the_first_has_waited_for_half_of_the_time() -> None:
    """Whoever has one tenant had users refused for a stop of a second, with nobody there to leave room for."""
    admission = Admission(wait_max_s=1.0, tenant_share=0.2, inside_min=200)
    for number in range(60):
        admission.enter(OTHER if number == 50 else SHOP, 0.0)
    assert admission.enter(SHOP, 0.49) is not None
    assert admission.enter(SHOP, 0.0, behind=0.49) is not None
    assert admission.enter(SHOP, 0.51) is None
    assert admission.enter(SHOP, 0.0, behind=0.51) is None


def test_a_flood_of_many_tenants_of_which_none_asks_for_much_is_a_flood() -> None:
    admission, came = Admission(wait_max_s=1.0, tenant_share=0.2, inside_min=100), 0
    for number in range(1_000):
        came += admission.enter(f"tenant-{number}", 0.0) is not None
    assert came == 200, "small ones each, and together too many all the same"


def test_a_tenant_that_asks_for_next_to_nothing_is_let_in_while_it_is_full_for_all_others() -> None:
    """It was refused once in nine while another one flooded."""
    admission = Admission(wait_max_s=1.0, tenant_share=0.4, inside_min=100)
    for number in range(400):
        admission.enter(f"loud-{number % 4}", 0.0)
    assert admission.pressure(0.0) >= 1.0
    assert admission.enter("loud-0", 0.0) is None
    assert admission.enter(OTHER, 0.0) is not None
    assert admission.enter(OTHER, 0.0, behind=1.9) is not None
    assert admission.enter(OTHER, 0.0, behind=2.0) is None


def test_a_moment_in_which_nothing_goes_on_makes_nobody_hear_no_where_little_is_asked() -> None:
    desk = Desk(per_s=100)
    desk.pass_time(1.0)
    desk.free_at_s = 4.0
    desk.flood(per_s=5, seconds=3)
    assert desk.refused[SHOP] == 0


def test_while_the_workers_are_behind_whoever_floods_is_refused_first_and_then_everybody_who_asks_often() -> None:
    admission = Admission(wait_max_s=1.0, tenant_share=0.2, inside_min=200)

    def asks(tenant: str, *, behind: float) -> bool:
        admitted = admission.enter(tenant, 0.0, behind=behind)
        if admitted is not None:
            admission.leave(admitted, 0.0)
        return admitted is not None

    assert all(asks(SHOP, behind=0.2) for _ in range(20))
    assert asks(OTHER, behind=0.2)
    assert not asks(SHOP, behind=0.25)
    assert asks(OTHER, behind=0.9)
    assert not asks(OTHER, behind=1.0)


def test_a_burst_is_let_in_up_to_what_may_share_a_batch_before_anything_is_known_of_the_pace() -> None:
    desk = Desk(per_s=100, inside_min=200)
    for _ in range(500):
        desk.ask(SHOP)
    assert desk.refused[SHOP] == 400, "half of it: one tenant alone may not fill the room"


def test_many_requests_for_one_number_that_wait_for_each_other_keep_nobody_else_out() -> None:
    admission = Admission(wait_max_s=1.0, tenant_share=0.1, inside_min=200)
    for _ in range(50):
        admission.enter(SHOP, 0.0)
    passing = admission.enter(OTHER, 0.9)
    assert passing is not None
    admission.leave(passing, 0.95)
    assert admission.pressure(1.0) < 0.5, "the oldest waits for its turn, not for the desk"


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([SHOP, OTHER, "third"]), st.booleans(), st.floats(0, 2)), max_size=60))
def test_whatever_happens_whoever_is_inside_can_leave_and_then_there_is_room(
    steps: list[tuple[str, bool, float]],
) -> None:
    admission, inside, now_s = Admission(wait_max_s=1.0, tenant_share=0.5, inside_min=3), list[Admitted](), 0.0
    for tenant, leaves, passed_s in steps:
        now_s += passed_s
        if leaves and inside:
            admission.leave(inside.pop(0), now_s)
        elif (admitted := admission.enter(tenant, now_s)) is not None:
            inside.append(admitted)
    for admitted in inside:
        admission.leave(admitted, now_s)
    assert admission.pressure(now_s) == 0.0
    assert admission.enter(SHOP, now_s) is not None
