"""The exercises' checks: right solutions pass, wrong ones fail and are told why, stubs fail.

Solutions are plain Python files in tests/exercises/, one a notebook, in cells:

    # %% NAME right: how it is written
    # %% NAME wrong: what is wrong with it          (the student's own check must say so)
    # %% NAME wrong, hidden: what is wrong with it  (only the hidden part of the check sees it)
    # says: a piece of the message
"""

import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from exercises.checks import Wrong
from exercises.notebooks import (
    Exercise,
    execute,
    exercises_of,
    grade_id,
    notebook_paths,
    read,
    setup_of,
)

HERE = Path(__file__).parent / "exercises"
NOTEBOOKS = {path.stem: path for path in notebook_paths()}


@dataclass
class Solution:
    """One cell of a file of solutions."""

    exercise: str
    kind: str  # "right", "wrong" or "wrong, hidden"
    title: str
    says: list[str]
    source: str


def solutions(stem: str) -> list[Solution]:
    """The cells of a file of solutions. Raises ValueError for a heading that is not understood."""
    _, *parts = re.split(
        r"^# %% (.*)\n", (HERE / f"{stem}.py").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    found = []
    for heading, source in zip(parts[::2], parts[1::2]):
        match = re.fullmatch(r"(\S+) (right|wrong|wrong, hidden): (.+)", heading)
        if not match:
            raise ValueError(
                f"tests/exercises/{stem}.py: this heading is not understood: # %% {heading}"
            )
        says = re.findall(r"^# says: (.+)$", source, re.MULTILINE)
        found.append(Solution(*match.groups(), says, source))
    return found


@cache
def parts(stem: str, stage: str) -> tuple[str, dict[str, Exercise]]:
    """Set-up and exercises of a notebook as they are, or as the student gets them."""
    notebook = read(NOTEBOOKS[stem])
    if stage == "student":
        for preprocessor in (ClearSolutions(), ClearHiddenTests()):
            notebook, _ = preprocessor.preprocess(notebook, {})
    return setup_of(notebook), {exercise.name: exercise for exercise in exercises_of(notebook)}


def message(stem: str, name: str, stage: str, source: str | None = None) -> str:
    """What the check of a stage says to a solution; "" if it passes. None: the cell as it is."""
    setup, exercises = parts(stem, stage)
    namespace = {"__name__": "__main__"}
    execute(setup, namespace, "setup")
    execute(exercises[name].solution if source is None else source, namespace, name)
    try:
        execute(exercises[name].check, namespace, f"check-{name}")
    except Wrong as wrong:
        return str(wrong)
    return ""


EXERCISES = [(stem, name) for stem in NOTEBOOKS for name in parts(stem, "source")[1]]
SOLUTIONS = [(stem, solution) for stem in NOTEBOOKS for solution in solutions(stem)]


@pytest.mark.parametrize("stem, name", EXERCISES, ids=lambda value: str(value))
def test_reference_passes_and_stub_fails(stem, name, capsys):
    assert message(stem, name, "source") == ""
    assert "Right. " in capsys.readouterr().out
    assert "is not written yet" in message(stem, name, "student")


SHORT, LONG, WIDE = 15, 25, 100  # lines of code, and columns
CODE = {
    (stem, grade_id(cell)): cell.source
    for stem, path in NOTEBOOKS.items()
    for cell in read(path).cells
    if cell.cell_type == "code"
}


@pytest.mark.parametrize("stem, cell", CODE, ids=lambda value: str(value))
def test_a_cell_fits_in_a_reading(stem, cell):
    """What is given or solved may take 25 lines; set-up, checks, plugs and all others 15."""
    names = parts(stem, "source")[1]
    lines = [line for line in CODE[stem, cell].splitlines() if line.strip()]
    count = sum(not line.lstrip().startswith("#") for line in lines)
    given = cell in names or cell.startswith(("given", "suspect"))
    most = LONG if given else SHORT
    assert count <= most, f"{stem}, {cell}: {count} lines of code; {most} are the limit"
    wide = [line for line in lines if len(line) > WIDE]
    assert not wide, f"{stem}, {cell}: wider than {WIDE} columns: {wide[0]}"


@pytest.mark.parametrize("stem, name", EXERCISES, ids=lambda value: str(value))
def test_there_are_enough_solutions(stem, name):
    kinds = [
        solution.kind for other, solution in SOLUTIONS if (other, solution.exercise) == (stem, name)
    ]
    assert kinds.count("right") >= 3
    assert len(kinds) - kinds.count("right") >= 6
    assert "wrong, hidden" in kinds, "a solution that knows the visible examples by heart must fail"


@pytest.mark.parametrize(
    "stem, solution",
    SOLUTIONS,
    ids=lambda v: v if isinstance(v, str) else f"{v.exercise}: {v.title}",
)
def test_solution(stem, solution, capsys):
    if solution.kind == "right":
        assert message(stem, solution.exercise, "source", solution.source) == ""
        return
    stage = "source" if "hidden" in solution.kind else "student"
    said = message(stem, solution.exercise, stage, solution.source)
    assert said, "this wrong solution passes"
    assert solution.says and all(fragment in said for fragment in solution.says), said
    if "hidden" in solution.kind:
        assert message(stem, solution.exercise, "student", solution.source) == ""


PAGE = Path(__file__).resolve().parents[1] / "book" / "classroom.md"
CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"


def test_the_walk_in_the_book_works_as_written(capsys):
    walk = PAGE.read_text(encoding="utf-8").split("## A newcomer's walk")[1].split("\n## ")[0]
    blocks = re.findall(r"^   ```(\w+)\n(.*?)^   ```$", walk, re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks].count("text") == 4
    source, stage = parts("03_tokenizer_to_ship", "student")[1]["stream"].solution, "student"
    for language, block in blocks:
        block = textwrap.dedent(block)
        if language == "python":
            source = block
            continue
        reason = message("03_tokenizer_to_ship", "stream", stage, source)
        said = (
            f"Not yet. {reason}\n"
            if reason
            else capsys.readouterr().out.splitlines(keepends=True)[-1]
        )
        assert said == block


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_the_teachers_page_lists_every_exercise(stem):
    tables = PAGE.read_text(encoding="utf-8").split(f"### Notebook {stem[:2]}")
    assert len(tables) == 2, f"book/classroom.md has no section on notebook {stem[:2]}"
    rows = re.findall(r"^\| `([^`]+)` \| (\d+) \|", tables[1].split("\n### ")[0], re.MULTILINE)
    assert rows == [
        (name, str(exercise.points)) for name, exercise in parts(stem, "source")[1].items()
    ]


@pytest.mark.parametrize("stem, name", EXERCISES, ids=lambda value: str(value))
def test_the_chapter_states_the_exercise(stem, name):
    text = "\n".join(cell.source for cell in read(CHAPTERS / f"{stem}.ipynb").cells)
    assert f":label: ex-{stem[:2]}-{name}\n" in text
