"""What the checks of notebook 06 ask a student's function, and the reasons that they give."""

import inspect
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exercises.checks import expect, run, same, show_call
from minimind_lite.data import IGNORE
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.train import accumulate_gradients


class Model(Transformer):
    def __repr__(self):
        return "model"  # short, for messages


def tiny_model() -> Transformer:
    torch.manual_seed(0)
    shape = ModelConfig(vocab_size=31, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    return Model(shape).double()


def rows(targets: list[int], length: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A batch with so many targets in each row, at its end: input_ids, labels, [rows, length]."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(31, (len(targets), length + 1), generator=generator)
    input_ids, labels = ids[:, :-1].clone(), ids[:, 1:].clone()
    for row, count in enumerate(targets):
        labels[row, : length - count] = IGNORE
    return input_ids, labels


def split(batch: tuple[Tensor, Tensor], sizes: list[int]) -> list[tuple[Tensor, Tensor]]:
    """Micro-batches of so many rows."""
    return list(zip(batch[0].split(sizes), batch[1].split(sizes)))


def gradient(model: nn.Module) -> Tensor:
    """All gradients of a model, one after another: [parameters]. Where there is none, zeros."""
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten().clone()
            for p in model.parameters()
        ]
    )


def true_gradient(batch: tuple[Tensor, Tensor]) -> Tensor:
    """The gradient of the mean loss over all targets of a batch: what a window should leave."""
    model = tiny_model()
    logits = model(batch[0]).flatten(0, 1)
    F.cross_entropy(logits, batch[1].flatten(), ignore_index=IGNORE).backward()
    return gradient(model)


def apart(found: Tensor, truth: Tensor) -> float:
    """How far two gradients are apart, in lengths of the true one; NaN if either has a NaN."""
    return ((found - truth).norm() / truth.norm()).item()


def token_weights(token_weights, targets: list[int], wanted: list[float]) -> None:
    all_targets, means = sum(targets), len(targets)
    full = [n for n in targets if n]
    mistakes = [
        ([1 / w if w else w for w in wanted], "These are upside down: fair weight over weight."),
        (
            [w / all_targets for w in wanted],
            (
                "These are weights, not multiples of the fair one: "
                f"they are not divided by the fair weight, 1 / {all_targets}."
            ),
        ),
        (
            [w * means for w in wanted],
            f"A mean over {means} micro-batches divides by {means}, too.",
        ),
        (
            [w * means / len(full) for w in wanted],
            "An empty micro-batch is still one of those over which the mean of means is taken.",
        ),
    ]
    reason = (
        "A token of micro-batch i should weigh 1 / (micro-batches · targets[i]), over 1 / all"
        " targets."
    )
    got = run(token_weights, targets)
    same(got, wanted, show_call(token_weights, targets), reason, mistakes)


def windows(windows, stream: str, size: int, as_stream: bool = False) -> None:
    call = f"windows({'iter' if as_stream else 'list'}({stream!r}), {size})"
    given = list(stream)
    try:
        got = run(windows, iter(given) if as_stream else given, size)
    except AssertionError as error:
        hint = " A stream has no len() and no slices: it can only be read once, in a for loop."
        expect("TypeError" not in str(error), f"{error}{hint}")
        raise
    got = [list(window) if isinstance(window, tuple) else window for window in got]
    wanted = [given[i : i + size] for i in range(0, len(given), size)]
    expect(
        all(isinstance(window, list) for window in got),
        f"{call} gave {got!r}; each window should be a list.",
    )
    aliased = len({id(window) for window in got}) < len(got)
    expect(
        not aliased,
        f"{call} gave the same list {len(got)} times, and now it holds {got[-1:]}: begin "
        "a new list for each window; clearing the old one empties what you gave away.",
    )
    expect(
        [] not in got,
        f"{call} gave {got!r}: an empty window, for which a step would be taken on nothing.",
    )
    flat = [item for window in got for item in window]
    lost = ", ".join(item for item in given if item not in flat)
    expect(
        not lost,
        f"{call} gave {got!r}: {lost} is lost. The last window may be shorter than {size}.",
    )
    expect(len(flat) <= len(given), f"{call} gave {got!r}: something is there more than once.")
    expect(
        got[:1] == wanted[:1],
        f"{call} gave {got!r}: the first window should be {wanted[0]!r}, {size} of them.",
    )
    same(got, wanted, call, "The order and the sizes should be these.")


