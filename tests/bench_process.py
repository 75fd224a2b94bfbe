"""What is measured in processes of their own: memory, and the wait before the first step."""

import json
import subprocess
import sys
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from statistics import median

import torch

import bench_lineup
import bench_peers
from bench_timing import compare, in_turn
from bench_train import SHAPES
from minimind_lite.budget import step_memory
from minimind_lite.model import ModelConfig
from minimind_lite.train import TrainConfig

CHILD = Path(__file__).with_name("bench_child.py")
# large enough for its memory to be seen above what the imports leave behind
QUICK_MEMORY = (
    ModelConfig(vocab_size=4096, hidden_size=256, num_hidden_layers=2, num_attention_heads=4),
    8,
    64,
)


def child(task: str, peer, shape: dict) -> float:
    """The number that one task of bench_child.py finds, in a fresh process."""
    command = [
        sys.executable,
        str(CHILD),
        task,
        peer.name,
        str(getattr(peer, "directory", "")),
        json.dumps(shape),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def in_processes(
    work: str, task: str, size: str, rows: int, length: int, rounds: int, options, **how
) -> dict:
    """A line whose numbers come from fresh processes, in turn."""
    config = SHAPES[size][0]
    if options.quick:
        (config, rows, length), rounds = QUICK_MEMORY, 1
    shape = {
        "shape": asdict(config),
        "rows": rows,
        "length": length,
        "threads": torch.get_num_threads(),
    }
    peers, absent = bench_lineup.model_peers(options.directories)
    values = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        still_there = [peer for peer in peers if peer.name not in absent]
        for name, value in bench_lineup.attempt(
            still_there, absent, lambda peer: child(task, peer, shape)
        ).items():
            values[name].append(value)
    values = {name: some for name, some in values.items() if name not in absent}
    against = [peer.name for peer in peers if peer.same_function]
    return compare(work, values, against=against, absent=absent, **how)


def memory(options) -> list[dict]:
    """Memory at the peak of a training step, above what the imports hold."""
    work = "memory at the peak of a step, 26 M, 8 × 512 tokens"
    training = TrainConfig(micro_batch_size=8, sequence_length=512)
    held = step_memory(SHAPES["26 M"][0], training, walls=False)["peak"] / 1e6
    bound = "weights, gradients, AdamW's averages and what backward needs, if nothing is made again", held
    return [
        in_processes(
            work, "memory", "26 M", 8, 512, 1, options, target=1 / 0.7, unit="MB", bound=bound,
            in_two=in_two(options),
        )
    ]  # fmt: skip


def in_two(options) -> dict:
    """What it takes to accumulate the step over two micro-batches: megabytes, and how many times as long."""
    config, rows, length = QUICK_MEMORY if options.quick else (SHAPES["26 M"][0], 8, 512)
    peers = bench_peers.Ours(), bench_peers.OursInTwo()
    shape = {"shape": asdict(config), "rows": rows, "length": length, "threads": torch.get_num_threads()}
    ids = bench_peers.random_ids(config, rows, length)
    jobs = {
        peer.name: peer.stepper(peer.build(config).to(ids.device), repeat(peer.as_batch(ids)))
        for peer in peers
    }
    whole, halves = in_turn(jobs, 1 if options.quick else 5, "two micro-batches").values()
    times = median(two / one for one, two in zip(whole, halves))
    return {"megabytes": child("memory", peers[1], shape), "times_as_long": times}


def first_step(options) -> list[dict]:
    """Seconds from the first import to the end of the first training step."""
    code = "from time import perf_counter as now; began = now(); import torch; print(now() - began)"
    command = [sys.executable, "-c", code]
    seconds = [
        float(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(1 if options.quick else 5)
    ]
    bound = "importing torch", median(seconds)
    work = "import to first step, lite"
    return [
        in_processes(work, "first_step", "lite", 8, 256, 3, options, target=1 / 0.5, bound=bound)
    ]
