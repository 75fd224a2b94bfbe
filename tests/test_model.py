"""The transformer against transformers' own Qwen3, and against its own definition."""

import math
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
from transformers import Qwen3Config, Qwen3ForCausalLM

from minimind_lite.checkpoint import to_hugging_face
from minimind_lite.model import ModelConfig, RMSNorm, Transformer, rotary_angles, rotate

TINY = dict(vocab_size=97, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
SHAPES = {
    "heads 1:1": {},
    "heads 2:1": dict(num_key_value_heads=2),
    "heads 4:1": dict(num_key_value_heads=1),
    "wide heads": dict(num_key_value_heads=2, head_dim=20),
    "narrow heads": dict(num_key_value_heads=2, head_dim=8),
    "untied": dict(num_key_value_heads=2, tie_word_embeddings=False),
    "one layer": dict(num_hidden_layers=1),
    "five layers": dict(num_hidden_layers=5),
    "one head": dict(num_attention_heads=1, num_key_value_heads=1),
    "short theta": dict(rope_theta=1e4),
    "large eps": dict(rms_norm_eps=1e-2),
    "big vocabulary": dict(vocab_size=1000, hidden_size=64),
}


def tiny(seed=0, **changes) -> Transformer:
    torch.manual_seed(seed)
    model = Transformer(ModelConfig(**(TINY | changes))).eval()
    with torch.no_grad():  # weights that are all alike would hide a permutation
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def reference(model: Transformer) -> Qwen3ForCausalLM:
    """transformers' model with the same weights."""
    values = asdict(model.config)
    theta = values.pop("rope_theta")
    config = Qwen3Config(**values, rope_parameters={"rope_type": "default", "rope_theta": theta})
    other = Qwen3ForCausalLM(config).eval()
    weights = {to_hugging_face(name): p for name, p in model.state_dict().items()}
    other.load_state_dict(weights, strict=True)
    return other


def tokens(model, batch=2, seq=17, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(model.config.vocab_size, (batch, seq), generator=generator)


@pytest.mark.parametrize("name", SHAPES)
def test_logits_equal_qwen3(name):
    model = tiny(**SHAPES[name])
    ids = tokens(model)
    with torch.no_grad():
        ours, theirs = model(ids), reference(model)(ids).logits
    assert ours.std() > 0.1  # equal because right, not because nothing happens
    assert (ours - theirs).abs().max() < 1e-4


@pytest.mark.parametrize("name", SHAPES)
def test_weights_of_qwen3_give_the_same_logits_here(name):
    model = tiny(**SHAPES[name])
    other = reference(tiny(seed=7, **SHAPES[name]))
    ours = Transformer(model.config).eval()
    theirs = other.state_dict()
    ours.load_state_dict({n: theirs[to_hugging_face(n)] for n in ours.state_dict()})
    ids = tokens(model)
    with torch.no_grad():
        assert (ours(ids) - other(ids).logits).abs().max() < 1e-4


def test_no_position_sees_the_future():
    model = tiny()
    ids = tokens(model, batch=1)
    changed = ids.clone()
    changed[0, 9] = (ids[0, 9] + 1) % model.config.vocab_size
    with torch.no_grad():
        difference = (model(ids) - model(changed)).abs().amax(-1)[0]
    assert difference[:9].max() == 0
    assert (difference[9:] > 0).all()


def test_a_mask_that_leaks_one_token_is_found(monkeypatch):
    import minimind_lite.model as module

    def leaky(query_segments, key_segments, seq, keys, device):
        return torch.ones(seq, keys, dtype=torch.bool, device=device).tril(1).view(1, 1, seq, keys)

    monkeypatch.setattr(module, "attention_mask", leaky)
    model = tiny()
    ids, segments = tokens(model, batch=1), torch.zeros(1, 17, dtype=torch.long)
    changed = ids.clone()
    changed[0, 9] += 1
    changed %= model.config.vocab_size
    with torch.no_grad():
        difference = (model(ids, segment_ids=segments) - model(changed, segment_ids=segments)).abs().amax(-1)[0]
    assert difference[8] > 0


def test_packed_documents_do_not_see_each_other():
    model = tiny().double()
    first, second = tokens(model, 1, 6), tokens(model, 1, 9, seed=2)
    packed = torch.cat((first, second), dim=1)
    segments = torch.tensor([[0] * 6 + [1] * 9])
    with torch.no_grad():
        walled, open_ = model(packed, segment_ids=segments), model(packed)
        alone = model(second)
    # positions go on counting through the row, but rotary attention sees only differences; what
    # is left is the rounding of angles stored in float32
    assert (walled[:, :6] - model(first)).abs().max() < 1e-12
    assert (walled[:, 6:] - alone).abs().max() < 1e-5
    assert (open_[:, 6:] - alone).abs().max() > 0.1  # without the wall the second one changes


def test_right_padding_changes_nothing():
    model = tiny().double()
    ids = tokens(model, 1, 6)
    padded = F.pad(ids, (0, 5))
    with torch.no_grad():
        assert (model(padded)[:, :6] - model(ids)).abs().max() < 1e-12


def test_rotation_depends_on_distance_only():
    cos, sin = rotary_angles(16, 64, 1e4)
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=generator)
    scores = [
        (rotate(q, cos[i : i + 1], sin[i : i + 1]) * rotate(k, cos[j : j + 1], sin[j : j + 1])).sum()
        for i, j in ((5, 2), (40, 37), (63, 60))
    ]
    assert max(scores) - min(scores) < 1e-5


def test_interleaved_rotation_is_another_function():
    def interleaved(x, cos, sin):
        even, odd = x[..., ::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)

    cos, sin = rotary_angles(16, 8, 1e4)
    x = torch.randn(1, 2, 8, 16, generator=torch.Generator().manual_seed(0))
    assert (interleaved(x, cos, sin) - rotate(x, cos, sin)).abs().max() > 0.5
    order = torch.cat((torch.arange(0, 16, 2), torch.arange(1, 16, 2)))
    repaired = rotate(x[..., order], cos, sin)
    assert torch.allclose(repaired, interleaved(x, cos, sin)[..., order], atol=1e-6)


def test_first_loss_is_near_that_of_guessing():
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=2048))
    ids = tokens(model, 4, 64)
    loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).item()
    assert abs(loss - math.log(2048)) < 0.2
    with torch.no_grad():
        torch.nn.init.normal_(model.embed_tokens.weight)  # PyTorch's default: the planted bug
    wrong = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).item()
    assert wrong > 50


def test_gradients_check_numerically():
    model = tiny(vocab_size=11, hidden_size=8, intermediate_size=8, num_attention_heads=2, num_hidden_layers=1).double()
    ids = tokens(model, 1, 4)
    parameters = [p.detach().clone().requires_grad_() for p in model.parameters()]
    names = [n for n, _ in model.named_parameters()]

    def loss(*values):
        return torch.func.functional_call(model, dict(zip(names, values)), (ids,)).logsumexp(-1).sum()

    assert torch.autograd.gradcheck(loss, parameters)


def test_rms_norm_against_its_definition():
    norm = RMSNorm(6, 1e-6)
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(norm(x), x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt())


@pytest.mark.parametrize(
    "shape, word",
    [
        (dict(hidden_size=50), "hidden_size"),
        (dict(num_key_value_heads=3), "num_key_value_heads"),
        (dict(head_dim=7), "odd"),
    ],
)
def test_impossible_shapes_are_refused(shape, word):
    with pytest.raises(ValueError, match=word):
        ModelConfig(**(TINY | shape))


def test_more_positions_than_the_model_has():
    model = tiny(max_position_embeddings=16)
    with pytest.raises(ValueError, match="max_position_embeddings 16"):
        model(tokens(model, 1, 17))
