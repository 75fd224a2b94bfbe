"""What a run was: run.json beside its results, by which it can be run once more.

It holds the command, every option, the preset, the versions, the machine, and a fingerprint of
all that was read. `--config run.json --out ELSEWHERE` gives the same loss curve on the same
machine; if a file is no longer what it was, that is said instead.
"""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from minimind_lite.files import read_json, replacing, write_json
from minimind_lite.resume import processes, saved_states

# What a run's tokens depend on: these options, and the contents of these files, wherever they are.
OF_TOKENS = {
    "options": ("rehearse_texts", "skip_unusable", "sequence_length"),
    "inputs": ("data", "tokenizer", "model", "rehearse"),
}


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of the JSON and weight files of a directory with their names."""
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is missing.")
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.suffix in (".json", ".safetensors"):
            digest.update(f"{file.name} {fingerprint(file)}\n".encode())
    return digest.hexdigest()


def describe_run(command: str, preset: str, options: dict, device: torch.device) -> dict:
    """What run.json holds. options: all of them by name; those that are paths were read, but "out"."""
    packages = {name: version(name) for name in ("torch", "tokenizers", "safetensors")}
    return {
        "command": command, "preset": preset,
        "options": {name: str(value.resolve()) if isinstance(value, Path) else value
                    for name, value in options.items()},
        "settled": {},
        "inputs": {name: fingerprint(value) for name, value in options.items()
                   if isinstance(value, Path) and name != "out"},
        "versions": {"python": platform.python_version()} | packages,
        "machine": {"system": platform.platform(), "device": device.type,
                    "threads": torch.get_num_threads(), "processes": processes()},
    }  # fmt: skip


def write_run(directory: Path, run: dict) -> None:
    """Write directory/run.json; with the number format that "auto" chose, once a state names it."""
    states = saved_states(directory)
    if states:
        try:
            run["settled"] = {"number_format": read_json(states[-1] / "state.json")["number_format"]}
        except (ValueError, KeyError, FileNotFoundError):
            pass  # a damaged state: resuming from it says so, better than this could
    with replacing(directory / "run.json") as unfinished:
        write_json(unfinished, run)


def check_tokens(directory: Path, run: dict) -> None:
    """Raise ValueError if directory/tokens was made from something else than this run is to read.

    A run that stopped before its first saved state leaves only its tokens; started again with
    other data, it would learn from the old ones and say nothing.
    """
    path = directory / "run.json"
    if not path.is_file() or not (directory / "tokens").is_dir():
        return
    before = read_json(path)
    for kind, names in OF_TOKENS.items():
        for name in names:
            if before.get(kind, {}).get(name) != run[kind].get(name):
                raise ValueError(
                    f"{directory / 'tokens'} was made with another {name}: use another directory, "
                    "or delete this one to begin again."
                )


def check_repeat(config: dict, options: dict, processes: int) -> None:
    """Raise ValueError if running config, a run.json, once more would be another run in silence.

    That is if something that it read, and that will be read again, has changed since; or if
    another number of processes would make windows of other rows of the same options.
    """
    before = config.get("machine", {}).get("processes", processes)
    cut = ("micro_batch_size", "accumulation_steps")
    if before != processes and all(options[name] == config["options"][name] for name in cut):
        raise ValueError(
            f"{config['path']} is of a run on {before} processes and this is one on {processes}: start as "
            f"many with torchrun --nproc_per_node={before}, or give --accumulation-steps so that a window "
            "holds as many rows."
        )
    for name, was in config.get("inputs", {}).items():
        path = options.get(name)
        if path is None or str(path.resolve()) != config["options"].get(name):
            continue
        if fingerprint(path) != was:
            raise ValueError(
                f"{path} is not what it was when {config['path']} was written, so this would be another "
                f'run: bring it back, or delete "{name}" under "inputs" there to use it as it is now.'
            )
