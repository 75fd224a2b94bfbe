"""The race: FLOPs are counted as they should be, and whoever breaks a rule is told which."""

import statistics
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from exercises.speedrun import race
from exercises.speedrun.entries import chapter_05
from exercises.speedrun.flops import Budget, Overrun
from minimind_lite import recipe
from minimind_lite.files import read_json
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
ENTRY = """
from exercises.speedrun.entries.common import train
from minimind_lite.train import TrainConfig

def run(race):
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = TrainConfig(total_steps=1000, warmup_steps=40, sequence_length=64, micro_batch_size=4)
    {before}
    return train(race, 300, shape, config, texts=30)
"""


def submission(folder: Path, before: str = "pass") -> Path:
    path = folder / "submission.py"
    path.write_text(ENTRY.replace("{before}", before), encoding="utf-8")
    return path


def test_products_are_counted_forward_and_backward():
    layer, x = torch.nn.Linear(8, 3, bias=False), torch.ones(5, 8)
    with Budget(1e9) as budget:
        layer(x).sum().backward()  # x needs no gradient: one product forward, one backward
    assert budget.spent == 2 * (2 * 5 * 8 * 3)


def test_attention_on_a_cpu_is_counted_where_torch_forgets_it():
    q = torch.ones(1, 2, 6, 4, requires_grad=True)
    with FlopCounterMode(display=False) as theirs, Budget(1e9) as ours:
        F.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert ours.spent == 2 * (2 * 2 * 6 * 6 * 4)
    assert theirs.get_total_flops() == 0, "torch counts it by itself now: FOR_CPU can go"


def test_the_operation_past_the_budget_fails():
    x = torch.ones(4, 4)
    with pytest.raises(Overrun), Budget(300):
        for _ in range(3):
            x = x @ x  # 128 each


def test_a_submission_that_keeps_the_rules(tmp_path):
    results = [race.run_submission(submission(tmp_path), 2e9, seed=1, scored=12) for _ in range(2)]
    assert 0.9 * 2e9 < results[0]["flops"] <= 2e9
    assert results[0]["floor"] < results[0]["bits_per_byte"] < 8
    assert results[0]["bits_per_byte"] == results[1]["bits_per_byte"], (
        "the same submission, the same score"
    )


@pytest.mark.parametrize("before, rule", [
    ("race.flops = 9e9", "is overrun"),
    ("race.counted = lambda: 0", "is overrun"),
    ("from minimind_lite import recipe; open(recipe.corpus_files()['pretrain_valid']).read()",
     "pretrain_valid.jsonl was read while training"),
    ("from minimind_lite import corpus; list(corpus.documents('shipped/valid', 3))", "may not be generated anew"),
    ("return None", "should return the model and the tokenizer"),
])  # fmt: skip
def test_who_breaks_a_rule_is_told_which(tmp_path, before, rule):
    with pytest.raises(race.RuleBroken, match=rule):
        race.run_submission(submission(tmp_path, before), 1e9, seed=1, scored=4)


def test_computing_while_the_file_is_read_is_seen(tmp_path):
    path = tmp_path / "early.py"
    path.write_text("import torch\ntorch.ones(2, 2) @ torch.ones(2, 2)\ndef run(race): pass")
    with pytest.raises(race.RuleBroken, match="before run"):
        race.load(path)


class Peeking(Transformer):
    """A forward pass of its own that looks at the answer."""

    def forward(self, input_ids, cache=None, segment_ids=None):
        return F.one_hot(input_ids.roll(-1, 1), self.config.vocab_size) * 99.0


def test_only_shape_and_weights_count():
    tokenizer = Tokenizer.train(["fox"], 259)
    shape = ModelConfig(vocab_size=259, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    model, _ = race.rebuilt((Peeking(shape), tokenizer), 10**6)
    assert type(model) is Transformer
    with pytest.raises(race.RuleBroken, match="parameters; at most 100 are allowed"):
        race.rebuilt((Transformer(shape), tokenizer), 100)
    with pytest.raises(race.RuleBroken, match="the tokenizer makes 260"):
        race.rebuilt((Transformer(shape), Tokenizer.train(["fox fox"], 260)), 10**6)


def test_a_model_that_has_seen_the_validation_text_is_found_out():
    usual = [(bits, 100) for bits in range(60, 160)]
    race.check_unseen(usual, usual[::-1])
    race.check_unseen([(bits - 9, size) for bits, size in usual], usual)  # luck, within the noise
    with pytest.raises(race.RuleBroken, match="has seen the validation text"):
        race.check_unseen([(0.7 * bits, size) for bits, size in usual], usual)


def test_our_first_entry_is_the_recipe_of_chapter_05(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        chapter_05, "train", lambda race, vocab, shape, config, texts: seen.update(locals())
    )
    chapter_05.run(None)
    lite = recipe.PRESETS["lite"]
    assert ModelConfig(vocab_size=seen["vocab"], **seen["shape"]) == lite.model
    assert (seen["config"].max_lr, seen["config"].optimizer) == (
        lite.pretrain.max_lr,
        lite.pretrain.optimizer,
    )


def test_the_table_of_the_book_holds_our_entries():
    results = read_json(ROOT / "book" / "speedrun.json")
    entries = {
        path.stem for path in (ROOT / "exercises" / "speedrun" / "entries").glob("[a-z]*.py")
    } - {"common"}
    assert set(results) == entries and list(results)[0] == "chapter_05"
    assert len({row["budget"] for row in results.values()}) == 1
    for row in results.values():
        assert row["floor"] < row["bits_per_byte"] and row["flops"] <= row["budget"]
    scores = [row["bits_per_byte"] for row in results.values()]
    assert statistics.fmean(scores) < 4, "the entries have learned something"
