"""A published request was refused: the answer a Kafka publisher gets where HTTP would answer 4xx."""

from typing import ClassVar

from watchword.events import topics
from watchword.kernel.event import Event


class VerificationRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`code` is the stable problem code; `request_id` the publisher's ce_id; `retry_after_s` 0 if never."""

    NAME: ClassVar[str] = "verification-refused"
    TOPIC: ClassVar[str] = topics.RESULTS

    request_id: str
    code: str
    tenant: str = ""
    detail: str = ""
    reference: str = ""
    retry_after_s: int = 0
