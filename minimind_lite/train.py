"""The training loop: pretraining and fine-tuning differ by their data, not by their code.

One optimizer step is one *window* of micro-batches. `accumulate_gradients` gives the window's
exact gradient, `train` does the rest: clip, schedule, step, log, save, resume.
"""

import math
import os
import shutil
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from minimind_lite.ahead import ahead
from minimind_lite.data import IGNORE, widened
from minimind_lite.model import Transformer, summed_loss
from minimind_lite.optimizers import AdamW, Muon
from minimind_lite.resume import (
    Interrupt,
    format_name,
    is_main,
    load_training_state,
    processes,
    resume_log,
    save_training_state,
    say,
    write_log,
)


@dataclass
class TrainConfig:
    """How to train. Steps are optimizer steps; rates are per optimizer step."""

    total_steps: int = 1000
    max_lr: float = 1e-3
    min_lr: float = 1e-4
    warmup_steps: int = 50
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    max_grad_norm: float = 1.0
    sequence_length: int = 256
    micro_batch_size: int = 16
    accumulation_steps: int = 1
    seed: int = 0
    save_every: int = 200
    number_format: str = "auto"  # "float32", "bfloat16", or "auto": the faster on this machine
    optimizer: str = "adamw"  # or "muon": that for the layers' matrices, AdamW for the rest
    compile: bool = False  # torch.compile: faster steps, after a first one that takes long

    def __post_init__(self):
        if self.number_format not in ("auto", "float32", "bfloat16"):
            raise ValueError(
                f"number_format is {self.number_format!r}: choose auto, float32 or bfloat16."
            )
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer is {self.optimizer!r}: choose adamw or muon.")
        for name in ("total_steps", "sequence_length", "micro_batch_size", "accumulation_steps", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}.")


def learning_rate(
    step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int
) -> float:
    """Linear warm-up from 0, then a half cosine down to min_lr (Loshchilov & Hutter, 2017).

    step counts optimizer steps from 0; max_lr is reached at warmup_steps, min_lr at total_steps.

    >>> [learning_rate(s, max_lr=8, min_lr=2, warmup_steps=2, total_steps=6) for s in (0, 1, 2, 4, 6)]
    [0.0, 4.0, 8.0, 5.0, 2.0]
    """
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step >= total_steps:
        return float(min_lr)
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * progress)) / 2


def accumulate_gradients(model: nn.Module, micro_batches: list, number_format=torch.float32) -> float:
    """Leave in .grad the gradient of the window's loss, and return that loss in nats a target.

    The loss is (sum of cross-entropy) / (number of targets) over all micro-batches of the window
    and all processes, however the samples are split among them. micro_batches: non-empty list of
    (input_ids, labels) or (input_ids, labels, segment_ids), each [batch, seq], labels already
    shifted by one, -100 where there is no target. A window without any target leaves gradients
    of zero and returns 0. Raises ValueError for an empty list.
    """
    nats, targets = window_gradients(model, micro_batches, number_format)
    return all_reduce_sum(nats.item()) / max(targets, 1)


def window_gradients(model: nn.Module, micro_batches: list, number_format) -> tuple[torch.Tensor, int]:
    """`accumulate_gradients` that does not wait for a GPU to finish.

    Returns this process's sum of losses, still on its device, and how many targets all have.
    """
    if not micro_batches:
        raise ValueError("a window needs at least one micro-batch, if only one without targets.")
    device = next(model.parameters()).device
    targets = int(all_reduce_sum(count_targets(micro_batches)))
    quiet = getattr(model, "no_sync", nullcontext)  # DDP talks in every backward pass unless told
    model.zero_grad(set_to_none=True)
    losses = []
    for index, micro_batch in enumerate(micro_batches):
        last = index == len(micro_batches) - 1
        with nullcontext() if last else quiet():
            loss = summed_cross_entropy(model, micro_batch, device, number_format)
            # DDP averages over processes; we want their sum, hence the factor.
            (loss * (processes() / max(targets, 1))).backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum(dtype=None if device.type == "mps" else torch.float64), targets


def count_targets(micro_batches: list) -> int:
    """How many labels of this process's part of the window are targets."""
    return sum(int((labels != IGNORE).sum()) for _, labels, *_ in micro_batches)


