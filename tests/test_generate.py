"""Sampling, the cache and batches: two ways to the same tokens."""

import pytest
import torch

from minimind_lite.generate import KVCache, generate, generate_batch, next_token_probabilities
from minimind_lite.model import ModelConfig, Transformer


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = Transformer(ModelConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=64,
    )).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3, 5, 8, 9, 7]]


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 0.9, "top_k": 20, "top_p": 0.9, "seed": 4}])
def test_the_cache_changes_nothing(model, sampling):
    with_cache = list(generate(model, PROMPTS[0], max_new_tokens=20, **sampling))
    without = list(generate(model, PROMPTS[0], max_new_tokens=20, use_cache=False, **sampling))
    assert with_cache == without and len(set(with_cache)) > 1


def test_batch_and_single_give_the_same_tokens(model):
    together = generate_batch(model, PROMPTS, max_new_tokens=15, temperature=0)
    assert together == [list(generate(model, p, max_new_tokens=15, temperature=0)) for p in PROMPTS]


def test_it_stops_at_the_end_token_and_yields_it(model):
    tokens = list(generate(model, PROMPTS[0], max_new_tokens=20, temperature=0))
    end = tokens[4]
    assert list(generate(model, PROMPTS[0], max_new_tokens=20, temperature=0, eos_id=end)) == tokens[: tokens.index(end) + 1]


def test_the_cache_is_taken_once(model):
    cache = KVCache(model, 1, 16)
    places = [t.data_ptr() for t in cache.keys + cache.values]
    with torch.no_grad():
        for token in range(10):
            model(torch.tensor([[token]]), cache=cache)
    assert cache.length == 10 and [t.data_ptr() for t in cache.keys + cache.values] == places


def test_a_cache_whose_position_does_not_advance_is_noticed(model):
    ids = torch.tensor([PROMPTS[2]])
    cache = KVCache(model, 1, 16)
    with torch.no_grad():
        whole = model(ids)[:, -1]
        for token in ids[0]:
            last = model(token.view(1, 1), cache=cache)
            cache.length = 0  # the planted bug
    assert (last[:, -1] - whole).abs().max() > 0.1


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 1.0, 1e30])
def test_probabilities_are_finite_and_sum_to_one(temperature):
    logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)) * 20
    p = next_token_probabilities(logits, temperature, top_k=7, top_p=0.8)
    assert p.isfinite().all() and torch.allclose(p.sum(-1), torch.ones(3))
    assert (p > 0).sum(-1).max() <= 7
    if temperature < 1e30:  # there all tokens are equal within rounding, and the first ones stay
        assert (p.argmax(-1) == logits.argmax(-1)).all()


def test_top_p_keeps_the_fewest_tokens_that_reach_p():
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()
    assert next_token_probabilities(logits, 1.0, top_p=0.7)[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert (next_token_probabilities(logits, 1.0, top_p=0.8)[0] > 0).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(max_new_tokens=60), "ask for at most 59"),
        (dict(max_new_tokens=-1), "negative"),
        (dict(temperature=-1.0), "temperature"),
        (dict(top_k=0), "top_k"),
        (dict(top_p=0.0), "top_p"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_at_once(model, changes, words):
    with pytest.raises(ValueError, match=words):
        generate(model, PROMPTS[0], **({"max_new_tokens": 4} | changes))


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(ValueError, match="empty"):
        generate(model, [], max_new_tokens=4)
