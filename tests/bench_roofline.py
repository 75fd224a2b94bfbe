"""Where a training step's time goes: matrix products, moving memory, or calling operations.

The roofline (Williams, Waterman & Patterson, 2009): work that does I floating-point operations for
every byte it moves cannot run faster than min(peak, I × bandwidth). Both are measured here, with
one large matrix product and one large copy; a third bound, the time that one call takes however
small its tensors are, is the one that small models meet.
"""

import time
from collections import defaultdict
from itertools import repeat

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import bench_peers
from bench_train import MatmulPeak, shapes

ATTENTION = "_scaled_dot_product"
KINDS = {  # the beginning of an operation's name: what it belongs to; the first that fits
    ATTENTION: "attention",
    "mm": "matmul",
    "addmm": "matmul",
    "bmm": "matmul",
    "_fused_adamw": "optimizer",
    "_foreach": "optimizer",
    "_log_softmax": "loss",
    "nll_loss": "loss",
    "_fused_rms_norm": "norm",
    "rms_norm": "norm",
    "embedding": "embedding",
}
OTHER = "elementwise"


def kind_of(operation: str) -> str:
    """What an aten operation belongs to: "mm" is a matmul, "_log_softmax" is part of the loss.

    >>> kind_of("_log_softmax_backward_data"), kind_of("silu")
    ('loss', 'elementwise')
    """
    return next((kind for start, kind in KINDS.items() if operation.startswith(start)), OTHER)


class Traffic(TorchDispatchMode):
    """Counts, for every operation that runs, its floating-point operations and the bytes it touches.

    counted: {name: [calls, flops, bytes]}; a byte is one of an input or of an output. Operations
    that only look at a tensor in another way (view, transpose) have none.
    """

    def __init__(self):
        super().__init__()
        self.counted = defaultdict(lambda: [0, 0, 0])

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        inputs, outputs = tensors(args) + tensors(kwargs or {}), tensors(out)
        one = self.counted[function._schema.name.removeprefix("aten::")]
        one[0] += 1
        if not function.is_view:
            one[2] += sum(t.numel() * t.element_size() for t in inputs + outputs)
            if ATTENTION in function._schema.name:
                one[1] += attention_flops(function._schema.name, inputs)
            elif function.overloadpacket in flop_registry:
                one[1] += flop_registry[function.overloadpacket](
                    *args, **(kwargs or {}), out_val=out
                )
            else:
                # one operation a number that is written, to have a place in the picture
                one[1] += sum(t.numel() for t in outputs or tensors(args[0]))
        return out


def attention_flops(name: str, inputs: list[torch.Tensor]) -> int:
    """Two products forward; backward one again and four more; half of each, as it is causal.

    inputs: queries and keys [batch, heads, seq, head_dim], backward after the output's gradient.
    """
    backward = "backward" in name
    batch, heads, seq, head_dim = inputs[0].shape
    keys = inputs[1 + backward].shape[2]
    return (5 if backward else 2) * 2 * batch * heads * seq * keys * head_dim // 2


def tensors(value) -> list[torch.Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for part in value for t in tensors(part)] if isinstance(value, (list, tuple)) else []


def self_seconds(step, steps: int) -> tuple[dict[str, float], float]:
    """Seconds that every operation spends in itself, a step; and the seconds of the whole step."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        began = time.perf_counter()
        for _ in range(steps):
            step()
        whole = (time.perf_counter() - began) / steps
    found = {
        e.key.removeprefix("aten::"): e.self_cpu_time_total / 1e6 / steps
        for e in profiled.key_averages()
        if e.key.startswith("aten::")
    }
    return found, whole


def profile_step(config, rows: int, length: int, steps: int) -> dict:
    """One shape's step: for every kind of work its seconds, calls, flops and bytes; the rest is calling."""
    ours, ids = bench_peers.Ours(), bench_peers.random_ids(config, rows, length)
    step = ours.stepper(ours.build(config).to(ids.device), repeat(ours.as_batch(ids)))
    step()
    with Traffic() as traffic:
        step()
    seconds, whole = self_seconds(step, steps)
    kinds = defaultdict(lambda: {"seconds": 0.0, "calls": 0, "flops": 0, "bytes": 0})
    for name, (calls, flops, size) in traffic.counted.items():
        if size:
            kind = kinds[kind_of(name)]
            kind["seconds"] += seconds.get(name, 0.0)
            kind["calls"] += calls
            kind["flops"] += flops
            kind["bytes"] += size
    working = sum(kind["seconds"] for kind in kinds.values())
    heavy = sum(kinds[name]["seconds"] for name in ("matmul", "attention"))
    parts = {
        "matmul": heavy / whole,
        "memory": (working - heavy) / whole,
        "calling": max(0.0, 1 - working / whole),
    }
    return {
        "shape": f"{rows} × {length} tokens",
        "seconds": whole,
        "kinds": dict(kinds),
        "parts": parts,
        "bound": max(parts, key=parts.get),
    }


def smallest(job, rounds: int) -> float:
    def once():
        began = time.perf_counter()
        job()
        return time.perf_counter() - began

    once()
    return min(once() for _ in range(rounds))


def copied_bytes_a_second(quick: bool) -> float:
    """Bytes read and written by a copy too large for any cache."""
    source = torch.ones(10**6 if quick else 64 * 10**6)
    target = torch.empty_like(source)
    return 2 * 4 * len(source) / smallest(lambda: target.copy_(source), 3 if quick else 15)


def roofline(options) -> dict:
    """The machine's three bounds, and a profile of a training step at every size."""
    rounds, peak, tiny = (
        (3 if options.quick else 15),
        MatmulPeak(256 if options.quick else 2048),
        torch.ones(1),
    )

    def calls():
        for _ in range(1000):
            tiny.add_(1)

    return {
        "matmul_flops": peak.flops / smallest(peak, rounds),
        "bytes_a_second": copied_bytes_a_second(options.quick),
        "seconds_a_call": smallest(calls, rounds) / 1000,
        "profiles": {
            name: profile_step(config, rows, length, 1 if options.quick else 5)
            for name, (config, rows, length, _) in shapes(options.quick).items()
        },
    }
