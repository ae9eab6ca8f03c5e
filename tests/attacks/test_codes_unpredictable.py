"""Predictability: nothing of a code follows from the codes before it, in one process or across forked ones.

Statistics at one chance in a million, so that what is random is not found guilty; what folded bytes would do to digits
is found.
"""

import asyncio
import math
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from tests.attacks.adapter import Target
from tests.support.platform import fresh_number

CHILDREN, EACH, DIGITS = 4, 15_000, 6
Z_MAX = 4.9  # one chance in a million, two-sided

# A process that has drawn already is forked: what it knew, its children know. Each child tells what it draws.
DRAWS = f"""
import os, sys
from watchword.codes.worker import draw
[draw({DIGITS}) for _ in range(100)]
for child in range({CHILDREN}):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, "".join(draw({DIGITS}).reveal() for _ in range({EACH})).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as told:
        sys.stdout.buffer.write(told.read() + b"\\n")
    os.wait()
"""


async def drawn_by_forked_processes() -> list[list[str]]:
    """What each child drew, in order."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DRAWS, stdout=asyncio.subprocess.PIPE)
    told, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    lines = told.decode().splitlines()
    return [[line[at : at + DIGITS] for at in range(0, len(line), DIGITS)] for line in lines]


@pytest.mark.attack
async def test_codes_of_forked_processes_are_uniform_and_follow_from_nothing() -> None:
    children = await drawn_by_forked_processes()
    assert [len(each) for each in children] == [EACH] * CHILDREN
    everything = [code for each in children for code in each]
    assert chi_square_z([int(digit) for code in everything for digit in code], 10) < Z_MAX
    for place in range(DIGITS):
        assert chi_square_z([int(code[place]) for code in everything], 10) < Z_MAX, f"digit {place}"
    assert chi_square_z([int(code[:2]) for code in everything], 100) < Z_MAX, "no range is preferred"
    for each in children:
        numbers = [int(code) for code in each]
        assert abs(runs_z(numbers)) < Z_MAX
        for lag in (1, 2, 3, 7):
            assert abs(lag_z(numbers, lag)) < Z_MAX, f"lag {lag}"
    shared = len(everything) - len(set(everything))
    expected = len(everything) ** 2 / 2 / 10**DIGITS
    assert abs(shared - expected) < 6 * math.sqrt(expected), "children repeat each other as chance has it"
    for one, other in pairwise(children):
        assert sum(a == b for a, b in zip(one, other, strict=True)) <= 3, "and never in step"


def test_the_statistics_find_what_is_not_random() -> None:
    """They could fail: a folded byte, a counter, and a code that repeats its digits are each found."""
    folded = [byte % 10 for byte in range(256)] * (CHILDREN * EACH * DIGITS // 256)
    assert chi_square_z(folded, 10) > Z_MAX
    counting = [number * 7_919 % 10**DIGITS for number in range(EACH)]
    assert abs(lag_z(counting, 1)) > Z_MAX or abs(runs_z(counting)) > Z_MAX
    rising = list(range(EACH))
    assert abs(runs_z(rising)) > Z_MAX and abs(lag_z(rising, 1)) > Z_MAX


def chi_square_z(values: Sequence[int], kinds: int) -> float:
    """How far the counts of `kinds` kinds are from equal, in standard deviations (Wilson and Hilferty)."""
    expected = len(values) / kinds
    counts = Counter(values)
    statistic = sum((counts[kind] - expected) ** 2 / expected for kind in range(kinds))
    freedom = kinds - 1
    return (math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))


def runs_z(values: Sequence[int]) -> float:
    """The runs test of Wald and Wolfowitz about the middle, in standard deviations."""
    middle = sorted(values)[len(values) // 2]
    above = [value >= middle for value in values]
    more, fewer = sum(above), len(above) - sum(above)
    runs = 1 + sum(one != other for one, other in pairwise(above))
    mean = 2 * more * fewer / len(above) + 1
    return (runs - mean) / math.sqrt((mean - 1) * (mean - 2) / (len(above) - 1))


def lag_z(values: Sequence[int], lag: int) -> float:
    """The correlation of each value with the one `lag` before it, in standard deviations."""
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values)
    together = sum((one - mean) * (other - mean) for one, other in zip(values, values[lag:], strict=False))
    return together / spread * math.sqrt(len(values))


@pytest.mark.attack
async def test_codes_on_phones_are_uniform_and_follow_from_nothing(target: Target) -> None:
    """The whole way, through whichever process drew them: 400 codes as the phones show them."""
    codes: list[str] = []
    for _ in range(16):
        codes += [code for _, code in await asyncio.gather(*(target.issued(fresh_number()) for _ in range(25)))]
    assert chi_square_z([int(digit) for code in codes for digit in code], 10) < Z_MAX
    numbers = [int(code) for code in codes]
    assert abs(runs_z(numbers)) < Z_MAX and abs(lag_z(numbers, 1)) < Z_MAX
    assert len(set(codes)) == len(codes), "ten digits do not repeat within four hundred"
