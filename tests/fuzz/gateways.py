"""Every HTTP gateway of the catalogue: what it makes of answers, and of callbacks."""

from collections.abc import Iterator
from functools import cache

from tests.contract.gateways import samples
from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account, Callback, QueryableGateway, Receipt, TraceableGateway
from watchword.gateways.outcome import Outcome, OutcomeClass

_HEADERS_END = b"\n\n"
_NOW = samples.MESSAGE.at


@cache
def _accounts() -> list[tuple[str, Account]]:
    return samples.accounts()


def answer(data: bytes) -> None:
    """Any status, headers and body: an outcome whose words may be kept, and an id only where it was accepted."""
    gateway, account = _accounts()[data[0] % len(_accounts())] if data else _accounts()[0]
    status = 100 + int.from_bytes(data[1:3], "big") % 500
    head, _, body = data[3:].partition(_HEADERS_END)
    headers, speaks = _headers(head), GATEWAYS[gateway]
    outcome = speaks.decode(status, headers, body, account)
    _may_be_kept(outcome)
    assert outcome.kind is OutcomeClass.ACCEPTED or not outcome.provider_id
    if isinstance(speaks, QueryableGateway):
        _may_be_kept(speaks.decode_lookup(status, headers, body))
    if isinstance(speaks, TraceableGateway):
        _may_be_kept(speaks.decode_trace(status, headers, body, account))


def callback(data: bytes) -> None:
    """Any call of the carriers' door: never believed without the secret, and read as reports or refused."""
    gateway, account = _accounts()[data[0] % len(_accounts())] if data else _accounts()[0]
    head, _, body = data[1:].partition(_HEADERS_END)
    query, _, more = head.decode("latin-1").partition("\n")
    called = Callback("POST", f"https://us.example/receipts/{account.id}?{query}", _headers(more.encode()), body)
    try:
        told = GATEWAYS[gateway].receipts(called, account)
    except ValueError:
        told = []
    for each in told:
        _report_may_be_kept(each)
    believed = GATEWAYS[gateway].verify(called, account, _NOW)
    assert not believed or _is_recorded(called), "believed without the secret"


def _headers(head: bytes) -> dict[str, str]:
    lines = [line.partition(": ") for line in head.decode("utf-8", "surrogateescape").split("\n")]
    return {name: value for name, _, value in lines if name}


def _may_be_kept(outcome: Outcome | None) -> None:
    if outcome is None:
        return
    assert len(outcome.raw_code) <= 64 and (not outcome.raw_code or outcome.raw_code.isprintable()), outcome.raw_code
    assert len(outcome.provider_id) <= 128 and outcome.provider_id.isascii()
    assert 0 <= outcome.retry_after_ms <= 3_600_000 and outcome.price_micros >= 0


def _report_may_be_kept(report: Receipt) -> None:
    assert report.client_ref or report.provider_id
    for text in (report.raw_code, report.unmapped, report.network, report.client_ref, report.provider_id):
        assert len(text) <= 129 and text.isascii() and (not text or text.isprintable()), text
    assert report.provider_time is None or report.provider_time.utcoffset() is not None


def _is_recorded(called: Callback) -> bool:
    """Whether it carries the proof of a recorded callback, which a mutation may leave as it was."""
    told = called.url + "\n".join(called.headers.values()) + called.body.decode("latin-1")
    return any(proof and proof in told for proof in _proofs())


@cache
def _proofs() -> frozenset[str]:
    recorded = {value for case in samples.callbacks() for value in case.callback.headers.values() if "/" not in value}
    links = {case.callback.url.rpartition("proof=")[2][:32] for case in samples.callbacks()}
    return frozenset({each for each in recorded | links if len(each) > 8} | set(_signatures()))


def _signatures() -> Iterator[str]:
    for case in samples.callbacks():
        yield from (value for name, value in case.callback.headers.items() if "signature" in name.lower())
        yield from (value for value in case.account.secrets.values())


def answers() -> Iterator[bytes]:
    """Recorded answers to sends, one of each class for each gateway."""
    seen = set()
    for case in samples.answers("send"):
        kind = (case.gateway, case.expected and case.expected.kind)
        if kind in seen:
            continue
        seen.add(kind)
        head = "".join(f"{name}: {value}\n" for name, value in case.headers.items()).encode()
        place = _accounts().index((case.gateway, case.account))
        yield bytes((place,)) + (case.status - 100).to_bytes(2, "big") + head + _HEADERS_END + case.body


def callbacks() -> Iterator[bytes]:
    """Recorded callbacks, one of each state for each account."""
    seen = set()
    for case in samples.callbacks():
        kind = (case.gateway, case.account.id, case.expected[0].state if case.expected else "")
        if kind in seen or case.gateway not in GATEWAYS:
            continue
        seen.add(kind)
        head = case.callback.url.partition("?")[2] + "\n"
        head += "".join(f"{name}: {value}\n" for name, value in case.callback.headers.items())
        place = _accounts().index((case.gateway, case.account))
        yield bytes((place,)) + head.encode() + _HEADERS_END + case.callback.body
