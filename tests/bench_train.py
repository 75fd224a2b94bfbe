"""Seconds of a training step, plain and with everything switched on that makes it faster."""

from itertools import repeat

import torch
from torch.profiler import ProfilerActivity, profile

import bench_lineup
import bench_peers
from bench_peers import OURS
from bench_timing import compare, in_turn, share
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.recipe import PRESETS

# name: (shape, rows, tokens a row, rounds)
SHAPES = {
    "lite": (PRESETS["lite"].model, 8, 256, 20),
    "5 M": (
        ModelConfig(
            vocab_size=6400,
            hidden_size=256,
            num_hidden_layers=5,
            num_attention_heads=8,
            num_key_value_heads=2,
        ),
        8,
        256,
        9,
    ),
    "26 M": (PRESETS["small"].model, 4, 512, 4),
}
TINY = (
    ModelConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=2),
    2,
    16,
    2,
)


LIBRARY = "the library's matrix products and attention"


def shapes(quick: bool) -> dict:
    return {"tiny": TINY} if quick else SHAPES


def built(peers: list, absent: dict, config, ids) -> dict:
    """{name: (peer, model)}, all with our weights, and shown to be the same function."""
    torch.manual_seed(0)
    models = bench_lineup.attempt(
        peers, absent, lambda peer: (peer, peer.build(config).to(ids.device).train())
    )
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
        jobs = bench_lineup.attempt(
            [peer for peer, _ in models.values()],
            absent,
            lambda peer: peer.stepper(models[peer.name][1], repeat(peer.as_batch(ids))),
        )
        peak = MatmulPeak(512 if options.quick else 2048)
        seconds = in_turn(jobs | {"matmul": peak}, rounds, f"step, {size}")
        speed = peak.flops / min(seconds.pop("matmul"))
        details = {
            "shape": f"{size}, {rows} × {length} tokens",
            "absent": absent,
            "parameters": count(config),
            "bound": [LIBRARY, library_seconds(jobs[OURS])],
        }
        lines.append(
            compare(
                f"training step, {size}, float32",
                seconds,
                1.15,
                against=counting(models),
                **details,
            )
        )
        if size != "lite":
            bound = step_flops(config, rows, length) / speed
            part = bound / lines[-1]["competitors"][OURS]["median"]
            lines.append(
                share(
                    f"part of the matmul bound, {size}",
                    part,
                    0.85,
                    at_least=True,
                    matmul_gflops=speed / 1e9,
                    step_gflop=bound * speed / 1e9,
                    bound=[LIBRARY, bound / lines[-1]["bound"][1]],
                )
            )
    return lines


def library_seconds(step) -> float:
    """What one of our steps spends in matrix products and attention, by torch's profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(3):
            step()
    shared = ("aten::mm", "aten::addmm", "aten::bmm", "aten::_scaled_dot_product")
    return sum(e.self_cpu_time_total for e in seen.key_averages() if e.key.startswith(shared)) / 3e6


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
        lines.append(
            compare(
                f"training step, {size}, each at its best",
                seconds,
                1.3,
                against=counting(models),
                absent=absent,
                chosen=chosen,
                number_format=str(number_format),
                format_gflops=speeds,
                shape=f"{size}, {rows} × {length} tokens",
                parameters=count(config),
                bound=[LIBRARY, library_seconds(jobs[OURS])],
            )
        )
    return lines


def best_format(size: int) -> tuple[torch.dtype, dict[str, float]]:
    """The number format in which this machine multiplies matrices faster, and both speeds.

    Many processors only imitate bfloat16: then it is slower for everyone, and not tried further.
    """
    products = {f: MatmulPeak(size, f) for f in (torch.float32, torch.bfloat16)}
    seconds = in_turn({str(f): product for f, product in products.items()}, 3, "number formats")
    speeds = {
        name: products[torch.float32].flops / min(some) / 1e9 for name, some in seconds.items()
    }
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
