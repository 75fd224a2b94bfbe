"""Files with lines that cannot be used: what is left, what is said, how much memory it takes."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from minimind_lite.corpus import read_conversations, read_texts
from minimind_lite.lenient import UsableLines

BAD = ['{"text": "cut sh', "[1, 2]", '{"txt": "misspelt"}', '{"text": 3}', '{"text": "\\ud800"}', "\xff\xfe"]


def write(path, lines):
    path.write_bytes(b"\n".join(line.encode("latin-1" if line == BAD[5] else "utf-8") for line in lines))
    return path


@pytest.mark.parametrize("seed", range(5))
def test_what_is_good_is_yielded_and_what_is_bad_is_counted(tmp_path, seed):
    draw = random.Random(seed)
    lines, good, bad = [], [], []
    for number in range(1, 60):
        kind = draw.choice(["good", "bad", "blank"])
        lines.append("" if kind == "blank" else draw.choice(BAD) if kind == "bad" else f'{{"text": "行 {number}"}}')
        bad += [number] * (kind == "bad")
        good += [f"行 {number}"] * (kind == "good")
    rows = UsableLines(read_texts, write(tmp_path / "a.jsonl", lines))
    for _ in range(2):  # and once more from the beginning
        assert list(rows) == good
        assert (rows.used, rows.left_out) == (len(good), len(bad))
        assert rows.first.startswith(f"line {bad[0]}: ")
    with pytest.raises(ValueError, match=f"line {bad[0]}: "):
        list(read_texts(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_the_last_line_may_be_bad(tmp_path, ending):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": ' + ending)
    rows = UsableLines(read_texts, tmp_path / "a.jsonl")
    assert list(rows) == ["a"] and rows.left_out == 1


def test_a_file_of_another_kind_is_an_error(tmp_path):
    path = write(tmp_path / "a.jsonl", ['{"conversations": []}'] * 5)
    with pytest.raises(ValueError, match="a.jsonl: no line can be used. 5 lines of .*line 1: a string under"):
        list(UsableLines(read_texts, path))
    with pytest.raises(ValueError, match="no line can be used"):
        list(UsableLines(read_texts, write(tmp_path / "empty.jsonl", [])))
    with pytest.raises(FileNotFoundError):
        list(UsableLines(read_texts, tmp_path / "none.jsonl"))


def test_chats_with_tools_are_left_out_and_the_others_kept(tmp_path):
    """The shapes of MiniMind's public chats."""
    plain = {"conversations": [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好！"}]}
    empty = {"conversations": [m | {"reasoning_content": "", "tools": None} for m in plain["conversations"]]}
    tool = {"conversations": [
        {"role": "system", "content": "# Tools", "tools": "[...]"}, {"role": "user", "content": "6 x 7?"},
        {"role": "assistant", "content": "", "tool_calls": '[{"name": "calculate"}]'},
        {"role": "tool", "content": "42"}, {"role": "assistant", "content": "42."},
    ]}  # fmt: skip
    path = write(tmp_path / "a.jsonl", [json.dumps(each) for each in (plain, tool, empty, tool)])
    rows = UsableLines(read_conversations, path)
    assert list(rows) == [plain["conversations"]] * 2 and rows.left_out == 2
    assert rows.first.startswith("line 2: message 1 has tools")


MEMORY = """
import sys
from minimind_lite.corpus import read_texts
from minimind_lite.data import TokenDataset, document_samples
from minimind_lite.lenient import UsableLines
from minimind_lite.tokenizer import Tokenizer
from process_memory import highest
tokenizer = Tokenizer.from_pretrained(sys.argv[1])
def memory(path):
    rows = UsableLines(read_texts, path)
    TokenDataset.write(path + ".tokens", document_samples(tokenizer, rows, 256))
    return rows.used, rows.left_out, highest()
print(*memory(sys.argv[2]), *memory(sys.argv[3]))
"""


def test_tokenizing_a_long_file_takes_the_memory_of_a_short_one(tmp_path):
    """Twice the lines, one in a thousand of them bad; in a process that does nothing else.

    The short file is long enough to fill the tokenizer's memory of words. What grows is 16 bytes a
    sample, for its length and its place.
    """
    from minimind_lite.tokenizer import Tokenizer

    Tokenizer.train(["The fox had a red kite. 狐狸有一只红风筝。"], 300).save_pretrained(tmp_path / "t")
    for name, count in (("short", 40_000), ("long", 80_000)):
        with open(tmp_path / name, "w", encoding="utf-8") as file:
            for i in range(count):
                file.write('{"text": "cut\n' if i % 1000 == 7 else f'{{"text": "{i}: the fox had a red kite; 狐狸有一只红风筝。"}}\n')
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", MEMORY, tmp_path / "t", tmp_path / "short", tmp_path / "long"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    few, few_bad, before, many, many_bad, after = map(int, done.stdout.split())
    assert (few, few_bad, many, many_bad) == (39_960, 40, 79_920, 80)
    more = (tmp_path / "long").stat().st_size - (tmp_path / "short").stat().st_size
    assert more > 2_000_000 and after - before < more / 2
