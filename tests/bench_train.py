"""What a training step costs: seconds, memory, and the wait before the first one."""

import json
import subprocess
import sys
from dataclasses import asdict
from itertools import repeat
from pathlib import Path

import torch

import bench_lineup
import bench_peers
from bench_peers import OURS
from bench_timing import compare, in_turn, share, spread
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.recipe import PRESETS

# name: (shape, rows, tokens a row, rounds)
SHAPES = {
    "lite": (PRESETS["lite"].model, 8, 256, 20),
    "5 M": (ModelConfig(vocab_size=6400, hidden_size=256, num_hidden_layers=5, num_attention_heads=8,
                        num_key_value_heads=2), 8, 256, 9),
    "26 M": (PRESETS["small"].model, 4, 512, 4),
}  # fmt: skip
# large enough for its memory to be seen above what the imports leave behind
QUICK_MEMORY = ModelConfig(vocab_size=4096, hidden_size=256, num_hidden_layers=2, num_attention_heads=4), 8, 64
TINY = (ModelConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=2), 2, 16, 2)
CHILD = Path(__file__).with_name("bench_child.py")


def shapes(quick: bool) -> dict:
    return {"tiny": TINY} if quick else SHAPES


def built(peers: list, absent: dict, config, ids) -> dict:
    """{name: (peer, model)}, all with our weights, and shown to be the same function."""
    torch.manual_seed(0)
    models = bench_lineup.attempt(peers, absent, lambda peer: (peer, peer.build(config).to(ids.device).train()))
    models[OURS][1].eval()  # no dropout anywhere; eval and train are the same function
    bench_lineup.same_weights(models, ids[:, :-1])
    return models


def counting(models: dict) -> list[str]:
    return [name for name, (peer, _) in models.items() if peer.same_function]


def step(options) -> list[dict]:
    """One training step in float32, and how near it is to what the machine's matmuls allow."""
    lines = []
    for size, (config, rows, length, rounds) in shapes(options.quick).items():
        everyone = OURS, "transformers", "MiniMind", "nanoGPT"
        peers, absent = bench_lineup.model_peers(options.directories, only=everyone)
        ids = bench_peers.random_ids(config, rows, length)
        models = built(peers, absent, config, ids)
        jobs = bench_lineup.attempt([peer for peer, _ in models.values()], absent, lambda peer: peer.stepper(
            models[peer.name][1], repeat(peer.as_batch(ids))))  # fmt: skip
        peak = MatmulPeak(512 if options.quick else 2048)
        seconds = in_turn(jobs | {"matmul": peak}, rounds, f"step, {size}")
        speed = peak.flops / min(seconds.pop("matmul"))
        details = {"shape": f"{size}, {rows} × {length} tokens", "absent": absent, "parameters": count(config)}
        lines.append(compare(f"training step, {size}, float32", seconds, 1.15, against=counting(models), **details))
        if size != "lite":
            bound = step_flops(config, rows, length) / speed
            part = bound / lines[-1]["competitors"][OURS]["median"]
            lines.append(share(f"part of the matmul bound, {size}", part, 0.85, at_least=True,
                               matmul_gflops=speed / 1e9, step_gflop=bound * speed / 1e9))  # fmt: skip
    return lines


class MatmulPeak:
    """One large square product of matrices: what the machine can do at best."""

    def __init__(self, size: int, number_format=torch.float32):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.left, self.right = torch.randn(2, size, size, device=device).to(number_format)
        self.out, self.flops = torch.empty_like(self.left), 2 * size**3

    def __call__(self):
        torch.mm(self.left, self.right, out=self.out)


def count(config) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Transformer(config).parameters())


def step_flops(config, rows: int, length: int) -> int:
    """Multiplications and additions in the matrix products of a step, forward and backward.

    A weight of a matrix is used once a token forward and twice backward. Attention multiplies
    queries with keys and probabilities with values, half of the square since it is causal.
    """
    with torch.device("meta"):
        weights = sum(p.numel() for p in Transformer(config).parameters() if p.dim() == 2)
    if not config.tie_word_embeddings:
        weights -= config.vocab_size * config.hidden_size  # looked up, not multiplied
    looks = config.num_hidden_layers * config.num_attention_heads * config.head_dim * length / 2
    return int(3 * 2 * rows * length * (weights + 2 * looks))


