"""Grade a folder of submissions: `python -m exercises.grade FOLDER`, or `make grade SUBMITTED=FOLDER`.

FOLDER/STUDENT/…/NN_name.ipynb, as nbgrader collects them. Of a submission only the student's own
cells are used; set-up and checks come from exercises/source. Each notebook runs by itself in a
sandbox, and what it does there costs its own points only.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from tqdm import tqdm

from exercises.notebooks import SOURCE, exercises_of, grade_id, notebook_paths, read, setup_of
from exercises.sandbox import bubblewrap_works, in_sandbox
from minimind_lite.files import replacing

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
    students = sorted(path for path in submitted.glob("*") if path.is_dir())
    if not students:
        raise FileNotFoundError(
            f"{submitted} holds no submissions: it should have a folder for each student."
        )
    for student in tqdm(students, desc="grading", unit=" students", disable=None):
        for path, row in student_rows(student, sources, submitted, limits):
            yield {"student": student.name, "assignment": path.stem if path else "", **row}


def student_rows(student: Path, sources: dict, submitted: Path, limits: Limits) -> Iterator[tuple]:
    """(path of the notebook or None, row) for all that a student's folder holds."""
    seen = set()
    for path in sorted(student.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        if path.stem not in sources:
            reason = f"{path.name} is not a notebook of this course: was it renamed?"
            yield path, no_points("", 0, reason)
        elif path.stem in seen:
            yield path, no_points("", 0, f"{path.name} is there twice; only the first was graded.")
        else:
            for row in grade_notebook(path, sources[path.stem], submitted, limits):
                yield path, row
        seen.add(path.stem)
    if not seen:
        yield None, no_points("", 0, "There is no notebook in this folder.")


def no_points(exercise: str, of: int, reason: str) -> dict:
    return {"exercise": exercise, "points": 0, "of": of, "reason": reason}


def grade_notebook(path: Path, source: Path, submitted: Path, limits: Limits) -> list[dict]:
    """The rows of one notebook: points and reason for each of its exercises."""
    original = read(source)
    exercises = exercises_of(original)
    try:
        if path.is_symlink() or path.stat().st_size > limits.notebook_size:
            raise ValueError(f"it is a link, or larger than {limits.notebook_size >> 20} MB")
        cells = cells_to_run(original, read(path))
    except Exception as error:  # whatever a file may be that calls itself a notebook
        return [
            no_points(e.name, e.points, f"The file cannot be read as a notebook: {error}.")
            for e in exercises
        ]
    job = {"setup": setup_of(original), "cells": cells, "cell_seconds": limits.cell_seconds,
           "memory": limits.memory, "file_size": limits.file_size}  # fmt: skip
    reasons, end = in_sandbox(job, limits.seconds, hidden=[submitted])
    rows = []
    for exercise in exercises:
        reason = reasons.get(f"check-{exercise.name}", end)
        points = 0 if reason else exercise.points
        rows.append(no_points(exercise.name, exercise.points, reason) | {"points": points})
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
    return cells + [
        {"id": n, "source": ours[n].source, "check": True} for n in sorted(checks - seen)
    ]


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
    parser.add_argument(
        "submitted", type=Path, help="the folder that holds a folder for each student"
    )
    parser.add_argument(
        "--csv", type=Path, default=Path("grades.csv"), help="where the points go (grades.csv)"
    )
    parser.add_argument(
        "--seconds", type=float, default=Limits.seconds, help="time for one notebook"
    )
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
