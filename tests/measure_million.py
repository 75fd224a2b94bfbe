"""A JSONL file of a million lines, one in ten thousand broken, read, tokenized and trained on.

`make measure-million` writes what it took to book/million.json, which chapter 09 shows. Memory is
this process's highest so far, as the operating system counts it.
"""

import json
import platform
import tempfile
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path

import torch

from minimind_lite import corpus, recipe
from minimind_lite.data import TokenDataset, Windows, document_samples
from minimind_lite.lenient import UsableLines
from minimind_lite.model import Transformer
from minimind_lite.tokenizer import Tokenizer
from minimind_lite.train import train
from process_memory import highest

RESULTS = Path(__file__).resolve().parents[1] / "book" / "million.json"
LINES, EVERY = 1_000_000, 10_000


def write(path: Path, lines: int) -> None:
    """Texts of the built-in corpus, numbered so that no two are equal; every EVERY-th line is cut short."""
    texts = [document.text[:120] for document in corpus.documents(1, 1000)]
    with open(path, "w", encoding="utf-8") as file:
        for number in range(1, lines + 1):
            line = json.dumps({"text": f"{number}. {texts[number % 1000]}"}, ensure_ascii=False)
            file.write((line[:20] if number % EVERY == 0 else line) + "\n")


def watched(samples, marks: list) -> iter:
    """The samples; notes the memory after the first tenth, and after every further tenth."""
    for number, sample in enumerate(samples, 1):
        yield sample
        if number % (LINES // 10) == 0:
            marks.append(round(highest() / 1e6, 1))
            print(f"{number:>9,} samples  {marks[-1]:.1f} MB", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path, marks = Path(folder) / "million.jsonl", []
        write(path, LINES)
        rows = UsableLines(corpus.read_texts, path)
        tokenizer = Tokenizer.train(islice(rows, 2000), 1000)
        config = replace(recipe.PRESETS["lite"].pretrain, total_steps=3, number_format="float32")
        samples = document_samples(tokenizer, rows, config.sequence_length)
        dataset = TokenDataset.write(Path(folder) / "tokens", watched(samples, marks))
        print(rows)
        before = highest() / 1e6
        windows = Windows(dataset, sequence_length=config.sequence_length, micro_batch_size=8)
        plan = highest() / 1e6 - before
        model = Transformer(replace(recipe.PRESETS["lite"].model, vocab_size=tokenizer.vocab_size))
        log = train(model, windows, config, description=None)
        found = {
            "lines": LINES, "left_out": rows.left_out, "bytes": path.stat().st_size, "samples": len(dataset),
            "first_tenth": marks[0], "last_tenth": marks[-1], "plan": round(plan, 1), "training": round(highest() / 1e6, 1),
            "losses": [round(entry["loss"], 3) for entry in log],
            "date": f"{date.today():%d %b %Y}", "system": f"{platform.system()}, Python {platform.python_version()}",
        }  # fmt: skip
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(*found.items(), sep="\n")


if __name__ == "__main__":
    main()
