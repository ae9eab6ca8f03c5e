"""What an event is: something that happened, said once, in the newest version of its schema."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment in an event. One without a time zone is refused when read, so that no decision ever meets it."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of every event struct. Fields it does not know are ignored when read, as events.md promises.

    `NAME` is the folder in schemas/ without its number; `MAJOR` and `MINOR` say which schema file the struct is;
    `TOPIC` is where it goes unless the emitter names another of the event's topics.
    """

    NAME: ClassVar[str]
    MAJOR: ClassVar[int] = 1
    MINOR: ClassVar[int] = 0
    TOPIC: ClassVar[str]


class Emit(msgspec.Struct, frozen=True):
    """One event to be told. `subject` is whose history it belongs to (a verification id in most cases) and the
    Kafka key unless `key` says otherwise; `ordinal` tells apart the events of one subject and one name, so that
    (subject, name, ordinal) names the fact and a repeat carries the same event id.

    `counted` events take the next sequence number of their verification. `correlation` is the asker's own id for the
    request, where it is not the one that the causing event carries on.
    """

    event: Event
    subject: str
    ordinal: int = 0
    topic: str = ""
    key: str = ""
    counted: bool = True
    correlation: str = ""
