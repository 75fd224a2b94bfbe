"""Tokens that teach, a second; and how good a model is after three minutes."""

import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

import bench_lineup
from bench_peers import OURS
from bench_timing import compare, share
from bench_train import TINY
from minimind_lite import corpus, recipe
from minimind_lite.data import (
    IGNORE,
    Dropped,
    TokenDataset,
    Windows,
    chat_samples,
    collate,
    document_samples,
)
from minimind_lite.model import Transformer
from minimind_lite.train import summed_cross_entropy, train

ROWS, LENGTH = 8, 256  # of a step; for all competitors


def cut_file(path: Path, lines: int, directory: Path) -> Path:
    """The first lines of a JSONL file as a file of its own."""
    target = directory / path.name
    with open(path, encoding="utf-8") as source, open(target, "w", encoding="utf-8") as out:
        out.writelines(islice(source, lines))
    return target


def windows_of(kind: str, path: Path, tokenizer, directory: Path) -> Windows:
    """Our way: tokenized once, packed, with walls between documents."""
    if kind == "pretrain":
        samples = document_samples(tokenizer, corpus.read_texts(path), LENGTH)
    else:
        samples = chat_samples(tokenizer, corpus.read_conversations(path), LENGTH, Dropped())
    dataset = TokenDataset.write(directory / f"{kind}-tokens", samples)
    return Windows(dataset, sequence_length=LENGTH, micro_batch_size=ROWS)


def padded_batches(peer, kind: str, path: Path, count: int, tokenizer_directory: Path) -> list:
    """MiniMind's way, by its own loader: every sample padded to the full length; [(ids, labels)]."""
    name = {"pretrain": "PretrainDataset", "sft": "SFTDataset"}[kind]
    dataset = peer.dataset(name, path, tokenizer_directory, LENGTH)
    order = torch.Generator().manual_seed(0)
    return list(islice(DataLoader(dataset, batch_size=ROWS, shuffle=True, generator=order), count))


def targets(labels: torch.Tensor, shifted: bool) -> int:
    return int((labels[:, 0 if shifted else 1 :] != IGNORE).sum())


class Counted:
    """Batches one after another, round and round, and how many targets they have had."""

    def __init__(self, batches: Iterator, shifted: bool):
        self.batches, self.shifted, self.seen = batches, shifted, 0

    def __iter__(self):
        return self

    def __next__(self):
        batch = next(self.batches)
        self.seen += targets(batch[1], self.shifted)
        return batch


def forever(windows: Windows) -> Iterator:
    """Made anew at every step, as in training, so that collating is inside the clock."""
    step = 0
    while True:
        yield windows[step][0]
        step += 1


def useful_tokens(kind: str, target: float, options) -> dict:
    """Targets a second through the whole step: data, model, optimizer.

    MiniMind's batches are made before the clock starts, which is in its favour: in its script
    other processes make them, if the machine has cores to spare.
    """
    files, tokenizer = recipe.corpus_files(), recipe.tokenizer()
    tokenizer_directory = recipe.tokenizer_directory()
    config = recipe.preset().model
    if options.quick:
        config = replace(TINY[0], vocab_size=tokenizer.vocab_size, max_position_embeddings=LENGTH)
    steps, rounds, lines = (2, 2, 200) if options.quick else (6, 9, 4000)
    peers, absent = bench_lineup.model_peers(options.directories, only=(OURS, "MiniMind"))
    with tempfile.TemporaryDirectory() as folder:
        path = cut_file(files[kind], lines, Path(folder))
        windows = windows_of(kind, path, tokenizer, Path(folder))

        def prepare(peer):
            model = peer.build(config).train()
            if peer.name == OURS:
                batches = Counted(forever(windows), shifted=True)
            else:
                made = padded_batches(peer, kind, path, steps * (rounds + 1), tokenizer_directory)
                batches = Counted(cycle(made), shifted=False)
            return peer.stepper(model, batches), batches

        ready = bench_lineup.attempt(peers, absent, prepare)
        speeds, seen = {name: [] for name in ready}, {name: 0 for name in ready}
        for turn in range(rounds + 1):
            for name, (step, batches) in ready.items():
                batches.seen = 0
                began = time.perf_counter()
                for _ in range(steps):
                    step()
                if turn:
                    speeds[name].append(batches.seen / (time.perf_counter() - began))
                    seen[name] += batches.seen
    positions = rounds * steps * ROWS * LENGTH
    work = {
        "pretrain": "useful tokens a second, pretraining",
        "sft": "useful tokens a second, SFT",
    }[kind]
    return compare(
        work,
        speeds,
        target,
        unit="tokens/s",
        more_is_better=True,
        absent=absent,
        useful_share={name: count / positions for name, count in seen.items()},
        shape=f"{ROWS} × {LENGTH} positions a step",
    )


def pretrain_tokens(options) -> list[dict]:
    """Targets a second in pretraining on documents of real lengths, ours packed, MiniMind's padded."""
    return [useful_tokens("pretrain", 2.5, options)]


def sft_tokens(options) -> list[dict]:
    """Targets a second in fine-tuning, ours packed, MiniMind's padded."""
    return [useful_tokens("sft", 3.0, options)]


