"""Make the student versions: `python -m exercises.release`, or `make assignments`.

nbgrader takes the solutions and the hidden checks out; what it wrote is then searched for what it
should have taken out, and a version in which anything is left is deleted.
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbgrader.apps import NbGraderAPI
from traitlets.config.loader import PyFileConfigLoader

from exercises.notebooks import COURSE, grade_id, notebook_paths, read

REGIONS = ("SOLUTION", "HIDDEN TESTS")


def course_config(course: Path):
    """nbgrader's configuration for a course folder: the file in it, and its place."""
    config = PyFileConfigLoader("nbgrader_config.py", path=str(COURSE)).load_config()
    config.CourseDirectory.root = str(course)
    config.Application.log_level = "ERROR"
    return config


def begin_work(released: list[Path], work: Path) -> list[Path]:
    """Copy the students' notebooks to a folder to work in, those that are not there yet."""
    begun = []
    for path in released:
        target = work / path.parent.name / path.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            begun.append(target)
    return begun


def find_tools() -> None:
    """Let nbgrader find the programs that it calls, which stand beside Python, activated or not."""
    beside = str(Path(sys.executable).parent)
    if beside not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = beside + os.pathsep + os.environ.get("PATH", "")


def release(course: Path = COURSE, names: list[str] | None = None) -> list[Path]:
    """Make course/release from course/source with nbgrader; returns the student's notebooks.

    Raises ValueError, naming the cell, if nbgrader fails or if anything of a solution is left.
    """
    find_tools()
    api = NbGraderAPI(config=course_config(course))
    paths = []
    for source in notebook_paths(course / "source"):
        if names and source.stem not in names:
            continue
        done = api.generate_assignment(source.stem, force=True, create=True)
        if not done["success"]:
            raise ValueError(
                f"nbgrader could not release {source.stem}: {done.get('error') or done['log']}"
            )
        released = course / "release" / source.stem / source.name
        found = leaks(read(source), read(released))
        if found:
            shutil.rmtree(released.parent)
            raise ValueError(f"{source.stem} was not released: " + "; ".join(found))
        paths.append(released)
    return paths


def regions(source: str, name: str) -> list[str]:
    """What stands between the marks BEGIN name and END name of a cell."""
    return re.findall(
        rf"^\s*### BEGIN {name}\n(.*?)^\s*### END {name}", source, re.DOTALL | re.MULTILINE
    )


def leaks(source: nbformat.NotebookNode, released: nbformat.NotebookNode) -> list[str]:
    """What a student's version tells that it should not, a sentence each; [] is the proof.

    A line of a solution or of a hidden check must not occur anywhere, outputs included, unless the
    student is given that very line outside the marks as well.
    """
    secret = {
        (grade_id(cell), line.strip())
        for cell in source.cells for name in REGIONS for region in regions(cell.source, name)
        for line in region.splitlines() if len(line.strip()) > 3
    }  # fmt: skip
    shown = {line.strip() for cell in source.cells for line in outside(cell.source).splitlines()}
    text = nbformat.writes(released)
    told = {line.strip() for cell in released.cells for line in cell.source.splitlines()}
    found = [
        f"a line of {name} is left: {line}" for name, line in sorted(secret) if line in told - shown
    ]
    found += [f"the mark {mark} is left" for mark in ("BEGIN", "END") if f"### {mark} " in text]
    found += [
        f"cell {grade_id(cell)} has outputs" for cell in released.cells if cell.get("outputs")
    ]
    for cell in source.cells:
        solution = cell.metadata.get("nbgrader", {}).get("solution")
        if solution and not regions(cell.source, "SOLUTION"):
            found.append(f"the solution {grade_id(cell)} has no marks, so all of it would stay")
    return found


def outside(source: str) -> str:
    """A cell without its marked regions."""
    for name in REGIONS:
        source = re.sub(
            rf"^\s*### BEGIN {name}\n.*?^\s*### END {name}",
            "",
            source,
            flags=re.DOTALL | re.MULTILINE,
        )
    return source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="which notebooks; all of them if none is named")
    parser.add_argument(
        "--work", action="store_true", help="copy those that are not there yet to exercises/work"
    )
    arguments = parser.parse_args()
    try:
        paths = release(COURSE, arguments.names)
    except ValueError as error:
        sys.exit(str(error))
    for path in paths:
        print(f"no solution and no hidden check left: {path.relative_to(COURSE.parent)}")
    if not paths:
        sys.exit("No notebook of that name in exercises/source.")
    if arguments.work:
        begun = begin_work(paths, COURSE / "work")
        print(
            f"exercises/work: {len(begun)} notebooks are new, {len(paths) - len(begun)} were there and stay as they are"
        )


if __name__ == "__main__":
    main()
