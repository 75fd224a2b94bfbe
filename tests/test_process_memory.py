"""Memory is measured for the process that runs, not for the one that started it."""

import subprocess
import sys
from pathlib import Path

import pytest

from process_memory import STATUS, held, highest

TESTS = str(Path(__file__).parent)


def in_a_process(*lines: str) -> list[float]:
    """What a fresh Python prints, in megabytes."""
    start = f"import sys; sys.path.insert(0, {TESTS!r})\nfrom process_memory import held, highest"
    command = [sys.executable, "-c", "\n".join([start, *lines])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) / 1e6 for word in done.stdout.split()]


def test_a_small_process_started_by_a_large_one_is_small():
    large = bytearray(b"x") * 300_000_000
    [most] = in_a_process("print(highest())")
    assert len(large) and most < 100


@pytest.mark.skipif(not STATUS.is_file(), reason="only Linux tells what a process holds now")
def test_what_was_freed_counts_for_the_highest_and_not_for_what_is_held():
    before, most, now = in_a_process(
        "print(held())", "large = bytearray(b'x') * 300_000_000", "del large", "print(highest(), held())"
    )
    assert most > before + 290 and now < before + 50


def test_the_highest_is_never_below_what_is_held():
    assert highest() >= held() * 0.99
