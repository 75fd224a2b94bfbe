"""Run the cells that put a solution into the real model: `python -m exercises.plugs [NN …]`, or `make plugs`.

Grading skips these cells and so do the quick tests, because they load trained models and draw.
"""

import sys
import time
from pathlib import Path

import matplotlib
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from exercises.notebooks import exercises_of, notebook_paths, read, setup_of


def run_plugs(path: Path) -> list[str]:
    """Run the plugs of one notebook after its solutions; returns what failed, a line each."""
    notebook, failed = read(path), []
    for exercise in exercises_of(notebook):
        InteractiveShell.clear_instance()
        shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
        for source in (setup_of(notebook), exercise.solution):
            shell.run_cell(source).raise_error()
        began = time.perf_counter()
        print(f"\n--- {path.stem}: {exercise.name}")
        done = shell.run_cell(exercise.plug)
        print(f"--- {time.perf_counter() - began:.1f} s")
        if not done.success:
            failed.append(
                f"{path.stem}, plug-{exercise.name}: {done.error_before_exec or done.error_in_exec}"
            )
    return failed


def main() -> None:
    matplotlib.use("Agg")
    wanted = sys.argv[1:]
    failed = [
        line for path in notebook_paths() if not wanted or path.stem[:2] in wanted for line in run_plugs(path)
    ]  # fmt: skip
    print("\n".join(failed) or "all plugs ran")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
