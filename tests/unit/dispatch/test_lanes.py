"""Who may be in, who waits, who is turned away."""

from watchword.dispatch.lanes import Lane


def lane_of(inside_max: int, line_max: int, **deadlines_s: float) -> Lane[str]:
    lane = Lane[str](inside_max, line_max)
    for ticket, deadline_s in deadlines_s.items():
        assert lane.stand(ticket, deadline_s)
    return lane


def all_in(lane: Lane[str]) -> str:
    """Who comes in, one after the other, each leaving before the next."""
    came = ""
    while lane.calls:
        came += lane.let_in()
        lane.leave()
    return came


def test_so_many_are_in_so_many_wait_and_the_rest_is_turned_away() -> None:
    lane = lane_of(2, 3, a=1, b=1, c=1)
    assert not lane.stand("d", 0)
    assert [lane.let_in(), lane.let_in()] == ["a", "b"]
    assert (lane.inside, lane.waiting, lane.calls, lane.crowded, lane.full) == (2, 1, False, True, False)
    lane.leave()
    assert lane.calls and not lane.crowded


def test_whoever_finds_nobody_waiting_and_room_inside_comes_in_without_standing_in_line() -> None:
    lane = Lane[str](1, 3)
    assert lane.open
    lane.come_in()
    assert (lane.inside, lane.waiting, lane.open) == (1, 0, False)
    lane.stand("a", 1)
    lane.leave()
    assert (lane.inside, lane.waiting, lane.open) == (0, 1, False), "who waits comes first"
    assert lane.let_in() == "a"


def test_whose_deadline_is_nearest_goes_in_first() -> None:
    assert all_in(lane_of(1, 9, a=300, b=40, c=120, d=40)) == "bdca"


def test_who_comes_late_with_little_time_left_passes_those_who_have_more() -> None:
    lane = lane_of(1, 9, a=100, b=200)
    assert lane.let_in() == "a"
    lane.stand("c", 150)
    lane.leave()
    assert all_in(lane) == "cb"


def test_who_came_first_goes_in_first_among_equals() -> None:
    assert all_in(lane_of(1, 9, c=7, a=7, b=7)) == "cab"


def test_who_gives_up_is_not_called_in() -> None:
    lane = lane_of(1, 3, a=1, b=2, c=3)
    assert lane.give_up("a") and lane.give_up("b")
    assert (lane.waiting, all_in(lane)) == (1, "c")
    assert not lane.calls


def test_who_was_called_in_already_cannot_give_up() -> None:
    lane = lane_of(1, 3, a=1)
    assert lane.let_in() == "a"
    assert not lane.give_up("a")
    assert lane.inside == 1
