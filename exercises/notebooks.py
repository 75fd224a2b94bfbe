"""Reading exercise notebooks: which cells belong to which exercise, and running them in process.

A notebook is a course unit of nbgrader. The cells of the exercise `name` have the grade ids
`about-name` (the statement), `name` (the student's code), `check-name` (the check) and `plug-name`
(what the function does in the real model; tagged `plug`, never run when grading). Every other
code cell is set-up, shared by all exercises of the notebook.
"""

from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

COURSE = Path(__file__).resolve().parent
SOURCE = COURSE / "source"
PLUG = "plug"  # the tag of a cell that plugs a function into the real model


@dataclass
class Exercise:
    """One exercise of a notebook: the source of each of its cells, and what it is worth."""

    name: str
    points: int
    about: str
    solution: str
    check: str
    plug: str


def notebook_paths(folder: Path = SOURCE) -> list[Path]:
    """The notebooks of a course folder in reading order: NN_name/NN_name.ipynb."""
    return sorted(path for path in folder.glob("*/*.ipynb") if path.stem == path.parent.name)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def grade_id(cell: NotebookNode) -> str:
    """A cell's name in nbgrader's gradebook; "" for a cell that nbgrader does not know."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def exercises_of(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a notebook, in order. Raises KeyError, naming it, if a cell is missing."""
    cells = {grade_id(cell): cell for cell in notebook.cells}
    return [
        Exercise(
            name, cells[f"check-{name}"].metadata.nbgrader.points,
            *(cells[f"{part}{name}"].source for part in ("about-", "", "check-", "plug-")),
        )
        for name, cell in cells.items() if name and cell.metadata.nbgrader.solution
    ]  # fmt: skip


def setup_of(notebook: NotebookNode) -> str:
    """The source of the set-up cells, one text."""
    names = {exercise.name for exercise in exercises_of(notebook)}
    belongs = names | {f"{part}-{name}" for name in names for part in ("check", "plug")}
    cells = (c for c in notebook.cells if c.cell_type == "code" and grade_id(c) not in belongs)
    return "\n\n".join(cell.source for cell in cells)


def execute(source: str, namespace: dict, name: str) -> None:
    """Run a cell's source; `name` stands for its file in tracebacks."""
    exec(compile(source, f"<{name}>", "exec"), namespace)
