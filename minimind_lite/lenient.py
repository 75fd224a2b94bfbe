"""Reading a JSONL file past the lines that cannot be used: counted and named, never in silence."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path


class UsableLines:
    """What `read` (corpus.read_texts or read_conversations) yields, without the lines it refuses.

    One line is in memory at a time. Afterwards `left_out` says how many lines were refused and
    `first` which came first, and why. Raises ValueError, as `read` does, if no line is left.
    """

    def __init__(self, read: Callable, path: Path | str):
        self.read, self.path = read, path
        self.used, self.left_out, self.first = 0, 0, None

    def __iter__(self) -> Iterator:
        self.used, self.left_out, self.first = 0, 0, None
        before = 0  # lines before the place where `read` was put last; it numbers from there
        with open(self.path, "rb") as lines:
            while True:
                rest = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
                os.lseek(rest, lines.tell(), os.SEEK_SET)
                try:
                    for row in self.read(rest):  # closes it
                        self.used += 1
                        yield row
                    return
                except ValueError as error:
                    refused = re.fullmatch(r"\d+, line (\d+): (.*)", str(error), re.DOTALL)
                    if refused is None:  # the file, or what is left of it, holds nothing
                        if not self.used:
                            raise ValueError(f"{self.path}: no line can be used. {self}") from error
                        return
                for _ in range(int(refused[1])):
                    lines.readline()
                before += int(refused[1])
                self.left_out += 1
                self.first = self.first or f"line {before}: {refused[2]}"

    def __str__(self):
        first = "." if self.first is None else f"; the first was {self.first}"
        return f"{self.left_out:,} lines of {self.path} were left out{first}"
