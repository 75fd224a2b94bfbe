"""A run that can stop at any instant and go on as if nothing had happened.

A *state* holds all that the next step depends on, in full precision: weights, the optimizer's
moments, the random state, and the step, which is also the data position (see `data.Windows`).
"""

import json
import math
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from tqdm.auto import tqdm

from minimind_lite.checkpoint import read_tensors
from minimind_lite.files import explaining, read_json, remove, replacing, write_json


def processes() -> int:
    """How many processes train together (1 outside torchrun)."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """True in the process that prints and writes: rank 0, or the only one."""
    return not dist.is_initialized() or dist.get_rank() == 0


def say(text: str) -> None:
    """Print a line above the progress bar, once."""
    if is_main():
        tqdm.write(text, file=sys.stderr)


def format_name(number_format: torch.dtype) -> str:
    return str(number_format).removeprefix("torch.")


class Interrupt:
    """Turns Ctrl-C (or SIGTERM) into a flag, so that the step at hand is finished and saved."""

    def __enter__(self):
        self.asked = False
        self.previous = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self.previous[number] = signal.signal(number, self.ask)
            except ValueError:  # only the main thread may set handlers; elsewhere it stays as it was
                pass
        return self

    def ask(self, number, frame):
        self.asked = True

    def __exit__(self, *_):
        for number, handler in self.previous.items():
            signal.signal(number, handler)


def write_log(directory: Path | None, entry: dict) -> None:
    """Append one line to log.jsonl (by the first process alone). Raises OSError on a full disk."""
    if directory is None or not is_main():
        return
    path = directory / "log.jsonl"
    with explaining(path, safe="the last saved state"):
        directory.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8", newline="\n") as file:
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
        with replacing(path) as unfinished:
            text = "".join(json.dumps(e) + "\n" for e in log)
            unfinished.write_text(text, encoding="utf-8", newline="\n")
    return log


def saved_states(directory: Path) -> list[Path]:
    """The finished state directories, oldest first."""
    found = [p for p in directory.glob("step-*") if p.name[5:].isdigit()]
    return sorted(found, key=lambda p: int(p.name[5:]))


def save_training_state(directory, step, model, optimizers, config, number_format) -> None:
    """Save all that the next step depends on, in full precision, and forget the state before.

    step-N/: weights and optimizer moments in state.safetensors, the random state with them;
    the step (which is also the data position) and the configuration in state.json. Raises OSError
    on a full disk, and the state before stays.
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
    place = directory / f"step-{step:08d}"
    with replacing(place) as unfinished:
        unfinished.mkdir()
        save_file({k: v.contiguous() for k, v in tensors.items()}, unfinished / "state.safetensors")
        write_json(unfinished / "state.json", {
            "step": step, "number_format": format_name(number_format), "processes": processes(),
            "config": asdict(config), "model": shape_of(model),
        })  # fmt: skip
    for old in directory.glob("step-*"):  # the state before, and what a kill left half written
        if old != place:
            remove(old)


def shape_of(model) -> dict:
    """The model's configuration as a dict; empty for a model that has none."""
    return asdict(model.config) if hasattr(model, "config") else {}


def check_same_run(path: Path, state: dict, model, config) -> None:
    """Raise ValueError, in one sentence, if the state at `path` is not one of this run.

    What may change is where a window is cut, by micro_batch_size, accumulation_steps and the
    number of processes, as long as it holds the same rows: the gradient does not depend on it.
    """
    advice = "use another directory, or the same configuration."
    saved, now = state["config"], asdict(config)
    cut = ("micro_batch_size", "accumulation_steps")
    for name, value in (now | shape_of(model)).items():
        before = (saved | state.get("model", shape_of(model))).get(name)
        if name not in ("save_every", *cut) and before != value:
            raise ValueError(f"{path} was made with {name}={before!r}, this run has {value!r}: {advice}")
    then = [saved[name] for name in cut] + [state.get("processes", 1)]
    here = [now[name] for name in cut] + [processes()]
    if math.prod(then) != math.prod(here):
        raise ValueError(
            f"{path} was made with windows of {math.prod(then)} rows (micro_batch_size {then[0]} x "
            f"accumulation_steps {then[1]} x processes {then[2]}), this run's have {math.prod(here)} "
            f"({here[0]} x {here[1]} x {here[2]}): make the products equal, or use another directory."
        )


def read_state(path: Path) -> tuple[dict, dict]:
    """state.json and the tensors of one state. Raises ValueError if either is missing or damaged."""
    try:
        state, tensors = read_json(path / "state.json"), read_tensors(path / "state.safetensors")
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{error} Without one, delete {path} to begin the run again.") from error
    if not {"step", "number_format", "config"} <= state.keys() or "random_state" not in tensors:
        raise ValueError(f"{path} is not a whole state: delete it to begin the run again.")
    return state, tensors


def load_training_state(directory, model, optimizers, config) -> tuple[int, torch.dtype | None]:
    """Restore the newest saved state; (steps done, number format), or (0, None) if there is none.

    Raises ValueError, before anything is changed, if the state is damaged or of another run.
    """
    states = [] if directory is None else saved_states(directory)
    if not states:
        return 0, None
    state, tensors = read_state(states[-1])
    check_same_run(states[-1], state, model, config)
    parameters = dict(model.named_parameters())
    shapes = {k.removeprefix("model."): v.shape for k, v in tensors.items() if k.startswith("model.")}
    for name in parameters.keys() | shapes.keys():
        if name not in parameters or shapes.get(name) != parameters[name].shape:
            raise ValueError(f"{states[-1]} belongs to a model of another shape ({name}).")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"model.{name}"])
    owner = {p: o for o in optimizers for group in o.param_groups for p in group["params"]}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, kind, name = key.split(".", 2)
            parameter = parameters[name]
            # the step counter stays where the fused kernel wants it: beside its parameter
            owner[parameter].state[parameter][kind] = value.to(parameter.device)
    torch.set_rng_state(tensors["random_state"])
    return state["step"], getattr(torch, state["number_format"])
