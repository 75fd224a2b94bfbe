"""Bits per byte against a sum by hand, and marks for replies whose faults are known."""

import math

import pytest
import torch

from minimind_lite.chat import in_language, is_correct, mentions
from minimind_lite.evaluate import bits_per_byte, skill_table
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer

TEXTS = ["A fox met a bear.", "小熊有一面鼓。", "Nora and Leo went home, and it rained."]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS, 280)


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    return Transformer(ModelConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=128,
    )).eval()  # fmt: skip


def test_bits_per_byte_is_the_sum_of_surprises_over_the_bytes(model, tokenizer):
    bits = 0.0
    for text in TEXTS:  # each alone, one token after the other
        ids = [tokenizer.end_id, *tokenizer.encode(text), tokenizer.end_id]
        log_p = model(torch.tensor([ids[:-1]])).log_softmax(-1)[0]
        bits -= sum(log_p[i, token].item() for i, token in enumerate(ids[1:])) / math.log(2)
    size = sum(len(text.encode()) for text in TEXTS)
    assert bits_per_byte(model, tokenizer, TEXTS) == pytest.approx(bits / size, rel=1e-5)


def test_an_equal_chance_for_every_token_costs_log2_of_the_vocabulary(tokenizer, model):
    class Uniform(Transformer):
        def forward(self, input_ids, cache=None, segment_ids=None):
            return torch.zeros(*input_ids.shape, self.config.vocab_size)

    tokens = sum(len(tokenizer.encode(text)) + 1 for text in TEXTS)
    expected = tokens * math.log2(tokenizer.vocab_size) / sum(len(t.encode()) for t in TEXTS)
    assert bits_per_byte(Uniform(model.config), tokenizer, TEXTS) == pytest.approx(expected, rel=1e-5)


def test_no_text_has_no_score(model, tokenizer):
    with pytest.raises(ValueError, match="at least one byte"):
        bits_per_byte(model, tokenizer, [])


def ask(text, language="en", **expect):
    return {"messages": [{"role": "user", "content": text}], "language": language, "expect": expect}


CAPITAL = ask("What is the capital of Peru?", answer="Lima", choices=["Lima", "Oslo", "Peru"])


@pytest.mark.parametrize("item, reply, right", [
    (CAPITAL, "The capital of Peru is Lima.", True),
    (CAPITAL, "lima", True),
    (CAPITAL, "The capital of Peru is Oslo.", False),
    (CAPITAL, "It is Lima or Oslo.", False),
    (CAPITAL, "Limassol", False),
    (CAPITAL, "", False),
    (ask("Repeat: red birds", exact="red birds"), " red birds\n", True),
    (ask("Repeat: red birds", exact="red birds"), "red birds sing", False),
    (ask("A story, please", contains=["fox", "drum"]), "The fox and the drum.", True),
    (ask("A story, please", contains=["fox", "drum"]), "The foxes and the drum.", False),
])  # fmt: skip
def test_what_counts_as_right(item, reply, right):
    assert is_correct(item, reply) == right


def test_the_longest_word_counts_where_two_overlap():
    assert mentions("十二月过后是一月。", ["一月", "二月", "十二月"]) == {"一月", "十二月"}


@pytest.mark.parametrize("language, reply, right", [
    ("en", "Hello.", True), ("en", "你好", False), ("en", "3 + 4 = 7", True), ("en", " ", False),
    ("zh", "你好。", True), ("zh", "Hello", False), ("zh", "3 + 4 = 7", True),
])  # fmt: skip
def test_the_language_of_a_reply(language, reply, right):
    assert in_language(ask("?", language), reply) == right


def test_the_table_has_a_row_for_each_skill_and_language_and_one_for_all(model, tokenizer):
    items = [ask("Hi", exact="x") | {"skill": "repeat"}, ask("嗨", "zh", exact="x") | {"skill": "repeat"}]
    rows = skill_table(model, tokenizer, items, max_new_tokens=3)
    assert [(row["skill"], row["language"], row["prompts"]) for row in rows] == [
        ("repeat", "en", 1), ("repeat", "zh", 1), ("all", "both", 2)]  # fmt: skip
    assert all(0 <= row[key] <= 1 for row in rows for key in ("correct", "stopped", "in_language"))
