"""Sampling, the cache and batches: two ways to the same tokens, and the bugs that break one of them."""

import random
from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from minimind_lite.decoder import Decoder
from minimind_lite.generate import (
    KVCache, generate, generate_batch, generate_batches, next_token_probabilities,
)  # fmt: skip
from minimind_lite.model import ModelConfig, Transformer

SHAPES = {
    "heads 2:1": dict(num_key_value_heads=2),
    "heads 1:1": {},
    "heads 4:1": dict(num_key_value_heads=1),
    "wide heads": dict(num_key_value_heads=2, head_dim=20),
    "untied": dict(tie_word_embeddings=False),
    "large eps": dict(rms_norm_eps=0.1),
}


def random_model(**changes) -> Transformer:
    torch.manual_seed(0)
    shape = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64)
    model = Transformer(ModelConfig(**(shape | changes))).eval()
    with torch.no_grad():  # norms that are all one would hide a scale left out
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture(scope="module")
def model():
    return random_model(num_key_value_heads=2)


PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3, 5, 8, 9, 7]]


def step_by_step(model, ids, step=None, after=lambda cache: None):
    """The logits at every position, one token at a time through the cache."""
    cache, logits = KVCache(model, 1, len(ids)), []
    with torch.no_grad():
        for index in ids:
            logits.append((step or model)(torch.tensor([[index]]), cache=cache).view(-1))
            after(cache)
    return torch.stack(logits)


def at_once(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]))[0]


# the cache


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("fused", [False, True])
def test_step_by_step_equals_at_once(name, fused):
    model = random_model(**SHAPES[name]).double()
    step = Decoder(model) if fused else None
    assert (step_by_step(model, PROMPTS[2], step) - at_once(model, PROMPTS[2])).abs().max() < 1e-12


def test_a_position_that_does_not_advance_is_found(model):
    def forget(cache):
        cache.length = 0

    assert (step_by_step(model, PROMPTS[2], after=forget) - at_once(model, PROMPTS[2])).abs().max() > 0.1


def test_a_rotation_that_does_not_advance_is_found():
    model = random_model()
    expected = at_once(model, PROMPTS[2])
    model.cos[:], model.sin[:] = model.cos[0].clone(), model.sin[0].clone()
    assert (step_by_step(model, PROMPTS[2]) - expected).abs().max() > 0.1


def test_is_causal_with_one_query_is_found(model, monkeypatch):
    kernel, expected = F.scaled_dot_product_attention, at_once(model, PROMPTS[2])

    def always_causal(queries, keys, values, attn_mask=None, is_causal=False, enable_gqa=False):
        return kernel(queries, keys, values, is_causal=True, enable_gqa=enable_gqa)

    monkeypatch.setattr(F, "scaled_dot_product_attention", always_causal)
    assert (at_once(model, PROMPTS[2]) - expected).abs().max() < 1e-5  # without a cache it is right
    assert (step_by_step(model, PROMPTS[2]) - expected).abs().max() > 0.1


def test_several_tokens_after_a_cache_see_each_other_in_order(model):
    cache, ids = KVCache(model, 1, 8), torch.tensor([PROMPTS[2]])
    with torch.no_grad():
        parts = torch.cat([model(ids[:, :3], cache=cache), model(ids[:, 3:], cache=cache)], dim=1)
    assert (parts[0] - at_once(model, PROMPTS[2])).abs().max() < 1e-5


def test_the_cache_is_taken_once(model):
    cache = KVCache(model, 1, 16)
    places = [t.data_ptr() for t in cache.keys + cache.values]
    decoder = Decoder(model)
    with torch.no_grad():
        for token in range(5):
            model(torch.tensor([[token]]), cache=cache)
            decoder(torch.tensor([[token]]), cache)
    assert cache.length == 10 and [t.data_ptr() for t in cache.keys + cache.values] == places


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 0.9, "top_k": 20, "top_p": 0.9, "seed": 4}])
def test_the_cache_changes_nothing(model, sampling):
    with_cache = list(generate(model, PROMPTS[0], max_new_tokens=20, **sampling))
    without = list(generate(model, PROMPTS[0], max_new_tokens=20, use_cache=False, **sampling))
    assert with_cache == without and len(set(with_cache)) > 1


# batches


@pytest.mark.parametrize("use_cache", [True, False])
def test_batch_and_single_give_the_same_tokens(model, use_cache):
    together = generate_batch(model, PROMPTS, max_new_tokens=15, temperature=0, use_cache=use_cache)
    assert together == [list(generate(model, p, max_new_tokens=15, temperature=0)) for p in PROMPTS]