def mistaken_gradients(batch: tuple[Tensor, Tensor], sizes: list[int]) -> list[tuple[str, Tensor]]:
    """What the chapter's bugs would leave, with the reason for each."""
    truth = true_gradient(batch)
    parts = [true_gradient(part) for part in split(batch, sizes) if (part[1] != IGNORE).any()]
    counts = [int((part[1] != IGNORE).sum()) for part in split(batch, sizes)]
    first_rows = (
        torch.cat([part[0][:1] for part in split(batch, sizes)]),
        torch.cat([part[1][:1] for part in split(batch, sizes)]),
    )
    return [
        (
            (
                f"it is {len(sizes)} times too long: a sum of means. Divide by the targets of the"
                " whole window"
            ),
            sum(parts),
        ),
        (
            (
                "it is the mean of means: a token of a short reply weighs more. Divide each *sum*"
                " by the targets of the whole window"
            ),
            sum(parts) / len(sizes),
        ),
        (
            "it is divided by all positions, also positions without a target",
            truth * sum(counts) / batch[1].numel(),
        ),
        (
            "only the last micro-batch is in it: zero_grad belongs before the loop",
            parts[-1] * counts[-1] / sum(counts),
        ),
        (
            "it knows only the first row of each micro-batch; the second row is missing",
            true_gradient(first_rows),
        ),
    ]


def window_gradient(
    window_gradient, targets: list[int], sizes: list[int], dirty: bool = False
) -> None:
    batch, model = rows(targets), tiny_model()
    if dirty:
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
    told = f"Rows with {targets} targets, in micro-batches of {sizes} rows: "
    loss = run(window_gradient, model, split(batch, sizes))
    found, truth = gradient(model), true_gradient(batch) if any(targets) else torch.zeros(1)
    expect(
        not found.isnan().any(),
        f"{told}the gradient is NaN. A mean over no targets is 0 / 0; a sum is 0.",
    )
    if not any(targets):
        expect(
            found.abs().max() == 0 and loss == 0, f"{told}gradient and loss of nothing should be 0."
        )
        return
    if dirty:
        extra = found - truth
        expect(
            not extra.allclose(torch.ones_like(extra)),
            f"{told}the gradient that was already there is still in it. Begin with zero_grad.",
        )
    for reason, mistake in mistaken_gradients(batch, sizes):
        expect(apart(found, mistake) > 1e-6 or apart(truth, mistake) < 1e-6, f"{told}{reason}.")
    expect(
        apart(found, truth) < 1e-9,
        f"{told}the gradient is off by {apart(found, truth):.2g} of its length.",
    )
    wanted = F.cross_entropy(
        tiny_model()(batch[0]).flatten(0, 1), batch[1].flatten(), ignore_index=IGNORE
    ).item()
    same(
        loss,
        wanted,
        told.rstrip(": "),
        "The gradient is right; what is returned is not the window's loss.",
        tolerance=1e-9,
    )


