"""Run one chapter from top to bottom and tidy the result: execute.py SOURCE.ipynb DEST.ipynb

The chapter runs in chapters/, in a fresh kernel. SOURCE and DEST may be the same file. A cell
that raises stops everything: DEST is then left as it was, and cell and error are printed.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

TIMEOUT = 3600  # seconds for one cell


def is_progress_bar(output: nbformat.NotebookNode) -> bool:
    """tqdm writes to stderr and returns to the line's start; its bars are no result."""
    text = output.get("text", "")
    return output.get("name") == "stderr" and ("\r" in text or "it/s" in text)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Keep what depends on the chapter; drop what depends on the day or the machine."""
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    })  # fmt: skip
    count = 0
    for cell in notebook.cells:
        for key in ("execution", "widgets", "collapsed", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if not is_progress_bar(output)]
        cell.execution_count = None
        if cell.source.strip():
            count += 1
            cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count


def execute(source: Path, destination: Path) -> None:
    notebook = nbformat.read(source, as_version=4)
    kept = [cell.get("id") for cell in notebook.cells]
    os.environ["TQDM_DISABLE"] = "1"  # no progress bars in stored outputs
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", coalesce_streams=True,
        record_timing=False, resources={"metadata": {"path": str(source.parent)}},
    )  # fmt: skip
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError) as error:
        failed = [i for i, cell in enumerate(notebook.cells) if cell.get("execution_count")]
        sys.exit(f"{source}: cell {failed[-1] + 1 if failed else 1} of {len(kept)} failed.\n{error}")
    tidy(notebook)
    assert [cell.get("id") for cell in notebook.cells] == kept
    destination.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, destination)


if __name__ == "__main__":
    print(f"{Path(sys.argv[1]).stem} ...", flush=True)
    execute(Path(sys.argv[1]), Path(sys.argv[2]))
