"""Who may be in, who waits, who is turned away."""

from watchword.dispatch.lanes import Entry, Lane


def test_so_many_are_in_so_many_wait_and_the_rest_is_turned_away() -> None:
    lane = Lane[int](2, 1)
    assert [lane.enter(ticket) for ticket in range(4)] == [Entry.IN, Entry.IN, Entry.LINE, Entry.FULL]
    assert (lane.inside, lane.waiting, lane.full) == (2, 1, True)


def test_who_came_first_goes_in_first() -> None:
    lane = Lane[str](1, 5)
    for ticket in "abc":
        lane.enter(ticket)
    assert [lane.leave(), lane.leave(), lane.leave()] == ["b", "c", None]
    assert lane.inside == 0


def test_who_gives_up_is_not_called_in() -> None:
    lane = Lane[str](1, 5)
    for ticket in "abc":
        lane.enter(ticket)
    assert lane.give_up("b")
    assert lane.leave() == "c"


def test_who_was_called_in_already_cannot_give_up() -> None:
    lane = Lane[str](1, 5)
    lane.enter("a")
    lane.enter("b")
    assert lane.leave() == "b"
    assert not lane.give_up("b")
    assert lane.inside == 1
