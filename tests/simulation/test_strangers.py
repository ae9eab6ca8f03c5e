"""Reports on messages that are not ours, of a system that shares a connection with us: they keep nobody waiting."""

from datetime import timedelta

from tests.simulation.processes import PARKED_PAUSE_S, PARKED_ROWS_MAX
from tests.simulation.world import World
from watchword.events import envelope
from watchword.events.receipt_received import ReceiptReceived

STRANGERS = 3 * PARKED_ROWS_MAX


def park_strangers(world: World) -> None:
    """So many, all to be looked at now. What they say cannot be read: nobody's attempt is meant."""
    now = world.now()
    for number in range(STRANGERS):
        key = f"stranger-{number}/0"
        event = ReceiptReceived(receipt_id=key, account="dedupes", gateway="echo", received_at=now, sealed="AQ==")
        row = {"id": key, "account": "dedupes", "client_ref": "", "provider_id": key, "look_at": now, "parked_at": now}
        row |= {"event": envelope.encode(event), "parked_until": now + timedelta(minutes=15)}
        world.database.tables["receipts_parked"][key] = row


def test_more_strangers_than_fit_a_batch_are_all_looked_at_in_one_turn() -> None:
    with World(7, processes=(("receipts", 0),)) as world:
        park_strangers(world)
        began = world.now()
        world.advance(PARKED_PAUSE_S + 0.5)
        parked = world.database.tables["receipts_parked"].values()
        assert len(parked) == STRANGERS
        assert all(row["look_at"] > began for row in parked)
