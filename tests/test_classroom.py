"""Releasing and grading: the round trip, and submissions that misbehave."""

import csv
import os
import shutil
import socket
import threading
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from exercises import grade as grading
from exercises import sandbox
from exercises.notebooks import COURSE, exercises_of, grade_id, read
from exercises.release import begin_work, course_config, leaks, release

SETUP = "from exercises.checks import expect, right, run, same, show_call"
DOUBLE = """def double(number):
    ### BEGIN SOLUTION
    return number + number
    ### END SOLUTION"""
CHECK_DOUBLE = """same(run(double, 2, seconds=0.5), 4, show_call(double, 2), "Twice two is four.")
### BEGIN HIDDEN TESTS
same(run(double, 3, seconds=0.5), 6, show_call(double, 3), "Twice three is six.")
### END HIDDEN TESTS
right("Twice as much.")"""
GREET = """def greet(name):
    ### BEGIN SOLUTION
    return f"Hello, {name}!"
    ### END SOLUTION"""
CHECK_GREET = """same(run(greet, "Nora"), "Hello, Nora!", show_call(greet, "Nora"), "A greeting names someone.")
right("Polite.")"""


def tiny_notebook():
    """Two exercises without torch, so that a process starts in a moment."""

    def cell(make, name, source, points=None, solution=False):
        mark = {"schema_version": 3, "grade_id": name, "grade": points is not None, "solution": solution,
                "locked": not solution, "task": False} | ({"points": points} if points else {})  # fmt: skip
        made = make(source, metadata={"nbgrader": mark})
        made.id = name
        return made

    return new_notebook(cells=[
        cell(new_code_cell, "setup", SETUP),
        cell(new_markdown_cell, "about-double", "Double a number."),
        cell(new_code_cell, "double", DOUBLE, solution=True),
        cell(new_code_cell, "check-double", CHECK_DOUBLE, points=2),
        cell(new_code_cell, "plug-double", "raise RuntimeError('a plug is never graded')"),
        cell(new_markdown_cell, "about-greet", "Greet."),
        cell(new_code_cell, "greet", GREET, solution=True),
        cell(new_code_cell, "check-greet", CHECK_GREET, points=3),
        cell(new_code_cell, "plug-greet", "print(greet('you'))"),
    ])  # fmt: skip


@pytest.fixture
def course(tmp_path):
    """A course's folder with the tiny notebook as its one assignment."""
    (tmp_path / "course" / "source" / "tiny").mkdir(parents=True)
    nbformat.write(tiny_notebook(), tmp_path / "course" / "source" / "tiny" / "tiny.ipynb")
    return tmp_path / "course"


def hand_in(folder: Path, student: str, notebook, **sources) -> None:
    """Write a student's notebook, with other sources in some cells."""
    name = "tiny" if len(notebook.cells) < 12 else "03_tokenizer_to_ship"
    notebook = nbformat.from_dict(notebook)
    for cell in notebook.cells:
        cell.source = sources.get(grade_id(cell).replace("-", "_"), cell.source)
    path = folder / student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)


def graded(course: Path, folder: Path, **limits) -> dict:
    """{student: {exercise: (points, reason)}}"""
    found = {}
    for row in grading.grade(folder, course / "source", grading.Limits(**limits)):
        found.setdefault(row["student"], {})[row["exercise"]] = (row["points"], row["reason"])
    return found


GOOD = {
    "double": "double = lambda n: 2 * n",
    "greet": "def greet(who):\n    return 'Hello, ' + who + '!'",
}
FULL = {"double": (2, ""), "greet": (3, "")}


