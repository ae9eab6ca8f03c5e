"""Addresses for a provider to report to, which name the message, and where nothing else does, prove it.

A provider that signs nothing reports to an address that only we could have made: it holds our reference and a MAC
over account and reference. Whoever sees one such address can tell lies about that one message and no other.
"""

import hmac
from urllib.parse import urlencode

from watchword.gateways import forms, proofs, reading, writing
from watchword.gateways.contract import Account, Callback

OPTION = "receipts_url"
REFERENCE, PROOF = "ref", "proof"
PROOF_CHARS = 32  # 128 bits of the MAC


def plain(account: Account) -> str:
    """The account's own address on the carriers' door, "" where the option is absent. Raises ValueError where it is
    none, or that of another account."""
    told = account.options.get(OPTION, "")
    if not told:
        return ""
    url = writing.callable_url(told, OPTION)
    if not url.endswith(f"/receipts/{account.id}"):
        raise ValueError(f"{OPTION}: must end in /receipts/{account.id}, this account's own address")
    return url


def naming(account: Account, client_ref: str) -> str:
    """`plain` with our reference, for a provider that signs the address. Raises ValueError as `plain` does."""
    url = plain(account)
    return url and f"{url}?{urlencode({REFERENCE: client_ref})}"


def proving(account: Account, client_ref: str) -> str:
    """`plain` with our reference and its proof, "" where the account has no secret to prove by. Raises ValueError as
    `plain` does."""
    url, proof = plain(account), _proof(account, client_ref)
    return url and proof and f"{url}?{urlencode({REFERENCE: client_ref, PROOF: proof})}"


def reference_of(callback: Callback) -> str:
    """The reference in the address that was called, "" where there is none. Raises ValueError on too many fields."""
    return reading.reference(forms.one(forms.asked(callback), REFERENCE))


def proven(callback: Callback, account: Account) -> bool:
    """Whether we made the address that was called, for this account."""
    try:
        asked = forms.asked(callback)
    except ValueError:
        return False
    right = _proof(account, forms.one(asked, REFERENCE))
    return bool(right) and proofs.same(forms.one(asked, PROOF), right)


def believed(callback: Callback, account: Account) -> bool:
    """Whether an unsigned callback carries the account's secret, or came to an address that we made."""
    return proofs.tells_secret(callback, account) or proven(callback, account)


def meant(callback: Callback, client_ref: str) -> str:
    """The reference a report is about, which is the address's where it has one. Raises ValueError where the report
    names another: the address proves one message only."""
    named = reference_of(callback)
    if named and client_ref and client_ref != named:
        raise ValueError("a report on another message than the one this address was made for")
    return named or client_ref


def _proof(account: Account, client_ref: str) -> str:
    secret = proofs.secret_of(account)
    if not secret or not client_ref:
        return ""
    mac = hmac.digest(secret.encode(), f"{account.id}\n{client_ref}".encode("utf-8", "surrogatepass"), "sha256")
    return mac.hex()[:PROOF_CHARS]
