"""A sandbox for one submission: a throwaway copy of the code, a process with limits, and walls.

Where bubblewrap (`bwrap`) works, the walls are its: no network, a disk that can be read but not
written, and this repository, the home folder and the other submissions out of sight. Elsewhere
there are the copy and the limits alone.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from exercises.notebooks import COURSE

ROOT = COURSE.parent


def in_sandbox(job: dict, seconds: float, hidden: list[Path]) -> tuple[dict[str, str], str]:
    """Run a job; returns the reason for each check that was reached, and why the others were not."""
    with tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True) as folder:
        place = Path(folder).resolve()
        copy_code(place / "code")
        (place / "work").mkdir()
        process = subprocess.Popen(
            [*walls(place, hidden), sys.executable, "-m", "exercises.worker"], cwd=place / "work",
            env=environment(place), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        late = False
        try:
            output, _ = process.communicate(json.dumps(job), timeout=seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            end_group(process)
        if late:
            output, _ = process.communicate()
    return read_answers(output, f"was stopped after {seconds:g} seconds" if late else
                        f"ended (code {process.returncode})")  # fmt: skip


def read_answers(output: str, how: str) -> tuple[dict[str, str], str]:
    """The worker's lines: the reason for each check, and a sentence for those that are missing."""
    reasons, last = {}, "the set-up"
    for line in output.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue  # the last line of a process that was killed
        if "check" in answer:
            reasons[answer["check"]] = answer["reason"]
        elif "broken" in answer:
            return reasons, answer["broken"]
        else:
            last = answer["begins"]
    return reasons, f"The program {how} in {last}, before this was checked."


def end_group(process: subprocess.Popen) -> None:
    """Kill a process and all that it has started in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def copy_code(target: Path) -> None:
    """What a notebook imports, in a copy that may be damaged; the exercises' sources stay behind."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "minimind_lite", target / "minimind_lite", ignore=ignored)
    for path in [*COURSE.glob("*.py"), *COURSE.glob("questions/*.py")]:
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)


def environment(place: Path) -> dict[str, str]:
    """The variables of the process: nothing of the teacher's but the search path."""
    return {
        "PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(place / "code"), "HOME": str(place / "work"),
        "TMPDIR": str(place / "work"), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def walls(place: Path, hidden: list[Path]) -> list[str]:
    """The command before the command: bubblewrap's, if it works here.

    The whole disk can be read, but this repository, the home folder and the folders `hidden` are
    empty: what is in there could end up in a reason. Python's own folders are put back.
    """
    if not bubblewrap_works():
        return []
    command = ["bwrap", "--unshare-all", "--new-session", "--die-with-parent", "--cap-drop", "ALL",
               "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]  # fmt: skip
    for folder in sorted({path.resolve() for path in (ROOT, Path.home(), *hidden)} - {Path("/")}):
        command += ["--tmpfs", str(folder)]
    site = [folder for folder in sys.path if "site-packages" in folder]
    for folder in dict.fromkeys(
        [sys.base_prefix, sys.prefix, os.path.realpath(sys.prefix), *site, str(place)]
    ):
        command += ["--ro-bind", folder, folder]
    return [
        *command,
        "--bind",
        str(place / "work"),
        str(place / "work"),
        "--chdir",
        str(place / "work"),
        "--",
    ]


@cache
def bubblewrap_works() -> bool:
    """Is bubblewrap installed, and allowed to make its walls here?"""
    if not shutil.which("bwrap"):
        return False
    trial = [
        "bwrap",
        "--unshare-all",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "true",
    ]
    return subprocess.run(trial, capture_output=True).returncode == 0
