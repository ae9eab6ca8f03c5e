"""What shows that a callback comes from whom it says: MACs, times and shared secrets, compared in constant time."""

import base64
import hmac
import re
from datetime import datetime

from watchword.gateways import forms, reading
from watchword.gateways.contract import Account, Callback

SECRET_HEADER = "X-Watchword-Secret"
SECRET_FIELD = "key"
_UNIX_S = re.compile(r"[0-9]{1,12}", re.ASCII)


def secret_of(account: Account) -> str:
    """What the account checks callbacks by, "" where it believes none."""
    return account.secrets.get("callback", "")


def same(told: str, right: str) -> bool:
    """Whether both are the same, which takes as long wherever they differ."""
    return hmac.compare_digest(told.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))


def mac_base64(secret: str, text: bytes, algorithm: str = "sha256") -> str:
    """HMAC of `text` under `secret`, in base64."""
    return base64.b64encode(hmac.digest(secret.encode(), text, algorithm)).decode("ascii")


def lately(unix_s: str, now: datetime, window_s: int) -> bool:
    """Whether a time told in seconds since 1970 lies within `window_s` of `now`, on either side."""
    return bool(_UNIX_S.fullmatch(unix_s)) and abs(now.timestamp() - int(unix_s)) <= window_s


def tells_secret(callback: Callback, account: Account) -> bool:
    """Whether the callback carries the account's secret in the header X-Watchword-Secret or the query field `key`.
    It covers neither body nor time: whoever once saw it can call back for ever, so it is to be told over TLS only."""
    secret = secret_of(account)
    try:
        asked = forms.one(forms.asked(callback), SECRET_FIELD)
    except ValueError:
        return False
    told = reading.header(callback.headers, SECRET_HEADER) or asked
    return bool(secret) and same(told, secret)