def language(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Texts of a language in which each of 31 words is mostly followed by its favourite one."""
    favourite = torch.randperm(31, generator=torch.Generator().manual_seed(9))
    ids = torch.randint(31, (count, length + 1), generator=generator)
    for t in range(1, length + 1):
        obeys = torch.rand(count, generator=generator) < 0.8
        ids[:, t] = torch.where(obeys, favourite[ids[:, t - 1]], ids[:, t])
    return ids[:, :-1], ids[:, 1:]


def epoch_of_windows() -> list[list[tuple[Tensor, Tensor]]]:
    """150 windows of four micro-batches of very different length, in the language above."""
    generator = torch.Generator().manual_seed(4)
    return [[language(1, n, generator) for n in (3, 5, 12, 40)] for _ in range(150)]


def clipped_gradient(
    clipped_gradient, targets: list[int], share: float, backwards: bool = False
) -> None:
    batch, model = rows(targets), tiny_model()
    truth, window = true_gradient(batch), split(batch, [1] * len(targets))
    norm = truth.norm().item()
    limit = share * norm
    told = (
        f"Rows with {targets} targets, one in a"
        f" micro-batch{', last one first' if backwards else ''}, limit {limit:.2f}: "
    )
    got = run(clipped_gradient, model, window[::-1] if backwards else window, limit)
    found = gradient(model)
    cosine = F.cosine_similarity(found, truth, dim=0).item()
    if not cosine > 1 - 1e-9:
        again = tiny_model()
        run(clipped_gradient, again, window if backwards else window[::-1], limit)
        turned = F.cosine_similarity(gradient(again), found, dim=0).item() < 1 - 1e-9
        expect(
            not turned,
            f"{told}the gradient depends on the order of the micro-batches: each call in the "
            "loop shrinks all that came before it. Clip once, after the loop.",
        )
        expect(
            False,
            f"{told}the direction is not that of the window's gradient (cosine {cosine:.3f}). "
            "Clipping multiplies the whole gradient by one number.",
        )
    length = found.norm().item()
    if share >= 1:
        expect(
            length > (1 - 1e-6) * norm,
            f"{told}it was {norm:.3f} long, which is within the limit, and "
            f"now it is {length:.3f}: {'longer' if length > norm else 'shorter'} for no reason.",
        )
        expect(
            length < (1 + 1e-6) * norm,
            f"{told}the gradient is {norm:.3f} long, within the limit; yours "
            f"is {length:.3f}. Clipping never makes it longer.",
        )
    expect(
        length < 1.0001 * limit,
        f"{told}the gradient is {length:.3f} long, is longer than the limit.",
    )
    if share < 1:
        expect(
            length > 0.999 * limit,
            f"{told}the gradient is {length:.4f} long, shorter than the limit allows. "
            "What is compared with the limit is the gradient that is used, after dividing.",
        )
    same(
        got,
        norm,
        told.rstrip(": "),
        "The log needs the norm of the window's gradient before clipping.",
        tolerance=1e-6,
    )


def counting_rows(seed: int) -> tuple[Tensor, Tensor]:
    """Rows that count up, by one or by two, so the next word can be known: input_ids, labels."""
    start = torch.randint(31, (6, 1), generator=torch.Generator().manual_seed(seed))
    by = torch.tensor([[1], [1], [1], [1], [2], [2]])
    ids = (start + by * torch.arange(13)) % 31
    return ids[:, :-1], ids[:, 1:].clone()


def draw_norms_and_losses(curves: dict[str, tuple[list[float], list[float]]]) -> None:
    """Two pictures side by side; curves: for each name the norms and the losses, step by step."""
    import matplotlib.pyplot as plt  # here, since no check draws

    figure, axes = plt.subplots(1, 2, figsize=(5.5, 2.6), layout="constrained")
    for name, (norms, losses) in curves.items():
        axes[0].plot(norms, label=name)
        axes[1].plot(losses, label=name)
    axes[0].set(xlabel="step", ylabel="norm in the log")
    axes[1].set(xlabel="step", ylabel="loss (nats/token)")
    axes[1].legend()
    plt.show()


def rank_factor(rank_factor, targets: list[int], wanted: float) -> None:
    processes, everyone = len(targets), sum(targets)
    factors = [run(rank_factor, targets, rank) for rank in range(processes)]
    present, told = sum(n > 0 for n in targets), f"{processes} processes with {targets} targets: "
    for rank, factor in enumerate(factors):
        call, own = show_call(rank_factor, targets, rank), targets[rank]
        finite = isinstance(factor, (int, float)) and math.isfinite(factor)
        expect(finite, f"{call} gave {factor!r}, not a finite number.")
        mistakes = [
            (
                1 / max(own, 1),
                f"{told}process {rank} divides by its own count: a mean of means, one level up.",
            ),
            (
                wanted / processes,
                (
                    f"{told}DDP divides by {processes} after you, so the gradient would be "
                    f"{'half as long' if processes == 2 else f'{processes} times too short'}."
                ),
            ),
            (
                wanted * processes,
                (
                    f"{told}the gradient would be"
                    f" {'twice as long' if processes == 2 else f'{processes} times too long'}: DDP"
                    f" divides by {processes} once."
                ),
            ),
            (
                wanted * 2 / processes,
                f"{told}DDP takes the mean over {processes} processes, not over 2.",
            ),
            (
                wanted * present / processes,
                f"{told}a process without a target takes part in DDP's mean all the same.",
            ),
        ]
        if everyone:
            same(
                factor,
                wanted,
                call,
                f"{told}it should be the same for all, and make the mean of the sums their "
                "sum over everybody's count.",
                mistakes,
                tolerance=1e-7,
            )


TWO_PROCESSES = """
import torch, torch.distributed as dist, torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel
from minimind_lite.model import ModelConfig, Transformer
{function}
dist.init_process_group("gloo")
rank, (input_ids, labels) = dist.get_rank(), torch.load("batch.pt")
mine = slice(0, 2) if rank == 0 else slice(2, 6)  # two rows here, four rows there
counts = torch.zeros(2, dtype=torch.long)
counts[rank] = (labels[mine] >= 0).sum()
dist.all_reduce(counts)
torch.manual_seed(0)
shape = ModelConfig(vocab_size=31, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
model = DistributedDataParallel(Transformer(shape).double())
logits = model(input_ids[mine]).flatten(0, 1)
loss = F.cross_entropy(logits, labels[mine].flatten(), reduction="sum")
{backward}
if rank == 0:
    torch.save(torch.cat([p.grad.flatten() for p in model.parameters()]), "found.pt")
dist.destroy_process_group()
"""


def in_two_processes(function: Callable, backward: str, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The gradient that DDP leaves of a batch of six rows: [parameters].

    backward: a line that calls backward(). It knows the function by its name, and the summed
    `loss` of this process, its `rank`, and the targets of each process, `counts`.
    """
    program = TWO_PROCESSES.format(function=inspect.getsource(function), backward=backward)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "two.py"]
    with tempfile.TemporaryDirectory() as folder:
        torch.save(batch, Path(folder, "batch.pt"))
        Path(folder, "two.py").write_text(program, encoding="utf-8")
        done = subprocess.run([sys.executable, *launch], cwd=folder, capture_output=True, text=True)
        expect(done.returncode == 0, f"the processes failed:\n{done.stderr[-1500:]}")
        return torch.load(Path(folder, "found.pt"))


def make_loop(
    factor: Callable, *, keep=False, limit=math.inf, only=None, mean_of_none=False, backwards=False
) -> Callable:
    """A loop that multiplies each micro-batch's summed loss by factor(its labels, all labels)."""

    def loop(model: nn.Module, micro_batches: list) -> None:
        every = [labels for _, labels in micro_batches]
        if not keep:
            model.zero_grad()
        for input_ids, labels in micro_batches[:only][:: -1 if backwards else 1]:
            logits, mask = model(input_ids).flatten(0, 1), labels.flatten() != IGNORE
            nats = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORE, reduction="sum")
            if mean_of_none and not mask.any():
                nats = logits.sum() * math.nan
            (nats * factor(labels, every)).backward()
            nn.utils.clip_grad_norm_(model.parameters(), limit)

    return loop


