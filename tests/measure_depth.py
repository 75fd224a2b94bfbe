"""Fewer layers make a step shorter. What do they cost? The whole path with models of other depths.

`make measure-depth` trains models of about a million parameters with 2, 3, 4 and 6 layers as `lite`
is trained, lets them sit the exam of chapter 08, and writes what came out to book/depth.json, which
the page about speed shows. It takes about half an hour; what was trained is found again in runs/.
"""

import json
from dataclasses import replace
from pathlib import Path

import torch

from bench_timing import in_turn, machine, spread
from minimind_lite import corpus, recipe
from minimind_lite.data import TokenDataset, Windows
from minimind_lite.evaluate import skill_table
from minimind_lite.model import Transformer
from minimind_lite.train import make_optimizers, training_step

RESULTS = Path(__file__).resolve().parents[1] / "book" / "depth.json"
LITE = recipe.PRESETS["lite"]
# Like `lite` but for depth and width; `lite` itself is the last.
SHAPES = [
    replace(LITE.model, num_hidden_layers=layers, hidden_size=hidden, intermediate_size=intermediate)
    for layers, hidden, intermediate in ((2, 160, 576), (3, 144, 416), (4, 128, 352), (6, 112, 256))
] + [LITE.model]
# What chapter 08 asks of the chat model.
GOALS = {"story": 0.90, "facts_seen": 0.90, "facts_unseen": 0.60, "repeat": 0.80, "name": 0.80}
HELD_OUT, ROUNDS = 300, 15


def stepper(config):
    """A training step on the windows of pretraining, one after another."""
    torch.manual_seed(0)
    model, training = Transformer(config), LITE.pretrain
    windows = Windows(
        TokenDataset(recipe.pretrain_directory() / "tokens"), sequence_length=training.sequence_length,
        micro_batch_size=training.micro_batch_size,
    )  # fmt: skip
    optimizers, steps = make_optimizers(model, training), iter(range(training.total_steps))

    def step():
        number = next(steps)
        training_step(model, optimizers, windows[number], number, training, torch.bfloat16)

    return step


def marks(config) -> dict:
    """Train with this shape what is not there yet; bits per byte, and the exam's marks by skill."""
    recipe.PRESETS["lite"] = replace(LITE, model=config)
    chat, tokenizer = recipe.chat_model()
    base, _ = recipe.pretrained()
    texts = recipe.held_out_by_kind(recipe.corpus_files()["pretrain_valid"], HELD_OUT)
    items = [row for _, row in corpus.read_jsonl(recipe.corpus_files()["evaluation"])]
    skills = {}
    for row in skill_table(chat, tokenizer, items)[:-1]:
        right, asked = skills.get(row["skill"], (0, 0))
        skills[row["skill"]] = right + row["correct"] * row["prompts"], asked + row["prompts"]
    score = recipe.score_by_kind(base, tokenizer, texts)
    return {
        "layers": config.num_hidden_layers, "hidden_size": config.hidden_size,
        "parameters": sum(p.numel() for p in base.parameters()),
        "bits_per_byte": score["bits_per_byte"], "by_kind": score["by_kind"],
        "correct": {skill: right / asked for skill, (right, asked) in skills.items()},
    }  # fmt: skip


def main() -> None:
    found = [marks(config) for config in SHAPES]
    recipe.PRESETS["lite"] = LITE
    seconds = in_turn({str(i): stepper(c) for i, c in enumerate(SHAPES)}, ROUNDS, "steps")
    for index, row in enumerate(found):
        row["step"] = spread(seconds[str(index)])
        row["of_lite"] = spread([a / b for a, b in zip(seconds[str(index)], seconds[str(len(SHAPES) - 1)])])
    results = {
        "machine": machine(), "entropy": corpus.entropy_bits_per_byte(),
        "steps": [LITE.pretrain.total_steps, LITE.sft.total_steps], "goals": GOALS, "shapes": found,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
