"""Fetching Kafka's jars, with a stand-in for Maven that answers at once."""

import asyncio
import os
import sys
from pathlib import Path

FETCHES = """#!/bin/sh
for argument; do case "$argument" in -DoutputDirectory=*) directory="${argument#*=}";; esac; done
echo fetched >> "$FETCHES"
until [ "$(wc -l < "$FETCHES")" -ge "$TOGETHER" ]; do :; done
mkdir -p "$directory" && echo "jar of $$" > "$directory/kafka.jar"
"""
FAILS = "#!/bin/sh\necho '[ERROR] repository not reachable'\nexit 1\n"
ASKS = "import sys; from watchword.local import kafka_jars; sys.stdout.write(str(kafka_jars.jars()))"


async def ask(directory: Path, mvn: str, *, together: int = 1) -> tuple[str, str]:
    """What a new process that needs the jars writes to stdout and stderr."""
    (directory / "mvn").write_text(mvn)
    (directory / "mvn").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(directory),
        "FETCHES": str(directory / "fetches"),
        "TOGETHER": str(together),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ASKS,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(), 30)
    return stdout.decode(), stderr.decode()


async def test_jars_are_fetched_once_and_found_ever_after(tmp_path: Path) -> None:
    first, _ = await ask(tmp_path, FETCHES)
    again, _ = await ask(tmp_path, FETCHES)
    assert first == again == str(tmp_path / "watchword" / "kafka-4.3.1")
    assert (tmp_path / "fetches").read_text().count("fetched") == 1


async def test_processes_that_fetch_at_once_end_with_one_whole_directory(tmp_path: Path) -> None:
    answers = await asyncio.gather(*(ask(tmp_path, FETCHES, together=3) for _ in range(3)))
    home = tmp_path / "watchword" / "kafka-4.3.1"
    assert answers == [(str(home), "")] * 3
    assert [path.name for path in home.iterdir()] == ["kafka.jar"]
    assert list(home.parent.iterdir()) == [home]


async def test_a_failed_fetch_tells_mavens_words_and_leaves_nothing(tmp_path: Path) -> None:
    stdout, stderr = await ask(tmp_path, FAILS)
    assert stdout == ""
    assert "--kafka wheel" in stderr and "[ERROR] repository not reachable" in stderr
    assert list((tmp_path / "watchword").iterdir()) == []