def count(labels) -> int:
    return max(int((labels != IGNORE).sum()), 1)


def fair(labels, every) -> float:
    return 1 / max(sum(int((other != IGNORE).sum()) for other in every), 1)


GUILTY = {
    "does not divide, so that several micro-batches are several times too long": make_loop(
        lambda own, every: 1 / count(own)
    ),
    "takes the mean of means, which only replies of different length show": make_loop(
        lambda own, every: 1 / count(own) / len(every)
    ),
    "does not clear what is already there, which only a second window shows": make_loop(
        fair, keep=True
    ),
    "gives NaN for a micro-batch without a target. "
    "(NaN > 1e-10 is False: compare so that NaN fails)": make_loop(fair, mean_of_none=True),
    "divides by all positions, targets or not. "
    "All splits agree with each other; only the truth tells": make_loop(
        lambda own, every: 1 / sum(other.numel() for other in every)
    ),
    "clips in the loop": make_loop(fair, limit=0.3),
}
INNOCENT = {
    "accumulate_gradients of the package, "
    "whose last digits are rounded otherwise than those of one batch": accumulate_gradients,
    "one that adds up in another order": make_loop(fair, backwards=True),
}


def catches(suspicious, loop: Callable, crime: str) -> None:
    expect(run(suspicious, loop) is True, f"suspicious let a loop go that {crime}.")


def lets_go(suspicious, loop: Callable, reason: str) -> None:
    expect(run(suspicious, loop) is False, f"suspicious arrested an innocent loop, {reason}.")
