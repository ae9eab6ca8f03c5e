"""Opening what is sealed, at the moment of sending and not before: the only place that sees number and code."""

from datetime import datetime

import msgspec

from watchword.dispatch.decide.facts import Attempt
from watchword.dispatch.store import Sealed
from watchword.gateways.contract import Message
from watchword.kernel import dlt
from watchword.runtime import aad
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import SealBroken, open_sealed, unwrap


class OpenedMessage(msgspec.Struct, frozen=True):
    """What codes sealed: the text, the code by itself for providers that fill templates of their own, and what the
    text is registered as in India, "" elsewhere."""

    text: str
    code: str
    template: str = ""
    dlt_entity_id: str = ""
    dlt_template_id: str = ""
    dlt_header: str = ""
    dlt_text: str = ""

    def __repr__(self) -> str:
        return "<OpenedMessage>"


_MESSAGES = msgspec.json.Decoder(OpenedMessage)


class Unregistered(Exception):
    """The message is not what is registered for it in India: the operators would drop it, and we would pay."""


class Opener:
    """Makes the message of an attempt from its sealed parts."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def open(self, attempt: Attempt, sealed: Sealed, now: datetime) -> Message:
        """The message to send. Raises SealBroken where a part is gone (a subject that was erased) or not ours, and
        Unregistered for a text that would not pass the operators' scrubbing."""
        about = attempt.about
        if sealed.wrapped_key is None or sealed.message is None:
            raise SealBroken("a part of the message is gone")
        sending = self._keyring.opening(Purpose.SENDING)
        opened = open_sealed(
            sending, sealed.message, aad.message(about.tenant, about.verification_id, attempt.code_version)
        )
        wrapping = self._keyring.opening(Purpose.SUBJECT)
        data_key = unwrap(wrapping, sealed.wrapped_key, tenant=about.tenant, number_token=about.number_token)
        number = open_sealed((data_key,), sealed.number, aad.number(about.tenant, about.number_token))
        told = _read(opened)
        if told.dlt_entity_id and not (told.dlt_text and dlt.matches(told.dlt_text, told.text)):
            raise Unregistered
        chain = attempt.account.dlt_telemarketers if attempt.account and told.dlt_entity_id else ()
        return Message(
            client_ref=str(attempt.id),
            to=number.decode("ascii"),
            text=told.text,
            sender=told.dlt_header,
            life_s=int((about.expires_at - now).total_seconds()),
            at=now,
            variables={"code": told.code, "template": told.template},
            template=f"{about.tenant}/{told.template}",
            dlt_entity_id=told.dlt_entity_id,
            dlt_template_id=told.dlt_template_id,
            dlt_telemarketers=",".join(chain),
            dlt_chain_hash=dlt.chain_hash(told.dlt_entity_id, chain),
        )


def _read(opened: bytes) -> OpenedMessage:
    try:
        return _MESSAGES.decode(opened)
    except msgspec.DecodeError:
        raise SealBroken("the message is not one of ours") from None
