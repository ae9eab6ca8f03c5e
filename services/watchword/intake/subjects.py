"""The sealed side of a number: its data key, its sealed copy, and the masked form that may be shown."""

from collections.abc import Iterable

import asyncpg

from watchword.intake.request import Start
from watchword.kernel.phone import PhoneNumber, parse
from watchword.kernel.secret import Phone
from watchword.runtime import aad
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import Key, SealBroken, new_data_key, open_sealed, seal, unwrap, wrap

Subject = tuple[str, str]  # tenant, number token
UNREADABLE = Phone("+")


class Subjects:
    """Seals and opens with the keys of the process; holds nothing of any number."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def fresh(self, subject: Subject) -> tuple[Key, bytes]:
        """A fresh data key for a subject, and the same wrapped."""
        data_key = new_data_key()
        wrapping = self._keyring.sealing(Purpose.SUBJECT)
        return data_key, wrap(wrapping, data_key, tenant=subject[0], number_token=subject[1])

    def new_keys(self, subjects: Iterable[Subject]) -> dict[Subject, bytes]:
        """A fresh data key for each subject, wrapped."""
        return {each: self.fresh(each)[1] for each in subjects}

    def sealed(self, request: Start, data_key: Key) -> tuple[bytes, bytes | None]:
        """The number under its subject's key, and the caller's own code for codes to open, None if there is none."""
        tenant, number_token = request.asker.tenant.id, request.number_token
        number = seal(data_key, request.number.e164.reveal().encode(), aad.number(tenant, number_token))
        if request.own_code is None:
            return number, None
        handover = self._keyring.sealing(Purpose.HANDOVER)
        clear = request.own_code.reveal().encode("ascii")
        return number, seal(handover, clear, aad.own_code(tenant, request.verification_id))

    def shown(self, row: asyncpg.Record) -> str:
        """The masked number of a verification's row; nothing but dots once the subject was erased."""
        subject = (row["tenant"], row["number_token"])
        if row["wrapped_key"] is None:
            return UNREADABLE.masked()
        try:
            data_key = self.data_key(row["wrapped_key"], subject)
            e164 = open_sealed((data_key,), row["number_sealed"], aad.number(*subject)).decode("ascii")
        except SealBroken:
            return UNREADABLE.masked()
        number = parse(e164, default_region="", allowed_countries=(row["country"],))
        return number.e164.masked() if isinstance(number, PhoneNumber) else Phone(e164).masked()

    def data_key(self, wrapped: bytes, subject: Subject) -> Key:
        """A subject's data key. Raises SealBroken if it does not open."""
        return unwrap(self._keyring.opening(Purpose.SUBJECT), wrapped, tenant=subject[0], number_token=subject[1])