def quality(options) -> list[dict]:
    """Bits per byte on held-out text after three minutes each, same size and corpus, own recipe."""
    seconds, lines, held_out = (2, 400, 20) if options.quick else (180, 30_000, 300)
    files, tokenizer = recipe.corpus_files(), recipe.tokenizer()
    texts = list(islice(corpus.read_texts(files["pretrain_valid"]), held_out))
    peers, absent = bench_lineup.model_peers(options.directories, only=(OURS, "MiniMind"))
    with tempfile.TemporaryDirectory() as folder:
        path = cut_file(files["pretrain"], lines, Path(folder))
        recipes = {OURS: our_recipe, "MiniMind": minimind_recipe}
        runs = bench_lineup.attempt(
            peers, absent, lambda peer: recipes[peer.name](peer, path, tokenizer, seconds)
        )
    bits = {
        name: [bits_per_byte(model, tokenizer, texts, ends)]
        for name, (model, ends, _) in runs.items()
    }
    floor = corpus.entropy_bits_per_byte()
    took = {name: run[2] for name, run in runs.items()}
    gap = bits[OURS][0] / floor - 1
    return [
        compare(
            "bits per byte after 3 minutes",
            bits,
            1 / 0.9,
            unit="bits/byte",
            absent=absent,
            runs=took,
            floor=floor,
        ),
        share(
            "the same: part above the entropy floor",
            gap,
            0.05,
            at_least=False,
            bound=["the whole pretraining of `lite`, instead of three minutes of it", whole_pretraining() / floor - 1],
        ),
    ]


def whole_pretraining() -> float:
    """Bits per byte at the end of the preset's own pretraining, from its log (made if missing)."""
    recipe.pretrained()
    log = (recipe.pretrain_directory() / "log.jsonl").read_text(encoding="utf-8")
    return json.loads(log.splitlines()[-1])["bits_per_byte"]


def our_recipe(peer, path: Path, tokenizer, seconds: float):
    """The preset's, with its schedule fitted to the time."""
    config, shape = recipe.preset().pretrain, recipe.preset().model
    torch.manual_seed(0)
    model = Transformer(shape)
    with tempfile.TemporaryDirectory() as folder:
        windows = windows_of("pretrain", path, tokenizer, Path(folder))
        trial = replace(config, total_steps=4, warmup_steps=1)
        train(Transformer(shape), windows, trial, description=None)  # the first steps are slower
        log = train(Transformer(shape), windows, replace(trial, total_steps=12), description=None)
        pace = sum(entry["seconds"] for entry in log[2:]) / len(log[2:])
        total = max(8, round(seconds / pace))
        warmup = min(config.warmup_steps, total // 8)
        log = train(
            model,
            windows,
            replace(config, total_steps=total, warmup_steps=warmup),
            description="ours",
        )
        spent = sum(entry["seconds"] for entry in log)
    return model, (tokenizer.end_id, tokenizer.end_id), {"steps": total, "seconds": spent}


def minimind_recipe(peer, path: Path, tokenizer, seconds: float):
    """MiniMind's pretraining script: its loader, AdamW at 5e-4, its cosine to a tenth, no warm-up.

    Two of its numbers are not kept, in its favour: 32 rows a step but without accumulating 8 of
    them, since in three minutes that would leave a handful of steps; and no time for its loader.
    """
    shape = recipe.preset().model
    torch.manual_seed(0)
    model = peer.build(shape).train()
    dataset = peer.dataset("PretrainDataset", path, recipe.tokenizer_directory(), LENGTH)
    optimizer = peer.optimizer(model, lr=5e-4)
    order = torch.Generator().manual_seed(0)
    loader = iter(DataLoader(dataset, batch_size=32, shuffle=True, generator=order))
    spent, step, total = 0.0, 0, None
    while total is None or step < total:
        input_ids, labels = next(loader)
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = 5e-4 * (0.1 + 0.45 * (1 + math.cos(math.pi * step / (total or 10**9))))
        model(input_ids=input_ids, labels=labels).loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        spent, step = spent + time.perf_counter() - began, step + 1
        if step == 3:  # the pace is known, and the schedule can be laid out
            total = max(4, round(3 * seconds / spent))
    ours = Transformer(shape)
    ours.load_state_dict(
        {name.removeprefix("model."): w for name, w in model.state_dict().items()}, strict=False
    )
    return ours, (tokenizer.im_start_id, tokenizer.im_end_id), {"steps": total, "seconds": spent}


@torch.no_grad()
def bits_per_byte(model, tokenizer, texts: list[str], ends: tuple[int, int]) -> float:
    """As `evaluate.bits_per_byte`, with the tokens that this model knows as a text's start and end."""
    model.eval()
    first, last = ends
    rows = []
    for text in texts:
        ids = [first, *tokenizer.encode(text), last]
        pieces = [ids[start : start + LENGTH + 1] for start in range(0, len(ids) - 1, LENGTH)]
        rows += [[(piece, [True] * len(piece))] for piece in pieces]
    rows.sort(key=lambda row: len(row[0][0]))
    batches = [collate(rows[start : start + 16]) for start in range(0, len(rows), 16)]
    nats = sum(float(summed_cross_entropy(model, batch, torch.device("cpu"))) for batch in batches)
    return nats / math.log(2) / sum(len(text.encode("utf-8")) for text in texts)
