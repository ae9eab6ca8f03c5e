"""What dispatch counts. `outcome` is one of the nine classes, or why no gateway was called."""

from watchword.runtime.metrics import Metrics


class DispatchMetrics:
    """The metrics of dispatch. `late_sends` counts requests written past their deadline and must stay 0."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("dispatch")
        self.attempts = own.counter("attempts_total", "Attempts concluded, by what came of them.", "outcome", "account")
        self.call_seconds = own.histogram("call_seconds", "From request to answer.", "account")
        self.account_wait_seconds = own.histogram("account_wait_seconds", "Waiting for room and tokens.", "account")
        self.inflight = own.gauge("inflight", "Calls under way.", "account")
        self.waiting = own.gauge("waiting_size", "Messages waiting for the account.", "account")
        self.rate = own.gauge("rate_level", "Calls a second the account is paced at.", "account")
        self.breaker = own.gauge("breaker_state", "0 closed, 1 half open, 2 open.", "account")
        self.mute = own.gauge("mute_state", "1 while many calls wait and none is answered, 0 else.", "account")
        self.pauses = own.counter("pauses_total", "Times this process stood still for more than a second.")
        self.breaker_opened = own.counter("breaker_opened_total", "Breakers that opened.", "account", "country")
        self.taken_up_again = own.counter("taken_up_again_total", "Attempts whose end was unknown.", "account")
        self.late_sends = own.counter("late_sends_total", "Requests written past their deadline.")
        self.possible_duplicates = own.counter("possible_duplicates_total", "Messages that may be second ones.")
        self.hedges = own.counter("hedges_total", "Messages sent beside one of which nothing was heard.")
        self.feedback = own.counter(
            "feedback_total",
            "Looks at accepted messages whose provider takes feedback, by what came of them: converted and unconverted "
            "were told, refused, given_up and too_late never will be, again and waiting are looked at once more.",
            "outcome",
            "account",
        )
        self.cost_micros = own.counter("cost_micros_total", "Price of what may have left, in millionths.", "account")
        self.leases_lost = own.counter("leases_lost_total", "Results that came after their lease.")
        self.repeated = own.counter("repeated_total", "Requests read again after their attempt was taken or over.")
        self.connections = own.gauge("connections_size", "Kept connections that are ready.", "account")
        self.connections_ended = own.counter("connections_ended_total", "Ends of kept ones.", "account", "reason")
        self.reports = own.counter("reports_total", "Reports over kept connections.", "account", "outcome")
        self.detours = own.counter("detours_total", "Reports kept in Postgres because Kafka was silent.")
        self.late_sends.add(0)
        self.possible_duplicates.add(0)
        self.hedges.add(0)
        self.pauses.add(0)