def summed_cross_entropy(model, micro_batch, device, number_format=torch.float32):
    """The sum of -ln p(label) over the targets of one micro-batch, in nats.

    Logits are made only where something is asked, if the model is a `Transformer`.
    """
    input_ids, labels, *segments = micro_batch
    positions = (labels.flatten() != IGNORE).nonzero().flatten()
    targets = [sent(t, device) for t in (positions, labels.flatten()[positions])]
    named = {"segment_ids": sent(segments[0], device)} if segments and segments[0] is not None else {}
    with torch.autocast(device.type, number_format, enabled=number_format == torch.bfloat16):
        if type(unwrapped(model)) is Transformer:
            return model(sent(input_ids, device), targets=targets, **named)
        logits = model(sent(input_ids, device), **named)  # [batch, seq, vocab]
        return summed_loss(logits.flatten(0, 1)[targets[0]], targets[1])


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on a device. A GPU fetches it from page-locked memory, and nobody waits."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=device.type == "cuda")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model that `torch.compile` and DDP have wrapped."""
    model = getattr(model, "_orig_mod", model)
    return model.module if isinstance(model, DistributedDataParallel) else model


def all_reduce_sum(value: float) -> float:
    """The sum of a number over all processes. It goes by way of the CPU, so no GPU is waited for."""
    if processes() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(total)
    return total.item()


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon for the layers' matrices and AdamW for the rest.

    Weight decay is for matrices only: pulling a norm's scale to 0 makes no sense. Muon (Jordan et
    al., 2024) gives every direction of a matrix the same step, scaled here as AdamW's would be, so
    that one learning rate serves both (Liu et al., 2025).
    """
    vectors = [p for p in model.parameters() if p.dim() < 2]
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    hidden = [p for p in model.layers.parameters() if p.dim() >= 2] if config.optimizer == "muon" else []
    groups = [
        {"params": [p for p in matrices if not any(p is h for h in hidden)], "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizers = [AdamW(groups, lr=0.0, betas=(config.beta1, config.beta2), fused=True)]
    if hidden:
        optimizers.append(Muon(
            hidden, lr=0.0, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw",
            ns_steps=3,  # cheaper than torch's five
        ))  # fmt: skip
    return optimizers


def pick_device() -> torch.device:
    """The GPU of this process if there is one, else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """The model run by `torch.compile`; its weights stay where they are.

    Raises ValueError on a CPU without the compiler that it takes there.
    """
    if device.type == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
        raise ValueError("compile needs the C++ compiler g++ on a CPU: install it, or leave compile false.")
    return torch.compile(model)


def makes_windows_ahead(device: torch.device) -> bool:
    """On a CPU the thread would take the time from the training itself."""
    return device.type == "cuda"


def choose_number_format(config: TrainConfig, model, micro_batch, device) -> torch.dtype:
    """What the configuration says; for "auto", the faster one on this machine by a timing.

    bfloat16 has to make a forward and backward pass at least a tenth faster to be chosen.
    """
    if config.number_format != "auto":
        return getattr(torch, config.number_format)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type != "cpu":
        return torch.float32
    times = {torch.float32: [], torch.bfloat16: []}
    for _ in range(6):  # in turn, since a machine's speed drifts
        for number_format, seconds in times.items():
            began = time.perf_counter()
            summed_cross_entropy(model, micro_batch, device, number_format).backward()
            seconds.append(time.perf_counter() - began)
    model.zero_grad(set_to_none=True)
    # the first pass also allocates; the sum lets all processes come to the same choice
    fastest = {f: all_reduce_sum(min(seconds[1:])) for f, seconds in times.items()}
    return min(fastest, key=lambda f: fastest[f] * (1.0 if f == torch.float32 else 1.1))


