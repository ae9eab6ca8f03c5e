"""Who may be told of a batch of events: the configuration's subscribers and the verifications' rows, read at once."""

from collections.abc import Callable, Mapping, Sequence, Set
from functools import lru_cache
from uuid import UUID

from watchword.callbacks.decide.tell import TELLABLE, Audience, Standing, Subscriber
from watchword.callbacks.store import SQL, event_uuid, standing_of
from watchword.callbacks.tenant_topics import TenantTopics
from watchword.events.catalog import UnreadableEvent, name_of
from watchword.events.envelope import Headers
from watchword.events.verification import VerificationEvent
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.tenancy import Endpoint
from watchword.runtime.configuration import Configuration
from watchword.runtime.incoming import Incoming
from watchword.runtime.postgres import Connection

Place = tuple[str, str]


class Audiences:
    """The `gather` of the step. Most events are wanted by nobody and cost no query."""

    def __init__(self, current: Callable[[], Configuration], own_topics: TenantTopics) -> None:
        self._current = current
        self._own_topics = own_topics
        self._known = Configuration()
        self._by_tenant: Mapping[str, tuple[Endpoint, ...]] = {}
        self._wanted: Set[tuple[bytes, str]] = frozenset()

    async def gather(self, batch: Sequence[Incoming], connection: Connection) -> Mapping[str, Audience]:
        """What `decide` needs of each event, by its key. Raises what Postgres raises."""
        self._take_up()
        wanted = {
            each.key: (each, each.event, self._subscribed(each.event))
            for each in batch
            if isinstance(each.event, TELLABLE) and self._may_be_told(each.event)
        }
        standings = await standings_of(connection, [event.verification_id for _, event, _ in wanted.values()])
        gone = await _gone(connection, [one for _, _, endpoints in wanted.values() for one in endpoints])
        return {
            key: self._audience(incoming, event, standings, _subscribers(endpoints, gone))
            for key, (incoming, event, endpoints) in wanted.items()
        }

    def may_want(self, headers: Headers) -> bool:
        """Whether an event may be for anybody, by its headers alone. Where they do not say, it may."""
        self._take_up()
        told = dict(headers)
        tenant, name = told.get("ce_tenant"), _name(told.get("ce_type", b""))
        if tenant is None or not name:
            return True
        return name == VerificationEnded.NAME or (tenant, name) in self._wanted

    def _take_up(self) -> None:
        current = self._current()
        if current is self._known:
            return
        by_tenant: dict[str, tuple[Endpoint, ...]] = {}
        for endpoint in current.endpoints.values():
            by_tenant[endpoint.tenant] = (*by_tenant.get(endpoint.tenant, ()), endpoint)
        self._known, self._by_tenant = current, by_tenant
        self._wanted = {(one.tenant.encode(), name) for one in current.endpoints.values() for name in one.events}

    def _subscribed(self, event: VerificationEvent) -> tuple[Endpoint, ...]:
        return tuple(one for one in self._by_tenant.get(event.tenant, ()) if event.NAME in one.events)

    def _may_be_told(self, event: VerificationEvent) -> bool:
        """Endings are always looked at: the row says whether the request came by Kafka."""
        return isinstance(event, VerificationEnded) or bool(self._subscribed(event))

    def _audience(
        self,
        incoming: Incoming,
        event: VerificationEvent,
        standings: Mapping[UUID, Standing],
        subscribers: tuple[Subscriber, ...],
    ) -> Audience:
        tenant = self._known.tenant(event.tenant)
        own_topic = tenant.results_topic if tenant is not None else ""
        return Audience(
            event_id=event_uuid(incoming.envelope.id),
            told_at=incoming.envelope.time,
            standing=standings.get(event.verification_id),
            subscribers=subscribers,
            own_topic=own_topic,
            own_topic_state=self._own_topics.state(own_topic),
        )


@lru_cache(maxsize=256)
def _name(kind: bytes) -> str:
    """The event's name in a `ce_type`, whatever its version; "" for what is none."""
    try:
        return name_of(kind.decode())
    except (UnreadableEvent, ValueError):
        return ""


async def standings_of(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, Standing]:
    """The verifications of these ids that are there, by id. Raises what Postgres raises."""
    if not ids:
        return {}
    return {row["verification_id"]: standing_of(row) for row in await connection.fetch(SQL["standings"], ids)}


async def _gone(connection: Connection, endpoints: Sequence[Endpoint]) -> frozenset[Place]:
    if not endpoints:
        return frozenset()
    columns = ([one.tenant for one in endpoints], [one.id for one in endpoints], [one.version for one in endpoints])
    return frozenset(
        (row["tenant"], row["endpoint"]) for row in await connection.fetch(SQL["gone_endpoints"], *columns)
    )


def _subscribers(endpoints: Sequence[Endpoint], gone: frozenset[Place]) -> tuple[Subscriber, ...]:
    return tuple(Subscriber(one.id, one.disabled or (one.tenant, one.id) in gone) for one in endpoints)
