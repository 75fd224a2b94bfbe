"""How cost grows: seconds against one size at a time, and the slope of the line in a log-log plot.

Beside each measured curve stands what theory allows: the arithmetic that the work needs. A slope
that is steeper than theory's means that something grows that should not.
"""

import math
from itertools import repeat

import bench_peers
from bench_timing import in_turn
from bench_tokenizer import read_texts
from bench_train import count, step_flops
from minimind_lite.bpe import ByteLevelBPE, train_bpe
from minimind_lite.generate import generate_batch
from minimind_lite.model import ModelConfig, Transformer


def slope(x: list[float], y: list[float]) -> float:
    """The exponent p of y = c · x^p that fits best: least squares on logarithms.

    >>> round(slope([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    log_x, log_y = [math.log(v) for v in x], [math.log(v) for v in y]
    mean_x, mean_y = sum(log_x) / len(x), sum(log_y) / len(y)
    over = sum((a - mean_x) * (b - mean_y) for a, b in zip(log_x, log_y))
    return over / sum((a - mean_x) ** 2 for a in log_x)


def curve(
    name: str, against: str, unit: str, jobs: dict[float, object], theory: list[float], rounds: int
) -> dict:
    """Seconds of every size, smallest of the rounds, with both slopes.

    The smallest, because what disturbs a measurement only ever adds to it.
    """
    seconds = in_turn({str(size): job for size, job in jobs.items()}, rounds, name)
    best = [min(seconds[str(size)]) for size in jobs]
    sizes = list(jobs)
    return {
        "name": name,
        "against": against,
        "unit": unit,
        "sizes": sizes,
        "seconds": best,
        "theory": theory,
        "slope": slope(sizes, best),
        "theory_slope": slope(sizes, theory),
        "last_slope": slope(sizes[-2:], best[-2:]),
        "last_theory_slope": slope(sizes[-2:], theory[-2:]),
    }


def shape(hidden: int, layers: int, positions: int = 1024) -> ModelConfig:
    return ModelConfig(
        vocab_size=2048,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 64,
        head_dim=32,
        max_position_embeddings=positions,
    )


def step_job(config, rows: int, length: int):
    """One training step of this shape, and the arithmetic in it."""
    ours, ids = bench_peers.Ours(), bench_peers.random_ids(config, rows, length)
    model = ours.build(config).to(ids.device)
    return ours.stepper(model, repeat(ours.as_batch(ids))), step_flops(config, rows, length)


def of_steps(name: str, against: str, unit: str, shapes: dict, rounds: int) -> dict:
    made = {size: step_job(*some) for size, some in shapes.items()}
    return curve(
        name,
        against,
        unit,
        {size: job for size, (job, _) in made.items()},
        [flops for _, flops in made.values()],
        rounds,
    )


def generation(lengths: list[int], rounds: int) -> dict:
    """Seconds for so many new tokens after one token; each looks back at all before it."""
    config = shape(128, 4, max(lengths) + 1)
    model = Transformer(config).eval()
    jobs = {
        n: lambda n=n: generate_batch(model, [[1]], max_new_tokens=n, temperature=0)
        for n in lengths
    }
    fixed = 2 * count(config)  # a multiplication and an addition for every weight, once a token
    looks = (
        4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    )  # a token looked at
    theory = [n * fixed + looks * n * (n + 1) / 2 for n in lengths]
    return curve("generation", "new tokens", "tokens", jobs, theory, rounds)


def tokenizer(sizes: list[int], merges: int, rounds: int) -> list[dict]:
    """Learning and encoding against text. Theory: every byte is read once."""
    texts = {size: read_texts(size) for size in sizes}
    encoder = ByteLevelBPE(*train_bpe(texts[sizes[0]], 256 + merges))
    learn = {size: lambda some=some: train_bpe(some, 256 + merges) for size, some in texts.items()}
    encode = {
        size: lambda some=some: encoder.encode("\n".join(some)) for size, some in texts.items()
    }
    return [
        curve("learning merges", "text", "bytes", learn, sizes, rounds),
        curve("encoding", "text", "bytes", encode, sizes, rounds),
    ]


def growth(options) -> dict:
    """All curves; quick ones have three small points each."""
    quick = options.quick
    rounds = 1 if quick else 4
    hidden = (64, 128, 192) if quick else (64, 128, 256, 384, 512)
    lengths = (16, 32, 64) if quick else (64, 128, 256, 512, 1024)
    rows = (1, 2, 4) if quick else (1, 2, 4, 8, 16)
    wide, small = shape(64, 1) if quick else shape(256, 4), (1, 16) if quick else (4, 128)
    return {
        "curves": [
            of_steps(
                "training step",
                "parameters",
                "parameters",
                {count(c): (c, *small) for c in (shape(h, wide.num_hidden_layers) for h in hidden)},
                rounds,
            ),
            of_steps(
                "training step",
                "tokens a row",
                "tokens",
                {n: (wide, 2, n) for n in lengths},
                rounds,
            ),
            of_steps(
                "training step", "rows", "rows", {n: (wide, n, small[1]) for n in rows}, rounds
            ),
            *tokenizer(
                [5_000, 10_000, 20_000]
                if quick
                else [125_000, 250_000, 500_000, 1_000_000, 2_000_000],
                30 if quick else 2000,
                1 if quick else 2,
            ),
            generation([8, 16, 32] if quick else [32, 64, 128, 256, 512, 1024], rounds),
        ]
    }