def test_round_trip_from_release_to_csv(tmp_path):
    name = "03_tokenizer_to_ship"
    shutil.copytree(COURSE / "source" / name, tmp_path / "course" / "source" / name)
    (path,) = release(tmp_path / "course")
    solutions = {
        e.name: e.solution for e in exercises_of(read(COURSE / "source" / name / f"{name}.ipynb"))
    }
    hand_in(tmp_path / "in", "good", read(path), **solutions)
    bad = {
        "space": "def repaired(decoded):\n    return decoded.lstrip()",
        "stream": "def whole_characters(:",
    }
    hand_in(tmp_path / "in", "bad", read(path), **bad)
    forge = (
        "import pathlib\n"
        "import exercises.questions.tokenizer_to_ship as questions\n"
        "for name in [name for name in dir(questions) if name[0] != '_']:\n"
        "    setattr(questions, name, lambda *anything, **more: True)\n"
        "pathlib.Path(questions.__file__).write_text('')\n"
    )
    hand_in(tmp_path / "in", "forger", read(path), **bad | {"space": forge + bad["space"]})
    grading.write_csv(tmp_path / "grades.csv", list(grading.grade(tmp_path / "in")))
    with open(tmp_path / "grades.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(solutions) and {row["assignment"] for row in rows} == {name}
    reasons, forged = (
        {row["exercise"]: row["reason"] for row in rows if row["student"] == student}
        for student in ("bad", "forger")
    )
    assert forged == reasons
    for row in rows:
        assert row["points"] == (row["of"] if row["student"] == "good" else "0"), row
        assert bool(row["reason"]) == (row["student"] != "good")
    assert "You took all white space in front" in reasons["space"]
    assert "SyntaxError" in reasons["stream"]
    assert "is not written yet" in reasons["heal"]


def test_submissions_that_misbehave_cost_their_own_points_only(course, tmp_path):
    source = tiny_notebook()
    precious = tmp_path / "precious.txt"
    precious.write_text("do not delete")
    delete = (
        "import shutil, pathlib, exercises, os\n"
        "for folder in (pathlib.Path(exercises.__file__).parent, pathlib.Path.cwd()):\n"
        "    shutil.rmtree(folder, ignore_errors=True)\n"
    )
    cheat = (
        "import sys, types, exercises.checks\n"
        "def same(*a, **k): pass\n"
        "expect = right = same\n"
        "def run(*a, **k): return 4\n"
        "exercises.checks.same = exercises.checks.run = same\n"
        "exercises.checks.Wrong = type('Wrong', (Exception,), {})\n"
        "def double(number):\n    return 0\n"
    )
    everyone = tmp_path / "in"
    hand_in(everyone, "a good one", source, **GOOD)
    hand_in(everyone, "deletes", source, **GOOD | {"double": delete + GOOD["double"]})
    hand_in(everyone, "edits the checks", source, double="def double(n): return 0", check_double="print('Right.')",
            setup="def same(*a): pass", greet=GOOD["greet"])  # fmt: skip
    hand_in(everyone, "exits", source, **GOOD | {"greet": "import os; os._exit(0)"})
    hand_in(
        everyone,
        "hogs",
        source,
        **GOOD | {"double": "def double(n):\n    return len(bytearray(1 << 36))"},
    )
    hand_in(everyone, "loops", source, **GOOD | {"double": "def double(n):\n    while True: pass"})
    hand_in(
        everyone, "prints", source, **GOOD | {"double": "print('x' * 10**6)\n" + GOOD["double"]}
    )
    hand_in(everyone, "redefines", source, **GOOD | {"double": cheat})
    hand_in(everyone, "z good one", source, **GOOD)
    found = graded(course, everyone, cell_seconds=60.0)
    assert found["a good one"] == found["z good one"] == found["prints"] == FULL
    assert found["deletes"]["greet"] == (3, "")
    assert (
        precious.read_text()
        and (COURSE / "checks.py").is_file()
        and len(list(everyone.iterdir())) == 9
    )
    expected = {
        "edits the checks": "Twice two is four", "hogs": "MemoryError", "loops": "had not returned after 0.5 seconds",
        "redefines": "Twice two is four",
    }  # fmt: skip
    for student, fragment in expected.items():
        points, reason = found[student]["double"]
        assert points == 0 and fragment in reason, (student, reason)
        assert found[student]["greet"] == (3, ""), student
    assert found["exits"]["double"] == (2, "")
    assert (
        found["exits"]["greet"][0] == 0 and "ended (code 0) in greet" in found["exits"]["greet"][1]
    )


def test_a_loop_that_turns_the_alarm_off_is_killed(course, tmp_path):
    stubborn = "def double(n):\n    import signal\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True: pass"
    hand_in(tmp_path / "in", "stubborn", tiny_notebook(), **GOOD | {"double": stubborn})
    points, reason = graded(course, tmp_path / "in", seconds=4.0)["stubborn"]["double"]
    assert points == 0 and "was stopped after 4 seconds" in reason


def test_files_that_are_no_submissions(course, tmp_path):
    folder = tmp_path / "in"
    for student in ("broken", "empty", "renamed"):
        (folder / student / "tiny").mkdir(parents=True)
    (folder / "broken" / "tiny" / "tiny.ipynb").write_text("{")
    (folder / "renamed" / "tiny" / "tiny (1).ipynb").write_text("{}")
    found = graded(course, folder)
    assert "cannot be read as a notebook" in found["broken"]["double"][1]
    assert "There is no notebook" in found["empty"][""][1]
    assert "was it renamed?" in found["renamed"][""][1]
    with pytest.raises(FileNotFoundError, match="a folder for each student"):
        list(grading.grade(tmp_path / "nowhere"))


def test_a_deleted_check_is_run_and_a_copied_cell_does_not_count_twice(course):
    notebook = tiny_notebook()
    notebook.cells = [cell for cell in notebook.cells if grade_id(cell) != "check-double"]
    notebook.cells.append(nbformat.from_dict(notebook.cells[2]))
    cells = grading.cells_to_run(tiny_notebook(), notebook)
    assert [cell["id"] for cell in cells] == [
        "double",
        "greet",
        "check-greet",
        "cell 8",
        "check-double",
    ]
    assert [cell["check"] for cell in cells] == [False, False, True, False, True]


@pytest.mark.skipif(
    not sandbox.bubblewrap_works(), reason="bubblewrap is not installed or may not run here"
)
def test_inside_the_walls(course, tmp_path):
    """No network, nothing else on the disk can be written; solutions, other people's work and home are out of sight."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=server.accept, daemon=True).start()
    outside = tmp_path / "outside.txt"
    outside.write_text("kept")
    calls = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)"
    hand_in(tmp_path / "in", "calls", tiny_notebook(), **GOOD | {"double": calls})
    hand_in(
        tmp_path / "in",
        "writes",
        tiny_notebook(),
        **GOOD | {"double": f"open({str(outside)!r}, 'w').write('x')"},
    )
    secrets = [str(COURSE / "source"), str(tmp_path / "in" / "calls"), str(Path.home() / ".ssh")]
    peeks = f"import os; assert not any(map(os.path.exists, {secrets})), 'seen'\n" + GOOD["double"]
    hand_in(tmp_path / "in", "peeks", tiny_notebook(), **GOOD | {"double": peeks})
    found = graded(course, tmp_path / "in")
    assert "Error" in found["calls"]["double"][1] and "NameError" in found["calls"]["double"][1]
    assert "Read-only file system" in found["writes"]["double"][1] and outside.read_text() == "kept"
    assert found["peeks"] == FULL


def test_csv_is_one_line_a_row_and_never_a_formula(tmp_path):
    row = dict.fromkeys(grading.COLUMNS, 0) | {
        "student": "=HYPERLINK()",
        "reason": "two\nlines, 你好",
    }
    grading.write_csv(tmp_path / "grades.csv", [row])
    text = (tmp_path / "grades.csv").read_text(encoding="utf-8")
    assert text.splitlines()[1:] == ['\'=HYPERLINK(),0,0,0,0,"two lines, 你好"']


def test_a_leak_is_found():
    source = tiny_notebook()
    assert any(
        "a line of double is left: return number + number" in leak for leak in leaks(source, source)
    )
    assert any("mark BEGIN" in leak for leak in leaks(source, source))
    told = tiny_notebook()
    for cell in told.cells:
        cell.source = (
            "### nothing" if "SOLUTION" in cell.source or "HIDDEN" in cell.source else cell.source
        )
    assert leaks(source, told) == []
    told.cells[
        1
    ].source = (
        '    same(run(double, 3, seconds=0.5), 6, show_call(double, 3), "Twice three is six.")'
    )
    assert leaks(source, told) == [
        f"a line of check-double is left: {told.cells[1].source.strip()}"
    ]
    source.cells[2].source = "def double(number):\n    return 2 * number"
    assert "the solution double has no marks, so all of it would stay" in leaks(source, source)


def test_work_that_was_begun_is_never_overwritten(course):
    released = release(course)
    (mine,) = begin_work(released, course / "work")
    mine.write_text("my work")
    assert begin_work(released, course / "work") == []
    assert mine.read_text() == "my work" and mine.parent.name == "tiny"


def test_nbgrader_grades_it_as_it_is(course, tmp_path):
    """What formgrader's buttons call: release, autograde, and the points in the gradebook."""
    from nbgrader.apps import NbGraderAPI

    release(course)
    hand_in(
        course / "submitted",
        "nora",
        read(course / "release" / "tiny" / "tiny.ipynb"),
        double=GOOD["double"],
    )
    api = NbGraderAPI(config=course_config(course))
    done = api.autograde("tiny", "nora", force=True, create=True)
    assert done["success"], done
    (entry,) = api.get_assignments()
    assert (entry["name"], entry["num_submissions"], entry["max_code_score"]) == ("tiny", 1, 5)
    (submission,) = api.get_submissions("tiny")
    assert (submission["student"], submission["code_score"]) == ("nora", 2)
    text = (course / "autograded" / "nora" / "tiny" / "tiny.ipynb").read_text(encoding="utf-8")
    assert (
        "greet is not written yet" in text
        and "a plug is never graded" in text
        and "RuntimeError:" not in text
    )
