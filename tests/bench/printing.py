"""The figures of a bench as tables."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.database import TableUse
from tests.bench.figures import Report, Run, growth, rows, short
from tests.bench.written import Written


def figures(console: Console, report: Report) -> None:
    """Minimum, median and maximum of everything, and what has none."""
    rate = report.runs[0].rate_per_s
    table = Table("figure", "min", "median", "max", title=f"{report.kafka}, {rate:g} verifications/s")
    for name, each in rows(report):
        table.add_row(name, *(f"{value:,.2f}" for value in (each.min, each.median, each.max)))
    console.print(table)
    host = report.host
    console.print(f"sustained: {report.sustained_per_s:g} verifications/s on {host['cpus']} CPUs")
    told = (
        f"a million turns of a loop in {host['loop_ms']:g} ms, a round trip between sleepers for {host['waking_us']} us"
    )
    console.print(f"this machine: {told} of CPU", soft_wrap=True, highlight=False)
    if len(report.stored) > 1:
        sizes = sorted(report.stored)
        cpu = growth({count: each.cpu_ms.median for count, each in report.stored.items()})
        blocks = growth({count: each.blocks for count, each in report.stored.items()})
        sizes_told = f"from {short(sizes[0])} to {short(sizes[-1])} stored"
        console.print(f"cost growth {sizes_told}: CPU {cpu:.3f} times, blocks touched {blocks:.3f} times")


def burst(console: Console, run: Run) -> None:
    """Requests that came all at once: how fast they went, and what each cost in full batches."""
    each = ", ".join(f"{name} {run.cpu_ms_each(name):.2f}" for name in run.cpu_ms)
    seen = run.seen
    told = f"{seen.started:,} at once through Kafka: {run.rate_per_s:.0f}/s with their carrier, {seen.failed} never"
    console.print(f"{told}; CPU-ms each: {run.ours_ms:.2f} ours; {each}", soft_wrap=True, highlight=False)


def database(console: Console, each: Mapping[str, float], tables: Sequence[TableUse]) -> None:
    """What Postgres does for one verification."""
    table = Table(
        "table", "indexes", "inserts", "updates", "HOT", "deletes", "rows scanned", title="for one verification"
    )
    for use in tables:
        told = (use.inserted, use.updated, use.deleted, use.scanned)
        inserted, updated, deleted, scanned = (f"{value:.2f}" for value in told)
        hot = f"{use.hot:.0%}" if use.updated else ""
        table.add_row(use.name, str(use.indexes), inserted, updated, hot, deleted, scanned)
    console.print(table)
    console.print(
        f"for one verification: {each['wal_bytes']:,.0f} bytes of WAL ({each['full_pages']:.2f} full pages), "
        f"{each['commits']:.2f} commits, {each['blocks']:,.0f} blocks touched, "
        f"{each['topic_bytes']:,.0f} bytes of topics"
    )


def log_ahead(console: Console, written: Written) -> None:
    """Who makes Postgres write its log ahead, and what lies in the tables in the end."""
    table = Table(
        "table", "for rows", "for indexes", "dead rows", "vacuums", "KiB", "KiB of indexes", title="bytes of WAL"
    )
    for each in written.tables:
        left = (
            f"{each.dead:,}",
            f"{each.vacuums:,}",
            f"{each.table_bytes / 1024:,.0f}",
            f"{each.index_bytes / 1024:,.0f}",
        )
        table.add_row(each.name or "commits and others", f"{each.rows:,.0f}", f"{each.indexes:,.0f}", *left)
    console.print(table)
    workers = sorted(written.workers.items(), key=lambda named: -named[1])
    told = ", ".join(f"{name.removeprefix('watchword-')} {each:,.0f}" for name, each in workers)
    console.print(f"bytes of WAL by worker: {told}", soft_wrap=True, highlight=False)
    console.print(f"indexes nobody read: {', '.join(written.unread) or 'none'}", soft_wrap=True, highlight=False)


def memory(console: Console, grown: Mapping[str, float]) -> None:
    """By how much each worker grew in the second half of a long load."""
    if not grown:
        console.print("memory over ten minutes: not measured; SOAK=1 does")
        return
    told = ", ".join(f"{name} {share:+.1%}" for name, share in grown.items())
    console.print(f"memory, second half of the long load: {told}")
