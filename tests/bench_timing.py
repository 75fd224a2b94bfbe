"""Measuring side by side: jobs in turn, medians and spread, and what a number depends on."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

from bench_peers import OURS  # noqa: E402
from notebooks import processor  # noqa: E402

PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


def in_turn(
    jobs: dict[str, Callable[[], object]], rounds: int, label: str
) -> dict[str, list[float]]:
    """Seconds of every job, round after round: A B C, A B C, … so that drift hits all alike.

    Each job runs once before, unmeasured: the first call also allocates. On a GPU the clock stops
    when the work is done, not when it is queued.
    """
    seconds = {name: [] for name in jobs}
    with tqdm(total=(rounds + 1) * len(jobs), desc=label, leave=False, disable=None) as bar:
        for turn in range(rounds + 1):
            for name, job in jobs.items():
                began = time.perf_counter()
                job()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                if turn:
                    seconds[name].append(time.perf_counter() - began)
                bar.update()
    return seconds


def spread(values: list[float]) -> dict:
    """Median, lowest and highest of some numbers, and the numbers."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": values,
    }


def compare(
    work: str,
    values: dict[str, list[float]],
    target: float | None,
    *,
    unit: str = "s",
    more_is_better=False,
    against: list[str] | None = None,
    **details,
) -> dict:
    """One line of the table: ours, each peer, and how many times better we are than the best peer.

    values: ours under OURS, and the peers' under their names, in the same rounds; unit "s",
    "tokens/s" and so on. The ratio is taken round by round, so that a slow minute of the machine
    counts for both. `against` are the peers that count for the target; others are only shown.
    A target is met if the median ratio reaches it; without a peer it is None.
    """
    ratios = {}
    for name, theirs in values.items():
        if name != OURS:
            pairs = list(zip(values[OURS], theirs))
            ratios[name] = spread(
                [ours / peer if more_is_better else peer / ours for ours, peer in pairs]
            )
    counting = {name: ratio for name, ratio in ratios.items() if against is None or name in against}
    # the best peer is the one over which our lead is smallest
    best = min(counting, key=lambda name: counting[name]["median"], default=None)
    ratio = counting[best]["median"] if best else None
    return {
        "work": work,
        "unit": unit,
        "competitors": {name: spread(v) for name, v in values.items()},
        "ratios": ratios,
        "best_peer": best,
        "ratio": ratio,
        "target": target,
        "at_least": True,
        "met": None if ratio is None or target is None else ratio >= target,
        **details,
    }


def share(work: str, value: float, target: float, *, at_least: bool, **details) -> dict:
    """A line of the table that is about us alone: a part of a bound, or a gap to one."""
    met = value >= target if at_least else value <= target
    return {
        "work": work,
        "unit": "share",
        "competitors": {OURS: spread([value])},
        "ratios": {},
        "best_peer": None,
        "ratio": value,
        "target": target,
        "at_least": at_least,
        "met": met,
        **details,
    }


def machine() -> dict:
    """What the numbers depend on: processor, cores, threads, device, versions, date."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "system": platform.system(),
        "date": date.today().isoformat(),
        "versions": {"Python": platform.python_version()}
        | {name: installed(name) for name in PACKAGES},
    }


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
