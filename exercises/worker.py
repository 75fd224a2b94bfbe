"""Runs one submission's cells and reports on each check: the inside of the sandbox of grade.py.

Reads a job from standard input (JSON: setup, cells, limits), answers with one JSON line a check.
The student's code runs here, so nothing that it prints, raises or redefines may matter: output is
cut, and before every check the set-up and the modules of the checks are made anew.
"""

import importlib
import io
import json
import os
import resource
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from exercises import checks

KEPT = 2000  # characters of a cell's output


class Head(io.TextIOBase):
    """A standard output that keeps nothing but its beginning."""

    def __init__(self):
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text[: KEPT - len(self.text)]
        return len(text)


def limit_resources(memory: int, file_size: int) -> None:
    """No more than so many bytes of memory, or in one file, for this process and its children."""
    for name, value in (("RLIMIT_AS", memory), ("RLIMIT_FSIZE", file_size), ("RLIMIT_CORE", 0)):
        try:
            resource.setrlimit(getattr(resource, name), (value, value))
        except (AttributeError, ValueError, OSError):
            pass  # some systems know no such limit


def modules_of_checks() -> dict[str, CodeType]:
    """The modules that checks are made of, compiled: exercises.checks first, the others import it."""
    here = Path(checks.__file__).parent
    files = [here / "checks.py", here / "questions" / "__init__.py"]
    files += sorted(path for path in here.glob("questions/*.py") if path not in files)
    return {
        ".".join(path.relative_to(here.parent).with_suffix("").parts).removesuffix(".__init__"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec") for path in files
    }  # fmt: skip


def fresh_checks(codes: dict[str, CodeType]) -> None:
    """Put the modules of the checks, as they were before any student's code ran, in their places.

    A module of questions is run again when the set-up imports it: few notebooks need them all.
    """
    for name in codes:
        sys.modules.pop(name, None)
    sys.meta_path[:] = [
        FromMemory(codes),
        *(f for f in sys.meta_path if type(f).__name__ != "FromMemory"),
    ]
    sys.modules["exercises"].checks = importlib.import_module("exercises.checks")
    sys.modules["exercises"].questions = importlib.import_module("exercises.questions")


class FromMemory(MetaPathFinder, Loader):
    """Imports the modules of the checks from memory: their files may be damaged by now."""

    def __init__(self, codes: dict[str, CodeType]):
        self.codes = codes

    def find_spec(self, name, path=None, target=None):
        package = name == "exercises.questions"
        return spec_from_loader(name, self, is_package=package) if name in self.codes else None

    def exec_module(self, module):
        exec(self.codes[module.__name__], module.__dict__)


def run_cell(shell: InteractiveShell, source: str, seconds: float) -> str:
    """Run a cell as a notebook would; returns why it failed, "" if it did not."""
    try:
        with checks.limit(seconds):
            done = shell.run_cell(source, store_history=False)
        error = done.error_before_exec or done.error_in_exec
    except checks.TooLong as late:  # it came while the shell was at work on the cell's end
        error = late
    if error is None:
        return ""
    if type(error).__name__ == "Wrong":
        return str(error)
    return f"{type(error).__name__}: {error}"


def run_job(job: dict, answer) -> None:
    """Run the cells in order; answer(line) is told of every check. A cell: id, source, check."""
    codes = modules_of_checks()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    failed = run_cell(shell, job["setup"], job["cell_seconds"])
    if failed:
        raise RuntimeError(f"the set-up failed: {failed}")
    own = {}  # why a student's own cells failed
    for cell in job["cells"]:
        sys.stdout, sys.stderr = Head(), Head()
        answer({"begins": cell["id"]})
        if cell["check"]:
            fresh_checks(codes)
            run_cell(shell, job["setup"], job["cell_seconds"])
        reason = run_cell(shell, cell["source"], job["cell_seconds"])
        if cell["check"]:
            about = own.get(cell["id"].removeprefix("check-"), "")
            if reason and about:
                reason = f"The cell itself failed with {about} {reason}"
            answer({"check": cell["id"], "reason": reason[:KEPT]})
        else:
            own[cell["id"]] = reason


def main() -> None:
    job = json.load(sys.stdin)
    # The answers get a descriptor of their own; what is written to 1 and 2 goes nowhere.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)

    def answer(line: dict) -> None:
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    limit_resources(job["memory"], job["file_size"])
    try:
        run_job(job, answer)
    except Exception as error:
        answer({"broken": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
