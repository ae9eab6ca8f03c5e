"""What was submitted and is not answered yet, on one connection. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.gateways.sessions import Answered, Unanswered


@dataclass(slots=True)
class _Ticket:
    parts_left: int
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class Window:
    """Units in flight by sequence number. The parts of one submission come to one event under its ticket."""

    def __init__(self, units_max: int) -> None:
        self._units_max = units_max
        self._units: dict[int, tuple[int, int, float]] = {}
        self._tickets: dict[int, _Ticket] = {}

    @property
    def room(self) -> int:
        """How many units may join."""
        return max(self._units_max - len(self._units), 0)

    @property
    def empty(self) -> bool:
        """Whether nothing is owed."""
        return not self._units

    def add(self, ticket: int, sequences: Iterable[int], until_s: float) -> None:
        """The units of a submission were written; they are answered by `until_s` or not at all."""
        numbered = list(enumerate(sequences))
        self._tickets[ticket] = _Ticket(len(numbered))
        for part, sequence in numbered:
            self._units[sequence] = (ticket, part, until_s)

    def answer(self, sequence: int, judge: Callable[[], Outcome]) -> list[Answered]:
        """A unit was answered, as `judge` says; [] where its submission has others open, or none such is known."""
        unit = self._units.pop(sequence, None)
        if unit is None or unit[0] not in self._tickets:
            return []
        ticket = self._tickets[unit[0]]
        ticket.outcomes[unit[1]] = judge()
        ticket.parts_left -= 1
        if ticket.parts_left:
            return []
        del self._tickets[unit[0]]
        return [Answered(unit[0], _whole([outcome for _, outcome in sorted(ticket.outcomes.items(), key=_part)]))]

    def overdue(self, now_s: float) -> list[Unanswered]:
        """Those that should have been answered by now; whatever comes for them later means nothing."""
        late = {}
        for sequence, (ticket, _, until_s) in self._units.items():
            if until_s > now_s:
                break  # they were added in the order in which they fall due
            late[sequence] = ticket
        for sequence in late:
            del self._units[sequence]
        tickets = [ticket for ticket in dict.fromkeys(late.values()) if self._tickets.pop(ticket, None)]
        return [Unanswered(ticket, "no_answer") for ticket in tickets]

    def give_up(self, word: str) -> list[Unanswered]:
        """Nothing will be answered any more."""
        open_ = list(self._tickets)
        self._tickets.clear()
        self._units.clear()
        return [Unanswered(ticket, word) for ticket in open_]


def _part(numbered: tuple[int, Outcome]) -> int:
    return numbered[0]


def _whole(outcomes: list[Outcome]) -> Outcome:
    """What the parts of one message come to: the last one's id is the message's, for it alone asked for a receipt.
    A message of which some parts were taken may have left, and nobody knows what of it."""
    failures = [outcome for outcome in outcomes if outcome.kind is not OutcomeClass.ACCEPTED]
    if not failures:
        return outcomes[-1]
    if len(failures) == len(outcomes):
        return failures[0]
    return Outcome(OutcomeClass.AMBIGUOUS, raw_code=failures[0].raw_code)
