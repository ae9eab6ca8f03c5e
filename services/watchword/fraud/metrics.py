"""What fraud and its judge count."""

from collections import Counter
from collections.abc import Iterable, Sequence

from watchword.events.risk_level_set import RiskLevelSet
from watchword.events.verification_assessed import VerificationAssessed
from watchword.kernel.feature import kind_of
from watchword.runtime.acting import Told
from watchword.runtime.metrics import Metrics

NO_RULE = "none"
_SCORING_BUCKETS = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005)
_SCORE_BUCKETS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


class FraudMetrics:
    """The metrics of fraud. `rule` is the weightiest reason, `outcome` what enforce mode would do, `state` the mode."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("fraud")
        self.decisions = own.counter("decisions_total", "Sends assessed.", "rule", "outcome", "state")
        self.scoring_seconds = own.histogram("scoring_seconds", "Time of one decision.", buckets=_SCORING_BUCKETS)
        self.score_level = own.histogram("score_level", "Scores of assessed sends.", buckets=_SCORE_BUCKETS)
        self.feature_age_seconds = own.histogram(
            "feature_age_seconds", "Age of the levels that decisions were made with."
        )
        self.observations = own.counter("observations_total", "Observations told to the judge.", "outcome")
        self.shadow = own.counter(
            "shadow_decisions_total",
            "What a candidate ruleset would do, beside the live one (state).",
            "outcome",
            "state",
        )
        self.silent = own.counter("silent_blocks_total", "Blocks told to nobody, by rule.", "rule")
        self.mirrored_size = own.gauge("mirrored_size", "Levels held in memory.")

    def count(self, told: Sequence[Told]) -> None:
        """Count the assessments among what was told."""
        assessed = [each.emit.event for each in told if isinstance(each.emit.event, VerificationAssessed)]
        for (rule, would, mode), count in Counter((_rule(each), each.would, each.mode) for each in assessed).items():
            self.decisions.add(count, rule=rule, outcome=would.value, state=mode.value)
        for each in assessed:
            self.score_level.observe(each.score)
            if each.silent:
                self.silent.add(rule=_rule(each))
            if each.shadow is not None:
                self.shadow.add(outcome=each.shadow.action.value, state=each.would.value)


def _rule(assessed: VerificationAssessed) -> str:
    return assessed.reasons[0].code if assessed.reasons else NO_RULE


class SpendingMetrics:
    """What is spent. `cap` is hour or day, a colon, and the id of the cap's document."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("fraud")
        self.used = own.gauge("spending_used_ratio", "Share of a cap held and spent, of its fullest counter.", "cap")
        self.alarms = own.counter("spending_alarms_total", "Caps that passed 50, 80 or 100 per cent.", "cap", "state")


class JudgeMetrics:
    """The metrics of the judge."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("judge")
        self.signals = own.counter("signals_total", "Observations taken, by what became of them.", "outcome")
        self.levels = own.counter("levels_total", "Levels told, by kind of feature.", "rule", "state")
        self.weighing_seconds = own.histogram("weighing_seconds", "Time to deal with one event.")
        self.dead_letters = own.counter("dead_letters_total", "Events nothing could come of.", "reason")
        self.nodes_size = own.gauge("nodes_size", "Features held in memory.")

    def tell(self, told: Iterable[RiskLevelSet]) -> None:
        """Count the levels of a batch."""
        for (kind, level), count in Counter((kind_of(each.feature), each.level) for each in told).items():
            self.levels.add(count, rule=str(kind), state=level.value)
