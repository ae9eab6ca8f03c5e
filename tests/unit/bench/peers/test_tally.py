"""What a kill loses and repeats is counted by reference, and what is printed says so."""

import io

import msgspec
from rich.console import Console

from tests.bench.figures import Spread
from tests.bench.peers.printing import between, side_by_side
from tests.bench.peers.tally import (
    Asked,
    Burst,
    Carried,
    Fate,
    Figures,
    Run,
    Steady,
    document,
    fate,
    latencies_ms,
    rows,
)


def accepted(number: str, *, at: float = 100.0, times: int = 1) -> Asked:
    return Asked(number, times=times, accepted_at=at, id=f"id-{number}")


def carried(*numbers: str, at: float = 100.5) -> list[Carried]:
    return [Carried(number, at) for number in numbers]


def told(*numbers: str) -> dict[str, int]:
    return {f"id-{number}": 1 for number in numbers}


def run_of(*, cpu_ms: float = 1_000.0, lost: int = 0, proof: str = "") -> Run:
    used = {"daemon": cpu_ms, "rabbitmq": 500.0, "redis": 100.0}
    kill = Fate(messages=2_000, lost=lost, repeated=3, asked_again=2, untold=5)
    return Run(Burst(100, 80.0, 99, 60.0, used), Steady(10, [30.0, 10.0, 20.0], used), {"its processes": kill}, proof)


def jasmin(*runs: Run) -> Figures:
    return Figures("jasmin", "transient queues", ("rabbitmq", "redis", "epmd"), list(runs))


def test_what_was_accepted_and_never_came_is_lost() -> None:
    found = fate([accepted("1"), accepted("2"), accepted("3")], carried("1", "3"), told("1", "3"))
    assert found == Fate(messages=3, lost=1, repeated=0, asked_again=0, untold=0)


def test_every_arrival_but_the_first_is_a_repeat() -> None:
    found = fate([accepted("1"), accepted("2")], carried("1", "1", "1", "2"), told("1", "2"))
    assert (found.lost, found.repeated, found.asked_again) == (0, 2, 0)


def test_a_repeat_that_the_sender_asked_for_is_told_apart() -> None:
    asked = [accepted("1", times=2), accepted("2", times=5), accepted("3")]
    found = fate(asked, carried("1", "1", "1", "2", "3", "3"), told("1", "2", "3"))
    assert (found.repeated, found.asked_again) == (3, 1)


def test_what_nobody_accepted_is_not_lost_and_a_stranger_counts_for_nothing() -> None:
    found = fate([Asked("1", times=4), accepted("2")], carried("2", "9", "9"), told("2"))
    assert found == Fate(messages=2, lost=0, repeated=0, asked_again=0, untold=0, unanswered=1)


def test_a_message_that_came_and_was_not_accepted_can_be_repeated_but_not_untold() -> None:
    found = fate([Asked("1", times=2)], carried("1", "1"), {})
    assert (found.repeated, found.asked_again, found.untold, found.unanswered) == (1, 1, 0, 1)


def test_a_receipt_that_nobody_was_told_of_is_untold_where_the_message_came() -> None:
    found = fate([accepted("1"), accepted("2"), accepted("3")], carried("1", "2"), told("1"))
    assert (found.lost, found.untold) == (1, 1)


def test_a_latency_runs_from_the_answer_to_the_first_arrival() -> None:
    asked = [accepted("1", at=10.0), accepted("2", at=10.0), accepted("3"), Asked("4", times=1)]
    seen = [Carried("1", 10.5), Carried("1", 10.25), Carried("2", 9.0), Carried("4", 11.0)]
    assert latencies_ms(asked, seen) == [250.0, 0.0]


def test_servers_are_counted_in_and_apart() -> None:
    shown = rows(jasmin(run_of(), run_of(cpu_ms=3_000.0), run_of(cpu_ms=2_000.0)))
    assert shown["CPU-ms own"] == Spread(10.0, 20.0, 30.0)
    assert shown["CPU-ms"] == Spread(16.0, 26.0, 36.0)
    assert shown["CPU-ms rabbitmq"] == Spread(5.0, 5.0, 5.0)
    assert shown["carrier p50 ms"].median == 20.0
    assert "CPU-ms epmd" not in shown


def test_the_tables_have_every_system_and_say_what_was_left_out() -> None:
    output = io.StringIO()
    figures = [
        jasmin(run_of(lost=7), run_of(proof="audit: clean")),
        Figures("kannel", left_out="run .ci/interop-peers"),
    ]
    side_by_side(Console(file=output, width=160), figures)
    text = output.getvalue()
    assert "3 (2 asked for again)" in text
    assert "jasmin: transient queues" in text
    assert "jasmin: audit: clean" in text
    assert "kannel was left out: run .ci/interop-peers" in text


def test_the_document_is_json_with_every_run_of_a_kill() -> None:
    figures = [jasmin(run_of(lost=7), run_of()), Figures("kannel", left_out="not installed")]
    told = msgspec.json.decode(msgspec.json.encode(document(figures, {"messages": 100}, {"cpus": 2})))
    assert [each["lost"] for each in told["systems"]["jasmin"]["killed"]["its processes"]] == [7, 0]
    assert told["systems"]["jasmin"]["figures"]["CPU-ms"] == {"min": 16.0, "median": 16.0, "max": 16.0}
    assert told["left_out"] == {"kannel": "not installed"}


def test_a_figure_of_one_run_has_no_spread() -> None:
    assert between(Spread(1.5, 1.5, 1.5)) == "1.5"
    assert between(Spread(0.512, 56.049, 1_301.4)) == "56 (0.512 to 1,301)"
