"""Under pytest-xdist every worker keeps to one processor, and so does whatever it starts.

A training with two threads, next to another, takes up to ten times as long: each thread waits for
the other, which waits for a processor.
"""

import os


def pytest_configure(config):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")  # gw0, gw1, …
    if worker:
        os.environ["OMP_NUM_THREADS"] = "1"  # for systems without the following
    if worker and hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[int(worker.removeprefix("gw")) % len(usable)]})