def step_best(options) -> list[dict]:
    """The same with each competitor's best number format, and compiled if that is faster."""
    lines = []
    number_format, speeds = best_format(512 if options.quick else 1024)
    for size, (config, rows, length, rounds) in shapes(options.quick).items():
        peers, absent = bench_lineup.model_peers(options.directories)
        ids = bench_peers.random_ids(config, rows, length)
        models = built(peers, absent, config, ids)
        chosen = {}

        def best(peer):
            model, batches = models[peer.name][1], repeat(peer.as_batch(ids))
            step, chosen[peer.name] = compiled_if_faster(peer, model, batches, number_format)
            return step

        jobs = bench_lineup.attempt([peer for peer, _ in models.values()], absent, best)
        seconds = in_turn(jobs, rounds, f"best step, {size}")
        lines.append(compare(
            f"training step, {size}, each at its best", seconds, 1.3, against=counting(models), absent=absent,
            chosen=chosen, number_format=str(number_format), format_gflops=speeds,
            shape=f"{size}, {rows} × {length} tokens", parameters=count(config),
        ))  # fmt: skip
    return lines


def best_format(size: int) -> tuple[torch.dtype, dict[str, float]]:
    """The number format in which this machine multiplies matrices faster, and both speeds.

    Many processors only imitate bfloat16: then it is slower for everyone, and not tried further.
    """
    products = {f: MatmulPeak(size, f) for f in (torch.float32, torch.bfloat16)}
    seconds = in_turn({str(f): product for f, product in products.items()}, 3, "number formats")
    speeds = {name: products[torch.float32].flops / min(some) / 1e9 for name, some in seconds.items()}
    return max(products, key=lambda f: speeds[str(f)]), speeds


def compiled_if_faster(peer, model, batches, number_format) -> tuple:
    """A peer's step, and "compiled" or "eager": whichever two trials found to be faster.

    Its layers are compiled one by one: they are alike, so the work is done once.
    """
    eager = peer.stepper(model, batches, number_format)
    slow = min(in_turn({"eager": eager}, 2, f"{peer.name}, eager")["eager"])
    for layer in peer.layers(model):
        layer.compile()
    fast = min(in_turn({"compiled": eager}, 2, f"{peer.name}, compiled")["compiled"])
    if fast < slow:
        return eager, "compiled"
    for layer in peer.layers(model):
        layer._compiled_call_impl = None  # what `compile` set: there is no public way back
    return eager, "eager"


def child(task: str, peer, shape: dict) -> float:
    """The number that one task of bench_child.py finds, in a fresh process."""
    command = [sys.executable, str(CHILD), task, peer.name, str(getattr(peer, "directory", "")), json.dumps(shape)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def in_processes(work: str, task: str, size: str, rows: int, length: int, rounds: int, options, **how) -> dict:
    """A line whose numbers come from fresh processes, in turn."""
    config = SHAPES[size][0]
    if options.quick:
        (config, rows, length), rounds = QUICK_MEMORY, 1
    shape = {"shape": asdict(config), "rows": rows, "length": length, "threads": torch.get_num_threads()}
    peers, absent = bench_lineup.model_peers(options.directories)
    values = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        still_there = [peer for peer in peers if peer.name not in absent]
        for name, value in bench_lineup.attempt(still_there, absent, lambda peer: child(task, peer, shape)).items():
            values[name].append(value)
    values = {name: some for name, some in values.items() if name not in absent}
    against = [peer.name for peer in peers if peer.same_function]
    return compare(work, values, against=against, absent=absent, **how)


def memory(options) -> list[dict]:
    """Memory at the peak of a training step, above what the imports hold."""
    work = "memory at the peak of a step, 26 M, 8 × 512 tokens"
    held = 16 * count(SHAPES["26 M"][0]) / 1e6  # four numbers of four bytes for every weight
    bound = "Weights, gradients and the two averages of AdamW take", held
    return [in_processes(work, "memory", "26 M", 8, 512, 1, options, target=1 / 0.7, unit="MB", bound=bound)]


def first_step(options) -> list[dict]:
    """Seconds from the first import to the end of the first training step."""
    command = [sys.executable, "-c", "import torch"]
    seconds = in_turn({"torch": lambda: subprocess.run(command, check=True)}, 1 if options.quick else 3, "import torch")
    bound = "Starting Python and importing torch takes", spread(seconds["torch"])["median"]
    work = "import to first step, lite"
    return [in_processes(work, "first_step", "lite", 8, 256, 3, options, target=1 / 0.5, bound=bound)]
