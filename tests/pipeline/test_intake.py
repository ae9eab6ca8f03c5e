import pytest_asyncio
from collections.abc import AsyncIterator
from tests.support.intake import Caller, intake
from tests.support.pipeline import Pipeline
from watchword.events import topics

@pytest_asyncio.fixture
async def platform(stand: Pipeline) -> AsyncIterator[Caller]:
    async with intake(stand) as caller:
        yield caller

async def test_smoke(platform: Caller) -> None:
    answer = await platform.start()
    print(answer)
    answer = await platform.start()
    print(answer)
    answer = await platform.start("+919876543211", repeat="abc", signals={"ip":"1.2.3.4"}, binding={"amount":"1"}, code="123456")
    print(answer)
    id = answer.body["id"]
    answer = await platform.start("+919876543211", repeat="abc", signals={"ip":"1.2.3.4"}, binding={"amount":"1"}, code="123456")
    print(answer)
    print(await platform.call("GET", f"/v1/verifications/{id}"))
    print(await platform.call("POST", f"/v1/verifications/{id}/resend", {}))
    print(await platform.call("POST", f"/v1/verifications/{id}/cancel", {}))
    print(await platform.stand.told(topics.REQUESTS, count=2))
    print(await platform.stand.told(topics.LIFECYCLE, count=1))
    print(await platform.call("GET", f"/openapi.json"))
