"""Grade a folder of submissions: `python -m exercises.grade FOLDER`, or `make grade SUBMITTED=FOLDER`.

FOLDER/STUDENT/…/NN_name.ipynb, as nbgrader collects them. Of a submission only the student's own
cells are used; set-up and checks come from exercises/source. Every notebook runs in a throwaway
copy, in a process of its own with limits on time and memory, and where bubblewrap (`bwrap`) works,
without network, with the rest of the disk read-only and the solutions out of sight.
"""

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nbformat import NotebookNode
from tqdm import tqdm

from exercises.notebooks import COURSE, SOURCE, exercises_of, grade_id, notebook_paths, read, setup_of
from minimind_lite.files import replacing

ROOT = COURSE.parent
COLUMNS = ("student", "assignment", "exercise", "points", "of", "reason")


@dataclass(frozen=True)
class Limits:
    """What one submitted notebook may use."""

    cell_seconds: float = 20.0
    seconds: float = 240.0  # for all of its cells
    memory: int = 4 << 30  # bytes of address space; torch alone maps more than 1 GB
    file_size: int = 16 << 20  # bytes in one file
    notebook_size: int = 8 << 20  # bytes of the submitted file


def grade(submitted: Path, source: Path = SOURCE, limits: Limits = Limits()) -> Iterator[dict]:
    """One row for each exercise of each submission, students in alphabetical order.

    Raises FileNotFoundError if the folder is not there or holds no student's folder.
    """
    submitted, sources = Path(submitted), {path.stem: path for path in notebook_paths(source)}
    students = sorted(path for path in submitted.glob("*") if path.is_dir()) if submitted.is_dir() else []
    if not students:
        raise FileNotFoundError(f"{submitted} holds no submissions: it should have a folder for each student.")
    for student in tqdm(students, desc="grading", unit=" students", disable=None):
        seen = set()
        for path in sorted(student.rglob("*.ipynb")):
            if ".ipynb_checkpoints" in path.parts:
                continue
            first = path.stem in sources and path.stem not in seen
            seen.add(path.stem)
            for row in grade_notebook(path, sources[path.stem], submitted, limits) if first else [no_row(path, sources)]:
                yield {"student": student.name, "assignment": path.stem, **row}
        if not seen:
            yield {"student": student.name, "assignment": "", **no_points("", 0, "There is no notebook in this folder.")}


def no_points(exercise: str, of: int, reason: str) -> dict:
    return {"exercise": exercise, "points": 0, "of": of, "reason": reason}


def no_row(path: Path, sources: dict) -> dict:
    """The row of a file that is not graded."""
    if path.stem in sources:
        return no_points("", 0, f"{path.name} is there twice; only the first was graded.")
    return no_points("", 0, f"{path.name} is not a notebook of this course: was it renamed?")


def grade_notebook(path: Path, source: Path, submitted: Path, limits: Limits) -> list[dict]:
    """The rows of one notebook: points and reason for each of its exercises."""
    original = read(source)
    exercises = exercises_of(original)
    try:
        if path.is_symlink() or path.stat().st_size > limits.notebook_size:
            raise ValueError(f"it is a link, or larger than {limits.notebook_size >> 20} MB")
        cells = cells_to_run(original, read(path))
    except Exception as error:  # whatever a file may be that calls itself a notebook
        return [no_points(e.name, e.points, f"The file cannot be read as a notebook: {error}.") for e in exercises]
    job = {"setup": setup_of(original), "cells": cells, "cell_seconds": limits.cell_seconds,
           "memory": limits.memory, "file_size": limits.file_size}  # fmt: skip
    reasons, end = in_sandbox(job, limits.seconds, hidden=[submitted])
    rows = []
    for exercise in exercises:
        reason = reasons.get(f"check-{exercise.name}", end)
        rows.append(no_points(exercise.name, exercise.points, reason) if reason else
                    no_points(exercise.name, exercise.points, "") | {"points": exercise.points})  # fmt: skip
    return rows


def cells_to_run(original: NotebookNode, submission: NotebookNode) -> list[dict]:
    """The student's cells and the original checks, in the submission's order.

    Set-up, plugs and a second cell of the same name are not run; cells that the student added are;
    a check that was deleted comes at the end.
    """
    ours = {grade_id(cell): cell for cell in original.cells if cell.cell_type == "code"}
    checks = {f"check-{exercise.name}" for exercise in exercises_of(original)}
    cells, seen = [], set()
    for number, cell in enumerate(submission.cells):
        if cell.cell_type != "code":
            continue
        name = grade_id(cell) if grade_id(cell) in ours else cell.get("id", "")
        if name in seen or name not in ours:
            name = f"cell {number}"  # added by the student, or copied
        seen.add(name)
        if name in checks:
            cells.append({"id": name, "source": ours[name].source, "check": True})
        elif name not in ours or ours[name].metadata.nbgrader.solution:
            cells.append({"id": name, "source": cell.source, "check": False})
    return cells + [{"id": n, "source": ours[n].source, "check": True} for n in sorted(checks - seen)]


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
    (target / "exercises").mkdir()
    for path in COURSE.glob("*.py"):
        shutil.copy(path, target / "exercises")


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
    for folder in dict.fromkeys([sys.base_prefix, sys.prefix, os.path.realpath(sys.prefix), *site, str(place)]):
        command += ["--ro-bind", folder, folder]
    return [*command, "--bind", str(place / "work"), str(place / "work"), "--chdir", str(place / "work"), "--"]


@cache
def bubblewrap_works() -> bool:
    """Is bubblewrap installed, and allowed to make its walls here?"""
    if not shutil.which("bwrap"):
        return False
    trial = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]
    return subprocess.run(trial, capture_output=True).returncode == 0


def write_csv(path: Path, rows: list[dict]) -> None:
    """Rows as CSV; no cell can be taken for a formula, and a reason is one line."""
    def plain(value):
        text = " ".join(str(value).split())
        return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text

    with replacing(path) as unfinished, open(unfinished, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({name: plain(row[name]) for name in COLUMNS} for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("submitted", type=Path, help="the folder that holds a folder for each student")
    parser.add_argument("--csv", type=Path, default=Path("grades.csv"), help="where the points go (grades.csv)")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="time for one notebook")
    arguments = parser.parse_args()
    if not bubblewrap_works():
        print("bubblewrap (bwrap) is not installed or may not run here: submissions run in a copy and with "
              "limits, but they can see the network and write elsewhere on the disk.", file=sys.stderr)  # fmt: skip
    try:
        rows = list(grade(arguments.submitted, limits=Limits(seconds=arguments.seconds)))
        write_csv(arguments.csv, rows)
    except OSError as error:
        sys.exit(str(error))
    totals = {}
    for row in rows:
        points, of = totals.get((row["student"], row["assignment"]), (0, 0))
        totals[row["student"], row["assignment"]] = points + row["points"], of + row["of"]
    for (student, assignment), (points, of) in totals.items():
        print(f"{student:24} {assignment:32} {points:3} of {of}")
    print(f"points and reasons: {arguments.csv}")


if __name__ == "__main__":
    main()
