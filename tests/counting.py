"""Work counted instead of timed: the same number on a busy machine."""

import sys
from collections.abc import Callable


def lines_run(job: Callable) -> int:
    """How many lines of Python a job runs. What C does in one call counts as one."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        job()
    finally:
        sys.settrace(before)
    return count
