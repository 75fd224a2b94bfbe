"""Who takes part: those that are here and work; the others are named, with what would bring them."""

import importlib.util
import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch import Tensor

from bench_peers import OURS, MiniMind, NanoGPT, Ours, Transformers

CHECKOUTS = {  # name on the command line: (name, the file that shows that it is one)
    "minimind": ("MiniMind", "model/model_minimind.py"),
    "nanogpt": ("nanoGPT", "model.py"),
    "minbpe": ("minbpe", "minbpe/regex.py"),
}


def checkout(option: str, directory: Path) -> Path:
    """The folder of a checkout. Raises ValueError if it is something else."""
    name, file = CHECKOUTS[option]
    if not (directory / file).is_file():
        raise ValueError(
            f"--{option} {directory}: there is no {file} in it; name the folder of a {name} checkout."
        )
    return directory.resolve()


def model_peers(
    directories: dict[str, Path], only: tuple = (OURS, "transformers", "MiniMind")
) -> tuple[list, dict]:
    """Ours and the peers that have a model; and {name: what would bring it} of those absent.

    directories: {option of CHECKOUTS: folder}; only: the names that a row wants.
    """
    present, absent = [Ours()], {}
    if importlib.util.find_spec("transformers"):
        present.append(Transformers())
    else:
        absent["transformers"] = "not installed"
    for option, kind in (("minimind", MiniMind), ("nanogpt", NanoGPT)):
        name = CHECKOUTS[option][0]
        if option not in directories:
            absent[name] = f"name a checkout with --{option} FOLDER"
        elif name == "MiniMind" and "transformers" in absent:
            absent[name] = "needs transformers"
        else:
            present.append(kind(directories[option]))
    return [p for p in present if p.name in only], {
        name: why for name, why in absent.items() if name in only
    }


def attempt(peers: list, absent: dict[str, str], prepare) -> dict:
    """{name: prepare(peer)}; a peer that fails is moved to `absent` with its error. Ours may not fail."""
    ready = {}
    for peer in peers:
        if peer.name == OURS:
            ready[peer.name] = prepare(peer)
            continue
        try:
            with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
                ready[peer.name] = prepare(peer)
        except Exception as error:  # their code may raise anything, and costs only its own column
            absent[peer.name] = (
                f"failed here: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"
            )
    return ready


def same_weights(peers: dict[str, tuple], input_ids: Tensor) -> float:
    """Give every peer of the same function our weights; the largest difference of a logit.

    peers: {name: (peer, model)}. Raises ValueError if they do not compute the same function, for
    then a comparison of speeds would mean nothing.
    """
    ours, model = peers[OURS]
    with torch.no_grad():
        wanted = ours.logits(model, input_ids)
        worst = 0.0
        for name, (peer, theirs) in peers.items():
            if name != OURS and peer.same_function:
                peer.load(theirs, model.state_dict())
                worst = max(worst, float((peer.logits(theirs, input_ids) - wanted).abs().max()))
    if worst > 1e-3:
        raise ValueError(
            f"with the same weights the logits differ by {worst:.2g}: not the same function."
        )
    return worst
