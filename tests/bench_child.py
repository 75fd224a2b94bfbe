"""One measurement in a process of its own: `bench_child.py TASK PEER FOLDER NUMBERS`, answer as JSON.

first_step: seconds from here, before anything of torch is imported, to the end of a first step.
memory: megabytes by which a training step raises the process above what its imports hold.
"""

import time

BEGAN = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from itertools import repeat  # noqa: E402
from pathlib import Path  # noqa: E402


def peer(name: str, directory: str):
    import bench_peers  # torch and no more; each peer imports what it needs when it is built

    kinds = {
        kind.name: kind
        for kind in (
            bench_peers.Ours,
            bench_peers.OursInTwo,
            bench_peers.Transformers,
            bench_peers.MiniMind,
            bench_peers.NanoGPT,
        )
    }
    return kinds[name](Path(directory)) if directory else kinds[name]()


def first_step(one, shape, rows: int, length: int) -> float:
    """Seconds until the first step is done."""
    steps(one, shape, rows, length, 1)
    return time.perf_counter() - BEGAN


def memory(one, shape, rows: int, length: int) -> float:
    """Megabytes that two steps add: the second one meets the optimizer's state."""
    import torch
    from process_memory import held, highest

    from minimind_lite.model import ModelConfig

    tiny = ModelConfig(vocab_size=300, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    steps(one, tiny, 1, 8, 1)  # imports what is imported on first use
    on_gpu = torch.cuda.is_available()
    before = torch.cuda.memory_allocated() if on_gpu else held()
    steps(one, shape, rows, length, 2)
    peak = torch.cuda.max_memory_allocated() if on_gpu else highest()
    return (peak - before) / 1e6


def steps(one, shape, rows: int, length: int, count: int) -> None:
    from bench_peers import random_ids

    ids = random_ids(shape, rows, length)
    model = one.build(shape).to(ids.device).train()
    step = one.stepper(model, repeat(one.as_batch(ids)))
    for _ in range(count):
        step()


def main(task: str, name: str, directory: str, numbers: str) -> None:
    numbers = json.loads(numbers)
    one = peer(name, directory)
    import torch

    from minimind_lite.model import ModelConfig

    torch.set_num_threads(numbers["threads"])
    shape, rows, length = ModelConfig(**numbers["shape"]), numbers["rows"], numbers["length"]
    print(json.dumps({"first_step": first_step, "memory": memory}[task](one, shape, rows, length)))


if __name__ == "__main__":
    main(*sys.argv[1:])
