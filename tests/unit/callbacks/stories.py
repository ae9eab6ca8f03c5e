"""A verification, an audience and a claim, for the tables of cases."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from watchword.callbacks.decide.conclude import Claim
from watchword.callbacks.decide.tell import Audience, Standing, Subscriber
from watchword.events.verification import Facts, Signals, shared
from watchword.events.verification_ended import Ending, VerificationEnded

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVENT_ID = UUID("5f0f6c1a-8f3b-5d0e-9a51-2b7f4c9e1d33")
ABOUT = Facts(
    verification_id=UUID(int=(int((NOW - timedelta(seconds=20)).timestamp() * 1000) << 80) | (7 << 76) | (2 << 62)),
    tenant="shop",
    number_token="7c1fd2a09be84c6e8d35b2f01a9ce477",
    country="IN",
    range="+91987654",
    number_type="mobile",
    purpose="login",
    channel="sms",
    policy="default",
    policy_version=3,
    reference="signup-8f21",
    expires_at=NOW + timedelta(seconds=280),
)
ENDED = VerificationEnded(
    **shared(ABOUT),
    state=Ending.APPROVED,
    reason="right_code",
    requested_at=NOW - timedelta(seconds=20),
    sends_used=1,
    checks_used=2,
    signals=Signals(ip_token="not-for-them", device_token="not-for-them"),
)
STANDING = Standing(
    about=ABOUT,
    ending=Ending.APPROVED,
    reason="right_code",
    created_at=NOW - timedelta(seconds=20),
    sends_issued=1,
    checks_used=2,
    request_id="",
)
MAIN = Subscriber("main", disabled=False)
AUDIENCE = Audience(event_id=EVENT_ID, told_at=NOW - timedelta(seconds=1), standing=STANDING, subscribers=(MAIN,))
CLAIM = Claim(
    verification_id=ABOUT.verification_id,
    event_id=EVENT_ID,
    tenant="shop",
    endpoint="main",
    round=0,
    attempts=1,
    begun_at=NOW,
    expires_at=ABOUT.expires_at,
    version=4,
    event="verification-ended",
    body=b"{}",
)