def test_a_batch_goes_on_when_one_text_has_ended(model):
    single = [list(generate(model, p, max_new_tokens=15, temperature=0)) for p in PROMPTS]
    end = single[0][2]  # ends the first text early, and the others wherever they have it
    cut = [s[: s.index(end) + 1] if end in s else s for s in single]
    assert len(set(map(len, cut))) > 1
    assert generate_batch(model, PROMPTS, max_new_tokens=15, temperature=0, eos_id=end) == cut
    rows = list(generate_batches(model, PROMPTS, max_new_tokens=15, temperature=0, eos_id=end))
    assert len(rows) == max(map(len, cut)) and rows[-1][0] is None


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("lengths", [range(1, 13), [4] * 12], ids=["padded", "one length"])
def test_rows_that_have_ended_are_left_behind(model, lengths, use_cache, monkeypatch):
    rng = random.Random(4)
    prompts = [[rng.randrange(50) for _ in range(length)] for length in lengths]
    single = [list(generate(model, p, max_new_tokens=15, temperature=0)) for p in prompts]
    end = Counter(token for text in single for token in set(text[:10])).most_common(1)[0][0]
    cut = [s[: s.index(end) + 1] if end in s else s for s in single]
    rows = []
    for kind in (Transformer, Decoder):
        call = kind.__call__
        monkeypatch.setattr(
            kind, "__call__", lambda *args, call=call, **named: rows.append(len(args[1])) or call(*args, **named)
        )
    assert generate_batch(model, prompts, max_new_tokens=15, temperature=0, eos_id=end, use_cache=use_cache) == cut
    going = [sum(len(text) > step for text in cut) for step in range(max(map(len, cut)))]
    assert any(1 < still <= len(prompts) / 2 for still in going), "several different texts go on alone"
    assert rows == going


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_that_shrinks_is_drawn_alike_with_the_cache_and_without(model, seed):
    end = generate_batch(model, PROMPTS, max_new_tokens=6, seed=seed)[1][3]
    drawn = [generate_batch(model, PROMPTS, max_new_tokens=20, seed=seed, eos_id=end, use_cache=use_cache)
             for use_cache in (True, False)]  # fmt: skip
    assert drawn[0] == drawn[1] and len(set(map(len, drawn[0]))) > 1


def test_reading_after_the_padding_is_found(model):
    """Right padding: the last real position is right, the last column is not."""
    short, longest = PROMPTS[0], len(PROMPTS[2])
    padded = at_once(model, short + [0] * (longest - len(short)))
    alone = at_once(model, short)[-1]
    assert (padded[len(short) - 1] - alone).abs().max() < 1e-5
    assert (padded[-1] - alone).abs().max() > 0.1


def test_left_padding_without_a_mask_is_found(model):
    pad = 3
    ids = torch.tensor([[0] * pad + PROMPTS[0]])
    segments = torch.tensor([[0] * pad + [1] * len(PROMPTS[0])])
    alone = at_once(model, PROMPTS[0])[-1]
    with torch.no_grad():
        assert (model(ids, segment_ids=segments)[0, -1] - alone).abs().max() < 1e-4
        assert (model(ids)[0, -1] - alone).abs().max() > 0.1


def test_a_prompt_may_contain_the_padding_id(model):
    prompts = [[0, 7, 0, 3], [0], [5, 0, 0, 2, 8, 1]]
    together = generate_batch(model, prompts, max_new_tokens=8, temperature=0)
    assert together == [list(generate(model, p, max_new_tokens=8, temperature=0)) for p in prompts]


# sampling


@pytest.mark.parametrize("temperature", [0.0, 1e-45, 1e-30, 1.0, 1e30])
def test_probabilities_are_finite_and_sum_to_one(temperature):
    logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)) * 20
    p = next_token_probabilities(logits, temperature, top_k=7, top_p=0.8)
    assert p.isfinite().all() and torch.allclose(p.sum(-1), torch.ones(3))
    assert (p > 0).sum(-1).max() <= 7
    if temperature < 1e30:  # there all tokens are equal within rounding, and the first ones stay
        assert (p.argmax(-1) == logits.argmax(-1)).all()


@pytest.mark.parametrize("temperature", [0.0, 1e-45])
def test_dividing_by_a_temperature_of_zero_is_found(temperature):
    logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    planted = (logits / temperature).softmax(-1)
    assert not planted.isfinite().all()
    assert (planted.argmax(-1) == 0).all()  # and the answer is id 0, the end of a text
    assert (logits.argmax(-1) != 0).any()


