"""What each sealed value belongs to. A seal opens only where it was made for: sealer and opener share these."""

from uuid import UUID

from watchword.runtime.sealing import joined


def message(tenant: str, verification: UUID, code_version: int) -> bytes:
    """Of the message to send, in `codes.sealed`: sealed by codes, opened by dispatch."""
    return joined("message", tenant, verification.bytes, str(code_version))


def number(tenant: str, number_token: str) -> bytes:
    """Of the phone number, in `verifications.number_sealed`: sealed by intake, opened by dispatch."""
    return joined("number", tenant, number_token)


def own_code(tenant: str, verification: UUID) -> bytes:
    """Of the caller's own code, in `verifications.own_code`: sealed by intake, opened by codes."""
    return joined("own-code", tenant, verification.bytes)


def receipt(account: str) -> bytes:
    """Of a raw callback, in receipt-received: sealed and opened by receipts."""
    return joined("receipt", account)
