"""An ESME on smpp34: submits as many messages as it is told, waits for their receipts, prints seconds and CPU."""

import asyncio
import os
import sys
import time

import smpp34  # type: ignore[import-not-found]  # in the peers' Python only

PORT, MESSAGES, WINDOW = (int(word) for word in sys.argv[1:4])


async def main() -> None:
    client = smpp34.Client("127.0.0.1", PORT, "north", "northpwd", window_size=WINDOW, inbound_capacity=100_000)
    smsc = await client.connect()
    begun_s, cpu_s = time.perf_counter(), time.process_time()

    async def sends() -> None:
        for _ in range(MESSAGES // WINDOW):
            answer = await smsc.submit_sm(
                "919876543210",
                b"493021 is your code.",
                source_addr="SHOP",
                source_addr_ton=5,
                dest_addr_ton=1,
                dest_addr_npi=1,
                registered_delivery=1,
            )
            assert answer.is_success, answer.command_status

    async def reads() -> None:
        for _ in range(MESSAGES // WINDOW * WINDOW):
            await smsc.next()

    reading = asyncio.create_task(reads())
    await asyncio.gather(*(sends() for _ in range(WINDOW)))
    await asyncio.wait_for(reading, 60)
    sys.stdout.write(f"{time.perf_counter() - begun_s} {time.process_time() - cpu_s}")
    await client.stop()


asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # its threads may still be at work, and would abort an interpreter that ends
