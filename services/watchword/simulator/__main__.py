"""`python -m watchword.simulator`: carriers and phones on one port until it is told to stop."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

import uvloop

from watchword.simulator.server import CARRIERS, start

PORT = 9200


def main(words: Sequence[str] | None = None) -> None:
    """Run until SIGINT or SIGTERM; `words` are the command line's, by default the process's."""
    parser = argparse.ArgumentParser(prog="watchword simulator", description="Seeded carriers and phones over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; anyone who reaches it reads every phone")
    parser.add_argument("--port", type=int, default=PORT, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="the same seed and calls give the same answers")
    parser.add_argument("--carrier", action="append", help="a carrier's name; repeat for more")
    parser.add_argument("--receipt-url", default="", help="where echo receipts go; {carrier} is the name")
    parser.add_argument("--blind-receipt-url", default="", help="where receipts of the form API go")
    parser.add_argument(
        "--smpp-port", type=int, default=None, help="listen for SMPP too; system_id is the carrier's name"
    )
    told = parser.parse_args(words)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(told))


async def _serve(told: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    simulator = await start(
        told.port,
        seed=told.seed,
        host=told.host,
        carriers=told.carrier or CARRIERS,
        receipt_url=told.receipt_url,
        blind_receipt_url=told.blind_receipt_url,
        smpp_port=told.smpp_port,
    )
    also = f" and {simulator.smpp_url}" if simulator.smpp_url else ""
    sys.stdout.write(f"carrier simulator on {simulator.url}{also}\n")
    sys.stdout.flush()
    await stopping.wait()
    await simulator.stop()


if __name__ == "__main__":
    main()
