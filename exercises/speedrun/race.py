"""The rules of the race, checked: what a submission is given, what it may return, how it is scored."""

import importlib.util
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exercises.speedrun.flops import Budget, Overrun
from minimind_lite import corpus, recipe
from minimind_lite.evaluate import bits_per_byte
from minimind_lite.model import Transformer
from minimind_lite.tokenizer import Tokenizer

FLOPS = 1e12  # the budget: about a thirtieth of what chapter 05 spends
SCORED = 200  # validation texts in the score
SUSPICIOUS = 4.0  # standard errors by which fresh text may be harder than validation text


class RuleBroken(Exception):
    """Why a submission is disqualified."""


@dataclass
class Race:
    """What a submission's run(race) is given."""

    texts: list[str]  # the training texts of the built-in corpus, all that may be read
    flops: float  # the whole budget
    most_parameters: int  # those of `lite`
    counted: Callable[[], float]  # FLOPs spent so far

    @property
    def left(self) -> float:
        """FLOPs that are left."""
        return self.flops - self.counted()


class Watch:
    """Notes which files are opened for the first time while it is on; an audit hook can't be removed."""

    def __init__(self):
        self.on, self.opened = False, []
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple) -> None:
        if self.on and event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            self.opened.append(os.fsdecode(arguments[0]))


def run_submission(
    path: Path, flops: float = FLOPS, seed: int | None = None, scored: int = SCORED
) -> dict:
    """Run and score one submission; returns its line of the table.

    seed: for the fresh texts; drawn after training if it is left out. Raises RuleBroken with the
    rule, and whatever the submission itself raises.
    """
    files = recipe.corpus_files()
    texts = list(corpus.read_texts(files["pretrain"]))
    run = load(path)
    budget = Budget(flops)
    most = count_parameters(Transformer(recipe.PRESETS["lite"].model))
    race = Race(texts, flops, most, lambda: budget.spent)
    watch, began = Watch(), time.perf_counter()
    generators = corpus.documents, corpus.grammar
    corpus.documents = corpus.grammar = forbidden
    watch.on = True
    try:
        with budget:
            returned = run(race)
    except Overrun:
        pass  # looked at below, since a submission may have caught it, too
    finally:
        watch.on = False
        corpus.documents, corpus.grammar = generators
    if budget.spent > flops:
        raise RuleBroken(
            f"the budget of {flops:.3g} FLOPs is overrun: stop while race.left is enough for one more step."
        )
    seconds = time.perf_counter() - began
    check_files(
        watch.opened, {os.path.realpath(files[name]) for name in files if name != "pretrain"}
    )
    model, tokenizer = rebuilt(returned, most)
    held_out = list(corpus.read_texts(files["pretrain_valid"]))[:scored]
    seed = int.from_bytes(os.urandom(4), "little") if seed is None else seed
    fresh = [document.text for document in corpus.documents(f"speedrun/{seed}", scored)]
    scores = {
        name: by_text(model, tokenizer, some)
        for name, some in (("valid", held_out), ("fresh", fresh))
    }
    check_unseen(scores["valid"], scores["fresh"])
    size = sum(len(text.encode("utf-8")) for text in held_out)
    return {
        "bits_per_byte": sum(bits for bits, _ in scores["valid"]) / size,
        "floor": corpus.entropy_bits_per_byte(), "flops": budget.spent, "budget": flops,
        "parameters": count_parameters(model), "vocab_size": tokenizer.vocab_size,
        "shape": f"{model.config.num_hidden_layers} × {model.config.hidden_size}", "seconds": round(seconds, 1),
    }  # fmt: skip


def load(path: Path):
    """The run function of a submission's file. Raises FileNotFoundError or RuleBroken."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: name a Python file with a function run(race).")
    spec = importlib.util.spec_from_file_location("submission", path)
    module = importlib.util.module_from_spec(spec)
    with Budget(0):  # nothing is trained while the file is read
        try:
            spec.loader.exec_module(module)
        except Overrun:
            raise RuleBroken(
                "the file computes before run(race) is called, where nothing is counted."
            ) from None
    if not callable(getattr(module, "run", None)):
        raise RuleBroken(f"{path} has no function run(race).")
    return module.run


def forbidden(*_, **__):
    raise RuleBroken("the corpus may not be generated anew: train on race.texts.")


def check_files(opened: list[str], held_out: set[str]) -> None:
    """Raise RuleBroken if one of the corpus's other files was read while training."""
    for name in opened:
        if os.path.realpath(name) in held_out:
            raise RuleBroken(f"{Path(name).name} was read while training: train on race.texts.")


def rebuilt(returned, most_parameters: int) -> tuple[Transformer, Tokenizer]:
    """The model and the tokenizer, made anew from shape, weights and files; nothing else counts.

    So a forward pass of one's own, or a tokenizer that loses bytes, gains nothing.
    """
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise RuleBroken("run(race) should return the model and the tokenizer.")
    model, tokenizer = returned
    if not isinstance(model, Transformer) or not isinstance(tokenizer, Tokenizer):
        raise RuleBroken(
            "run(race) should return a minimind_lite Transformer and a minimind_lite Tokenizer."
        )
    new = Transformer(model.config)
    new.load_state_dict(model.state_dict())
    if count_parameters(new) > most_parameters:
        raise RuleBroken(
            f"the model has {count_parameters(new):,} parameters; at most {most_parameters:,} are allowed."
        )
    if new.config.vocab_size < tokenizer.vocab_size:
        raise RuleBroken(
            f"the model knows {new.config.vocab_size} tokens, the tokenizer makes {tokenizer.vocab_size}."
        )
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return new.eval(), Tokenizer.from_pretrained(folder)


def count_parameters(model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def by_text(model, tokenizer, texts: list[str]) -> list[tuple[float, int]]:
    """Bits and bytes of each text."""
    sizes = [len(text.encode("utf-8")) for text in texts]
    return [
        (bits_per_byte(model, tokenizer, [text]) * size, size) for text, size in zip(texts, sizes)
    ]


def check_unseen(valid: list[tuple[float, int]], fresh: list[tuple[float, int]]) -> None:
    """Raise RuleBroken if the validation texts are too easy, beside texts that nobody can have seen.

    Both are samples of one grammar, so their bits per byte differ by chance alone; the standard
    error of a ratio of sums tells by how much.
    """

    def ratio(sample):
        mean = sum(bits for bits, _ in sample) / sum(size for _, size in sample)
        typical = statistics.fmean(size for _, size in sample)
        spread = statistics.stdev(bits - mean * size for bits, size in sample)
        return mean, spread / typical / math.sqrt(len(sample))

    (seen, seen_error), (unseen, unseen_error) = ratio(valid), ratio(fresh)
    if unseen - seen > SUSPICIOUS * math.hypot(seen_error, unseen_error):
        raise RuleBroken(
            f"validation text costs {seen:.3f} bits a byte, but fresh text of the same grammar {unseen:.3f}: the "
            "model has seen the validation text."
        )
