"""Seconds, bytes per second and peak memory of every trainer and encoder installed, side by side.

    python tests/bench_tokenizer.py            # 100 KB, 1 MB, 10 MB
    python tests/bench_tokenizer.py 0.1 1      # other sizes, in megabytes

Each measurement runs in a process of its own on one core. Seconds are the processor's, so that
other programs do not count; memory is how far the job raises the process's highest, once text and
encoder are there. The naive trainer is that of chapter 02; it is measured at 100 KB only, for at
1 MB it would take a quarter of an hour.
"""

import importlib.util
import multiprocessing
import os
import sys
import time
from pathlib import Path

import nbformat

from minimind_lite import bpe, corpus
from minimind_lite.bpe import SPLIT_PATTERN, ByteLevelBPE, train_bpe
from minimind_lite.tokenizer import Tokenizer
from process_memory import highest

MERGES = 2000
NAIVE_LIMIT = 200_000  # bytes


def read_texts(size: int) -> list[str]:
    """Documents of the built-in corpus, `size` bytes of them."""
    texts = []
    for document in corpus.documents(1, 10**7):
        texts.append(document.text)
        size -= len(document.text.encode())
        if size <= 0:
            return texts
    raise SystemExit("the corpus ended before the text was long enough.")


def chapter_definitions(*names: str) -> dict:
    """Functions of chapter 02, by the ids of their cells."""
    path = Path(__file__).parents[1] / "chapters" / "02_byte_level_bpe.ipynb"
    cells = {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}
    namespace = vars(bpe).copy()
    for name in names:
        exec(cells[name], namespace)
    return namespace


def naive(texts):
    """The trainer one writes first: count all pairs anew, then replace the most frequent one."""
    chapter_definitions("count-pairs", "merge-pair", "naive-trainer")["naive_train"](texts, 256 + MERGES)


def ours(texts):
    return train_bpe(texts, 256 + MERGES)


def library(texts):
    return Tokenizer.train(texts, 259 + MERGES)


def rust(texts):
    import rustbpe

    rustbpe.Tokenizer().train_from_iterator(iter(texts), 256 + MERGES, pattern=SPLIT_PATTERN)


def encode_ours(texts):
    encoder = ByteLevelBPE(*train_bpe(texts[:2000], 256 + MERGES))
    return lambda: encoder.encode("\n".join(texts))


def encode_library(texts):
    tokenizer = Tokenizer.train(texts[:2000], 259 + MERGES)
    return lambda: tokenizer.encode_batch(texts)


def encode_tiktoken(texts):
    import tiktoken

    vocab, _ = train_bpe(texts[:2000], 256 + MERGES)
    ranks = {token: index for index, token in vocab.items()}
    encoding = tiktoken.Encoding("ours", pat_str=SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens={})
    return lambda: encoding.encode_ordinary("\n".join(texts))


TRAINERS = {"naive": (naive, None), "minimind_lite.bpe": (ours, None), "tokenizers": (library, None), "rustbpe": (rust, "rustbpe")}
ENCODERS = {"minimind_lite.bpe": (encode_ours, None), "tokenizers": (encode_library, None), "tiktoken": (encode_tiktoken, "tiktoken")}


def measure(job, texts, prepare: bool, results) -> None:
    """Runs in a process of its own; puts (seconds, bytes of memory)."""
    function = job(texts) if prepare else lambda: job(texts)
    before, start = highest(), time.process_time()
    function()
    results.put((time.process_time() - start, highest() - before))


def in_a_process(job, texts, prepare: bool) -> tuple[float, int]:
    results = multiprocessing.Queue()
    process = multiprocessing.Process(target=measure, args=(job, texts, prepare, results))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{job.__name__} failed; see above.")
    return results.get()


def main(megabytes: list[float]) -> None:
    os.environ["RAYON_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    row = "{:<8} {:<18} {:>9} {:>9} {:>11} {:>11}"
    print(f"training: {MERGES} merges; encoding: with those merges, cold cache")
    print(row.format("", "", "size MB", "seconds", "MB/s", "memory MB"))
    for size in megabytes:
        texts = read_texts(int(size * 1e6))
        count = sum(len(text.encode()) for text in texts)
        seconds = {}
        for kind, jobs in (("train", TRAINERS), ("encode", ENCODERS)):
            for name, (job, package) in jobs.items():
                if package and not importlib.util.find_spec(package):
                    print(row.format(kind, name, f"{count / 1e6:.1f}", "not installed", "", ""))
                    continue
                if job is naive and count > NAIVE_LIMIT:
                    continue
                spent, memory = in_a_process(job, texts, kind == "encode")
                seconds[kind, name] = spent
                print(row.format(kind, name, f"{count / 1e6:.1f}", f"{spent:.3f}", f"{count / 1e6 / spent:.2f}",
                                 f"{memory / 1e6:.1f}"), flush=True)  # fmt: skip
        if ("train", "naive") in seconds:
            ratio = seconds["train", "naive"] / seconds["train", "minimind_lite.bpe"]
            print(f"         minimind_lite.bpe trains {ratio:.0f} times as fast as naive")


if __name__ == "__main__":
    main([float(size) for size in sys.argv[1:]] or [0.1, 1, 10])
