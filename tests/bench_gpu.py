"""Training steps on a GPU, measured: `make bench-gpu` writes book/gpu.json, which chapter 09 shows.

For each preset: float32, bfloat16 and bfloat16 compiled, rows with several documents, at the
preset's micro-batch and at the largest that the prediction of `budget.step_memory` lets in.
"""

import json
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from minimind_lite import budget
from minimind_lite.model import Transformer
from minimind_lite.recipe import PRESETS
from minimind_lite.train import compiled, make_optimizers, training_step

RESULTS = Path(__file__).resolve().parents[1] / "book" / "gpu.json"
STEPS = 10
FORMATS = ((torch.float32, False), (torch.bfloat16, False), (torch.bfloat16, True))  # and compiled?


def window_of(config, training) -> list:
    """Random tokens, every row two documents."""
    rows, length = training.micro_batch_size, training.sequence_length
    ids = torch.randint(config.vocab_size, (rows, length + 1))
    segments = (torch.arange(length) >= length // 3).long().expand(rows, length).contiguous()
    return [(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), segments)] * training.accumulation_steps


def measure(config, training, number_format, device, compile: bool, steps: int = STEPS) -> dict:
    """Tokens a second, arithmetic a second and the peak of memory of our own training step."""
    model = Transformer(config).to(device)
    optimizers, window = make_optimizers(model, training), window_of(config, training)
    if compile:
        model = compiled(model, device)
    for _ in range(3):  # compiles, allocates, chooses kernels
        training_step(model, optimizers, window, 0, training, number_format)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for _ in range(steps):
        training_step(model, optimizers, window, 0, training, number_format)  # ends by reading the loss
    seconds = (time.perf_counter() - began) / steps
    rows = training.micro_batch_size * training.accumulation_steps
    return {
        "number_format": str(number_format).removeprefix("torch."), "compiled": compile,
        "micro_batch_size": training.micro_batch_size, "accumulation_steps": training.accumulation_steps,
        "tokens_per_second": rows * training.sequence_length / seconds,
        "flops_per_second": rows * budget.training_flops(config, training.sequence_length) / seconds,
        "memory": torch.cuda.max_memory_allocated() if on_gpu else None,
        "memory_predicted": budget.step_memory(config, training, number_format)["peak"],
    }  # fmt: skip


def largest(config, training, memory: int):
    """The preset's training with as many rows at once as fit by the prediction, in powers of two."""
    found = replace(training, micro_batch_size=1, accumulation_steps=1)
    while True:
        larger = replace(found, micro_batch_size=2 * found.micro_batch_size)
        if budget.step_memory(config, larger, torch.bfloat16)["peak"] > 0.9 * memory:
            return found
        found = larger


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here, so nothing was measured.")
    device = torch.device("cuda")
    properties = torch.cuda.get_device_properties(device)
    results = []
    for name in ("small", "base"):
        config, preset = PRESETS[name].model, PRESETS[name].pretrain
        for training in (preset, largest(config, preset, properties.total_memory)):
            for number_format, compile in FORMATS:
                torch.cuda.empty_cache()
                try:
                    row = measure(config, training, number_format, device, compile)
                except torch.cuda.OutOfMemoryError:
                    print(f"{name}, {training.micro_batch_size} rows, {number_format}: out of memory")
                    continue
                results.append({"preset": name} | row)
                print(*results[-1].items(), sep="\n", end="\n\n", flush=True)
    found = {"gpu": properties.name, "date": f"{date.today():%d %b %Y}", "torch": torch.__version__,
             "results": results}  # fmt: skip
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written to {RESULTS}; run chapter 09 again to see it there")


if __name__ == "__main__":
    main()
