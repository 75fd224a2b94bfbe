"""The next window while this one is being learned from, so that a graphics card never waits for it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor


def ahead(windows, steps: range) -> Iterator[list]:
    """windows[step] for each step; the next one is made in a thread while the last one is in use.

    What making a window raises is raised when its turn comes. One thread, so windows are made in
    order, and at most one that nobody asked for yet is held.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(windows.__getitem__, steps[0]) if steps else None
        for step in steps:
            window = coming.result()
            if step != steps[-1]:
                coming = thread.submit(windows.__getitem__, step + 1)
            yield window