def training_step(
    model: nn.Module, optimizers: list, micro_batches: list, step: int, config: TrainConfig,
    number_format=torch.float32,
) -> dict:  # fmt: skip
    """One optimizer step on one window; returns what the log says of it.

    Gradients are summed over the window first, then clipped once, then used. Raises
    FloatingPointError, before the weights are touched, if the loss or the norm is not finite.
    """
    nats, targets = window_gradients(model, micro_batches, number_format)
    norm = nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
    nats, norm = torch.stack((nats, norm.to(nats.dtype))).tolist()  # here a GPU is waited for
    loss = all_reduce_sum(nats) / max(targets, 1)
    if not math.isfinite(loss) or not math.isfinite(norm):
        raise FloatingPointError(
            f"step {step}: the loss is {loss} and the gradient's norm {norm}. The weights were "
            f"not changed; look at windows[{step}], and go on from the last checkpoint."
        )
    lr = learning_rate(
        step + 1, max_lr=config.max_lr, min_lr=config.min_lr,
        warmup_steps=config.warmup_steps, total_steps=config.total_steps,
    )  # fmt: skip
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
    clipped = norm > config.max_grad_norm
    return {"step": step + 1, "loss": loss, "lr": lr, "grad_norm": norm, "clipped": clipped, "tokens": targets}


def train(
    model: nn.Module, windows, config: TrainConfig, directory: Path | None = None, *,
    description: str | None = "training", validate: Callable | None = None, validate_every: int = 100,
    on_step: Callable | None = None,
) -> list[dict]:  # fmt: skip
    """Train `model` in place for config.total_steps windows; returns the log, one dict a step.

    windows[step] gives a step's micro-batches. With a `directory`, state is saved there every
    `save_every` steps and after the last, the log goes to log.jsonl, and a run that finds a saved
    state there goes on from it. A log entry is about the whole window, over all processes: step
    (counted from 1), loss (nats a target), lr, grad_norm (before clipping), clipped, clip_rate
    (of the last 100 steps), tokens (targets), seconds, tokens_per_second. validate() -> dict joins
    it every `validate_every` steps and after the last one; on_step(entry) is called after each
    step; without a description there is no progress bar.

    Raises FloatingPointError for a loss that is not finite, KeyboardInterrupt after an orderly
    stop by Ctrl-C, ValueError for a saved state of another run, OSError for a full disk. Whatever
    happens, the last saved state stays.
    """
    bare = unwrapped(model)
    device = next(model.parameters()).device
    directory = None if directory is None else Path(directory)
    optimizers = make_optimizers(bare, config)
    first_step, number_format = load_training_state(directory, bare, optimizers, config)
    if all_reduce_sum(first_step) != first_step * processes():
        raise ValueError(f"the processes see different states in {directory}: it must be one that all can read.")
    if number_format is None:
        number_format = choose_number_format(config, bare, windows[first_step][0], device)
        if description is not None:
            say(f"{description}: {device.type}, {format_name(number_format)}")
    log = resume_log(directory, first_step)
    model.train()
    running = compiled(model, device) if config.compile else model
    progress = tqdm(
        total=config.total_steps, initial=first_step, desc=description, unit="step",
        disable=description is None or not is_main(),
    )  # fmt: skip
    steps = range(first_step, config.total_steps)
    coming = ahead(windows, steps) if makes_windows_ahead(device) else (windows[step] for step in steps)
    with Interrupt() as interrupt, progress, closing(coming):
        for step in steps:
            began = time.perf_counter()
            micro_batches = next(coming)
            if config.compile:  # another width would be compiled again
                micro_batches = [widened(m, config.sequence_length) for m in micro_batches]
            entry = training_step(running, optimizers, micro_batches, step, config, number_format)
            entry["seconds"] = time.perf_counter() - began
            entry["tokens_per_second"] = round(entry["tokens"] / entry["seconds"])
            recent = [e["clipped"] for e in log[-99:]] + [entry["clipped"]]
            entry["clip_rate"] = round(sum(recent) / len(recent), 2)
            done = step + 1 == config.total_steps
            if validate is not None and (done or (step + 1) % validate_every == 0):
                model.eval()
                entry |= validate()
                model.train()
            log.append(entry)
            write_log(directory, entry)
            stop = bool(all_reduce_sum(float(interrupt.asked)))
            if directory is not None and (stop or done or (step + 1) % config.save_every == 0):
                save_training_state(directory, step + 1, bare, optimizers, config, number_format)
            if on_step is not None:
                on_step(entry)
            progress.set_postfix_str(
                f"loss {entry['loss']:.3f}, {entry['tokens_per_second']:,} tokens/s", refresh=False
            )
            progress.update()
            if stop and not done:
                how = f"; run the same command again to go on from {directory}" if directory else ""
                raise KeyboardInterrupt(f"stopped after step {step + 1} of {config.total_steps}{how}.")
    model.eval()
    return log
