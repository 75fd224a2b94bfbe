"""Reading and writing so that nothing good is lost, and so that a failure is one sentence.

What is written stands beside its place first and is then moved there: wherever a run is killed,
an unfinished file or directory never takes the place of a whole one.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError


@contextmanager
def explaining(path: Path, safe: str = "what was there before") -> Iterator[None]:
    """Turn a failed write to `path` into one OSError that says what is lost: nothing.

    A file that could not be *read* in the block is another matter; its error passes.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        name = getattr(error, "filename", None)
        if name is not None and not str(name).startswith(str(path)):
            raise
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise OSError(
            f"could not write {path} ({getattr(cause, 'strerror', None) or cause}); {safe} is "
            "untouched. Make room or choose another place, and run again."
        ) from cause


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A name beside `path`, for a file or a directory; it takes the place when the block succeeds.

    Whatever ends the block otherwise, what was there before stays, and nothing else is left.
    Raises OSError, in one sentence, if the disk is full or the place cannot be written to.
    """
    path = Path(path)
    unfinished, old = beside(path, "unfinished"), beside(path, "old")
    settle(path)
    try:
        with explaining(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            remove(unfinished)
            yield unfinished
            for file in [unfinished, *unfinished.glob("*")]:
                if file.is_file():
                    with open(file, "rb") as opened:
                        os.fsync(opened.fileno())  # else a power cut may leave the name without the bytes
            if path.is_dir():  # a file can be replaced in one move, a directory cannot
                remove(old)
                os.replace(path, old)
            os.replace(unfinished, path)
    finally:
        remove(unfinished)
    remove(old)


def settle(path: Path | str) -> Path:
    """The path. If a kill came between the two moves of `replacing`, what was there is put back."""
    path = Path(path)
    if beside(path, "old").exists() and not path.exists():
        os.replace(beside(path, "old"), path)
    return path


def beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def remove(path: Path) -> None:
    """Delete a file or a directory, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_json(path: Path, missing: str = "is this a checkpoint's directory?") -> dict:
    """Load a JSON object. Raises FileNotFoundError or ValueError: the file and the reason."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {missing}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: not valid JSON ({error}). Use another copy.") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} should hold one JSON object.")
    return values


def write_json(path: Path, values: dict) -> None:
    """One readable JSON object, UTF-8, the same bytes on every platform."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
