"""How much memory this process holds, and has held at most, in bytes.

On Linux the most comes from VmHWM, which begins anew with a program. The usual `ru_maxrss` does not:
a process that was started by a large one reports the large one's peak, so that whatever a small one
adds measures as nothing.
"""

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def highest() -> int:
    """The most memory this process has held so far."""
    if STATUS.is_file():
        return kilobytes("VmHWM") * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def held() -> int:
    """The memory this process holds now; where the system does not tell, the most it has held."""
    return kilobytes("VmRSS") * 1024 if STATUS.is_file() else highest()


def kilobytes(name: str) -> int:
    return int(re.search(rf"^{name}:\s*(\d+) kB", STATUS.read_text(), re.MULTILINE)[1])
