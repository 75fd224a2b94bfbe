"""What the widgets in the pages read, written when the book is rendered: as scripts, because a page
opened from a file may load scripts and nothing else.

- `lite_data.js`: the tokenizer of the `lite` preset and one trained on the package's own code (chapter
  08 uses it too), each the contents of its tokenizer.json; how large the file of weights is.
- `lite_weights.js`: the chat model of chapter 08, float16 in base64.

Both come from runs/. What is not trained yet is `null`, and the page says how to make it.
"""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

import minimind_lite
from minimind_lite import corpus, recipe
from minimind_lite.checkpoint import load_model
from minimind_lite.model import Transformer
from minimind_lite.tokenizer import Tokenizer

MOST = 5_000_000  # bytes: the weights have to load on a phone


def write(static: Path) -> None:
    """Write both files into a folder; the weights only if there are any."""
    tokenizer, model = trained()
    weights = None if model is None else weights_script(model)
    if weights is not None:
        (static / "lite_weights.js").write_text(weights, encoding="ascii", newline="\n")
    values = {
        "tokenizerFile": None if tokenizer is None else tokenizer_file(tokenizer),
        "coderFile": tokenizer_file(coder()),
        "weightsSize": None if weights is None else len(weights),
    }
    (static / "lite_data.js").write_text(script(values), encoding="ascii", newline="\n")


def script(values: dict) -> str:
    """A script that gives MiniMind these values; ASCII, so that no page can misread it."""
    text = json.dumps(values, separators=(",", ":"))
    return f'"use strict";\nvar MiniMind = globalThis.MiniMind || {{}};\nObject.assign(MiniMind, {text});\n'


def trained() -> tuple[Tokenizer | None, Transformer | None]:
    """The tokenizer and the chat model of the `lite` preset as they lie in runs/; None for what does not."""
    with lite():
        # Asking the recipe for a directory writes a missing corpus, which rendering must not do.
        texts = recipe.place("corpus", recipe.preset().corpus, corpus.fingerprint())
        if not all((texts / name).is_file() for name in corpus.FILES.values()):
            return None, None
        tokenizer, chat = recipe.tokenizer_directory(), recipe.sft_directory() / "model"
    return (
        Tokenizer.from_pretrained(tokenizer) if (tokenizer / "tokenizer.json").is_file() else None,
        load_model(chat) if (chat / "config.json").is_file() else None,
    )


@contextmanager
def lite() -> Iterator[None]:
    """The pages hold the `lite` model, whatever preset the chapters are run with."""
    before = os.environ.get("MINIMIND_LITE_PRESET")
    os.environ["MINIMIND_LITE_PRESET"] = "lite"
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINIMIND_LITE_PRESET"]
        else:
            os.environ["MINIMIND_LITE_PRESET"] = before


def coder() -> Tokenizer:
    """A tokenizer that has read code: this package's, as chapter 08 trains it."""
    paths = sorted(Path(minimind_lite.__file__).parent.glob("*.py"))
    return Tokenizer.train([path.read_text(encoding="utf-8") for path in paths], 1024)


def tokenizer_file(tokenizer: Tokenizer) -> dict:
    return json.loads(tokenizer.backend.to_str())


def weights_script(model: Transformer) -> str:
    """The model as a script. Raises ValueError if it is too large for a page or for float16."""
    tensors, halves, start = {}, [], 0
    for name, parameter in model.named_parameters():  # tied weights come once
        half = parameter.detach().half()
        if not torch.isfinite(half).all():
            raise ValueError(f"{name} has a value that float16 cannot hold: the page would show nonsense.")
        tensors[name.removesuffix(".weight")] = {"start": start, "shape": list(half.shape)}
        halves.append(half.flatten())
        start += half.numel()
    data = torch.cat(halves).numpy().astype("<f2").tobytes()
    text = script({"weightsFile": {
        "config": asdict(model.config), "tensors": tensors, "float16": base64.b64encode(data).decode(),
    }})  # fmt: skip
    if len(text) > MOST:
        raise ValueError(f"the weights take {len(text):,} bytes as a script; a page may load {MOST:,}.")
    return text