def test_top_p_keeps_the_fewest_tokens_that_reach_p():
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()
    assert next_token_probabilities(logits, 1.0, top_p=0.7)[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert (next_token_probabilities(logits, 1.0, top_p=0.8)[0] > 0).tolist() == [True, True, True, False]


def test_top_k_keeps_the_k_most_likely_and_their_proportions():
    logits = torch.tensor([[0.1, 0.5, 0.15, 0.25]]).log()
    assert next_token_probabilities(logits, 1.0, top_k=2)[0].tolist() == pytest.approx([0, 2 / 3, 0, 1 / 3])
    assert torch.equal(next_token_probabilities(logits, 1.0, top_k=9), next_token_probabilities(logits, 1.0, top_p=1.0))


def test_temperature_is_a_power_of_the_probabilities():
    p = torch.tensor([[0.5, 0.3, 0.2]])
    squared = p.square() / p.square().sum()
    assert torch.allclose(next_token_probabilities(p.log(), 0.5), squared)


@pytest.mark.parametrize("sampling", [dict(top_k=1), dict(top_p=1e-6), dict(temperature=1e-6)])
def test_the_limits_of_sampling_are_greedy(model, sampling):
    greedy = list(generate(model, PROMPTS[0], max_new_tokens=15, temperature=0))
    assert list(generate(model, PROMPTS[0], max_new_tokens=15, seed=1, **sampling)) == greedy


def test_tokens_are_drawn_with_their_probabilities(model):
    logits = at_once(model, PROMPTS[0])[-1:]
    p = next_token_probabilities(logits, 1.5, top_k=6)[0]
    count = 4000
    drawn = generate_batch(model, [PROMPTS[0]] * count, max_new_tokens=1, temperature=1.5, top_k=6, seed=0)
    share = torch.bincount(torch.tensor(drawn).flatten(), minlength=50) / count
    assert (share - p).abs().max() < 4 * (0.25 / count) ** 0.5
    assert ((share > 0) == (p > 0)).all()


def test_a_seed_repeats_the_draw_and_leaves_the_global_generator_alone(model):
    state = torch.get_rng_state()
    first, again, other = (list(generate(model, PROMPTS[0], max_new_tokens=20, seed=s)) for s in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), state)
    free = {tuple(generate(model, PROMPTS[0], max_new_tokens=20)) for _ in range(3)}
    assert len(free) == 3  # without a seed every call is another draw


# the loop


def test_it_stops_at_the_end_token_and_yields_it(model):
    tokens = list(generate(model, PROMPTS[0], max_new_tokens=20, temperature=0))
    end = tokens[4]
    assert list(generate(model, PROMPTS[0], max_new_tokens=20, temperature=0, eos_id=end)) == tokens[: tokens.index(end) + 1]


def test_tokens_come_one_by_one(model):
    calls = []
    handle = model.register_forward_pre_hook(lambda *_: calls.append(1))
    stream = generate(model, PROMPTS[0], max_new_tokens=20, use_cache=False)
    assert calls == []
    for expected in (1, 2, 3):
        next(stream)
        assert len(calls) == expected
    handle.remove()


def test_lists_and_tensors_are_prompts(model):
    expected = list(generate(model, PROMPTS[0], max_new_tokens=5, temperature=0))
    for prompt in (torch.tensor(PROMPTS[0]), torch.tensor([PROMPTS[0]])):
        assert list(generate(model, prompt, max_new_tokens=5, temperature=0)) == expected


def test_every_position_can_be_used_and_none_more(model):
    assert len(list(generate(model, PROMPTS[0], max_new_tokens=59))) == 59
    assert list(generate(model, PROMPTS[0], max_new_tokens=0)) == []


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(max_new_tokens=60), "ask for at most 59"),
        (dict(max_new_tokens=-1), "negative"),
        (dict(temperature=-1.0), "temperature"),
        (dict(temperature=float("nan")), "temperature"),
        (dict(top_k=0), "top_k"),
        (dict(top_p=0.0), "top_p"),
        (dict(top_p=1.1), "top_p"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_at_once(model, changes, words):
    with pytest.raises(ValueError, match=words):
        generate(model, PROMPTS[0], **({"max_new_tokens": 4} | changes))


@pytest.mark.parametrize("prompts", [[[]], [[1, 2], []], []])
def test_an_empty_prompt_is_refused(model, prompts):
    with pytest.raises(ValueError, match="empty"):
        generate_batch(model, prompts, max_new_tokens=4)
