"""A smaller model trains in less time, and so does one with fewer steps. What do they cost?

`make measure-smaller` trains models of about a million parameters with 2, 3, 4 and 6 layers as
`lite` is trained, and `lite` itself with fewer steps, lets them sit the exam of chapter 08, and
writes what came out to book/smaller.json, which the page about speed shows. It takes 40 minutes;
what was trained is found again in runs/.
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
from minimind_lite.recipe import Preset
from minimind_lite.train import choose_number_format, make_optimizers, pick_device, training_step

RESULTS = Path(__file__).resolve().parents[1] / "book" / "smaller.json"
LITE = recipe.PRESETS["lite"]
# Layers, width and the width of the MLP: about a million parameters each.
SHAPES = ((2, 160, 576), (3, 144, 416), (4, 128, 352), (6, 112, 256))
# What chapter 08 asks of the chat model.
GOALS = {"story": 0.90, "facts_seen": 0.90, "facts_unseen": 0.60, "repeat": 0.80, "name": 0.80}
HELD_OUT, ROUNDS = 300, 15


def variants() -> list[Preset]:
    """What is trained; the last is `lite`."""
    smaller = [
        replace(LITE.model, num_hidden_layers=layers, hidden_size=hidden, intermediate_size=intermediate)
        for layers, hidden, intermediate in SHAPES
    ]
    fewer = [replace(c, total_steps=c.total_steps * 3 // 4) for c in (LITE.pretrain, LITE.sft)]
    return [
        *(replace(LITE, model=model) for model in smaller),
        replace(LITE, pretrain=fewer[0], sft=fewer[1]),
        LITE,
    ]


def steps(preset: Preset) -> int:
    return preset.pretrain.total_steps + preset.sft.total_steps


def stepper(preset: Preset):
    """A training step on the windows of pretraining, one after another."""
    torch.manual_seed(0)
    device, training = pick_device(), preset.pretrain
    model = Transformer(preset.model).to(device)
    windows = Windows(
        TokenDataset(recipe.pretrain_directory() / "tokens"), sequence_length=training.sequence_length,
        micro_batch_size=training.micro_batch_size,
    )  # fmt: skip
    number_format = choose_number_format(training, model, windows[0][0], device)
    optimizers, numbers = make_optimizers(model, training), iter(range(training.total_steps))

    def step():
        number = next(numbers)
        training_step(model, optimizers, windows[number], number, training, number_format)

    return step


def marks(preset: Preset) -> dict:
    """Train what is not there yet; bits per byte of the base model, and the chat model's marks by skill."""
    recipe.PRESETS["lite"] = preset
    chat, tokenizer = recipe.chat_model()
    base, _ = recipe.pretrained()
    texts = recipe.held_out_by_kind(recipe.corpus_files()["pretrain_valid"], HELD_OUT)
    items = [row for _, row in corpus.read_jsonl(recipe.corpus_files()["evaluation"])]
    skills = {}
    for row in skill_table(chat, tokenizer, items)[:-1]:
        right, asked = skills.get(row["skill"], (0, 0))
        skills[row["skill"]] = right + row["correct"] * row["prompts"], asked + row["prompts"]
    return {
        "layers": preset.model.num_hidden_layers, "hidden_size": preset.model.hidden_size,
        "parameters": sum(p.numel() for p in base.parameters()), "steps": steps(preset),
        "bits_per_byte": recipe.score_by_kind(base, tokenizer, texts)["bits_per_byte"],
        "correct": {skill: right / asked for skill, (right, asked) in skills.items()},
    }  # fmt: skip


def main() -> None:
    presets = variants()
    found = [marks(preset) for preset in presets]  # ends with `lite`, whose windows are timed
    seconds = list(in_turn({i: stepper(p) for i, p in enumerate(presets)}, ROUNDS, "steps").values())
    for row, some in zip(found, seconds):
        row["step"] = spread(some)
        # what its training takes, if that of lite takes 1
        row["time"] = spread([row["steps"] * a / (steps(LITE) * b) for a, b in zip(some, seconds[-1])])
    results = {"machine": machine(), "goals": GOALS, "models": found}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
