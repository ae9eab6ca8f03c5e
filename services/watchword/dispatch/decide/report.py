"""What a gateway's answer to a question tells of a message that no receipt came for."""

from uuid import UUID

from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.verification import Facts, shared
from watchword.gateways.outcome import Outcome
from watchword.kernel.event import Emit
from watchword.kernel.verdict import Done, Write
from watchword.kernel.verification import RECEIPT_RANK


def report(about: Facts, attempt: UUID, account: str, found: Outcome | None) -> Done:
    """What the answer changes: it is one more receipt, which only raises what is known. Nothing where the gateway does
    not know the message, or does not say how far it came."""
    if found is None or found.receipt is None:
        return Done.unchanged()
    rank = RECEIPT_RANK[found.receipt]
    recorded = ReceiptRecorded(
        **shared(about),
        attempt_id=attempt,
        account=account,
        state=ReceiptWord(found.receipt.value),
        provider_id=found.provider_id,
        raw_code=found.raw_code,
    )
    told = Emit(recorded, str(attempt), rank, key=str(about.verification_id))
    return Done((Write("record_found", str(attempt), (rank, found.receipt.value), (told,)),))
