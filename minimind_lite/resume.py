"""A run that can stop at any instant and go on as if nothing had happened.

A *state* holds all that the next step depends on, in full precision: weights, the optimizer's
moments, the random state, and the step, which is also the data position (see `data.Windows`).
"""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from tqdm.auto import tqdm

from minimind_lite.checkpoint import read_json, read_tensors, replacing, write_json


def is_main() -> bool:
    """True in the process that prints and writes: rank 0, or the only one."""
    return not dist.is_initialized() or dist.get_rank() == 0


def say(text: str) -> None:
    """Print a line above the progress bar, once."""
    if is_main():
        tqdm.write(text, file=sys.stderr)


def format_name(number_format: torch.dtype) -> str:
    return str(number_format).removeprefix("torch.")


def write_log(directory: Path | None, entry: dict) -> None:
    """Append one line to log.jsonl (by the first process alone)."""
    if directory is None or not is_main():
        return
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "log.jsonl", "a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(entry) + "\n")


def resume_log(directory: Path | None, step: int) -> list[dict]:
    """The log's entries up to `step`; later ones, of steps that were lost, are cut off."""
    path = None if directory is None else directory / "log.jsonl"
    if path is None or not path.is_file():
        return []
    log = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # a line half written when the run was killed
            break
        if entry["step"] > step:
            break
        log.append(entry)
    if is_main():
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text("".join(json.dumps(e) + "\n" for e in log), encoding="utf-8", newline="\n")
        unfinished.replace(path)
    return log


def saved_states(directory: Path) -> list[Path]:
    """The finished state directories, oldest first."""
    found = [p for p in directory.glob("step-*") if p.name[5:].isdigit()]
    return sorted(found, key=lambda p: int(p.name[5:]))


def save_training_state(directory, step, model, optimizers, config, number_format) -> None:
    """Save all that the next step depends on, in full precision, and forget the state before.

    step-N/: weights and optimizer moments in state.safetensors, the random state with them;
    the step (which is also the data position) and the configuration in state.json.
    """
    if not is_main():
        return
    names = {p: name for name, p in model.named_parameters()}
    tensors = {f"model.{name}": p.detach() for p, name in names.items()}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                tensors[f"optimizer.{key}.{names[parameter]}"] = torch.as_tensor(value)
    tensors["random_state"] = torch.get_rng_state()
    before = saved_states(directory)
    with replacing(directory / f"step-{step:08d}") as unfinished:
        save_file({k: v.contiguous() for k, v in tensors.items()}, unfinished / "state.safetensors")
        write_json(unfinished / "state.json", {
            "step": step, "number_format": format_name(number_format),
            "config": asdict(config),
        })  # fmt: skip
    for old in before:
        if old.name != f"step-{step:08d}":
            shutil.rmtree(old)


def load_training_state(directory, model, optimizers, config) -> tuple[int, torch.dtype | None]:
    """Restore the newest saved state; (steps done, number format), or (0, None) if there is none."""
    states = [] if directory is None else saved_states(directory)
    if not states:
        return 0, None
    state = read_json(states[-1] / "state.json")
    free = {"save_every"}  # may change between runs without changing the result
    for name, value in asdict(config).items():
        if name not in free and state["config"].get(name) != value:
            raise ValueError(
                f"{states[-1]} was made with {name}={state['config'].get(name)!r}, this run has "
                f"{value!r}: use another directory, or the same configuration."
            )
    tensors = read_tensors(states[-1] / "state.safetensors")
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            saved = tensors.get(f"model.{name}")
            if saved is None or saved.shape != parameter.shape:
                raise ValueError(f"{states[-1]} belongs to a model of another shape ({name}).")
            parameter.copy_(saved)
    owner = {p: o for o in optimizers for group in o.param_groups for p in group["params"]}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, kind, name = key.split(".", 2)
            parameter = parameters[name]
            # the step counter stays where the fused kernel wants it: beside its parameter
            owner[parameter].state[parameter][kind] = value.to(parameter.device)
    torch.set_rng_state(tensors["random_state"])
    return state["step"], getattr(torch, state["number_format"])
