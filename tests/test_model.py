"""The transformer against transformers' own Qwen3, and against its own definition."""

import math
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3Config, Qwen3ForCausalLM

import minimind_lite.model as module
from minimind_lite.checkpoint import to_hugging_face
from minimind_lite.model import (
    MLP, Attention, ModelConfig, RMSNorm, Transformer, attention_mask, rotary_angles, rotate,
)  # fmt: skip

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


def first_moved(model, segments=None, t=9):
    """The first position whose logits change when token t changes."""
    before = tokens(model, batch=1)
    after = before.clone()
    after[0, t] = (before[0, t] + 1) % model.config.vocab_size
    with torch.no_grad():
        moved = (model(before, segment_ids=segments) != model(after, segment_ids=segments)).any(-1)[0]
    assert moved[t:].all()  # nothing is hidden that should be seen
    return moved.nonzero()[0].item()


@pytest.mark.parametrize("segments", [None, torch.zeros(1, 17, dtype=torch.long)])
def test_no_position_sees_the_future(segments):
    assert first_moved(tiny(), segments) == 9


def test_a_mask_that_leaks_one_token_is_found(monkeypatch):
    def leaky(query_segments, key_segments, seq, keys, device):
        return torch.ones(seq, keys, dtype=torch.bool, device=device).tril(1).view(1, 1, seq, keys)

    monkeypatch.setattr(module, "attention_mask", leaky)
    segments = torch.zeros(1, 17, dtype=torch.long)
    assert first_moved(tiny(), segments) == 7  # two layers leak one position each
    assert first_moved(tiny(num_hidden_layers=1), segments) == 8


def test_the_mask_by_its_definition():
    query, key = torch.tensor([[1, 1, 2]]), torch.tensor([[0, 1, 1, 1, 2]])
    mask = attention_mask(query, key, 3, 5, None)
    for i in range(3):
        for j in range(5):
            assert mask[0, 0, i, j] == (j <= i + 2 and key[0, j] == query[0, i])


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


def interleaved(x, cos, sin):
    """The planted bug: neighbours are paired instead of halves."""
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)


def test_rotation_by_its_definition():
    cos, sin = rotary_angles(8, 5, 100.0)
    x = torch.randn(1, 2, 5, 8, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, cos, sin)
    for p in range(5):
        for i in range(4):
            angle = p * 100.0 ** (-2 * i / 8)
            one, two = x[..., p, i], x[..., p, i + 4]
            assert torch.allclose(turned[..., p, i], one * math.cos(angle) - two * math.sin(angle), atol=1e-5)
            assert torch.allclose(turned[..., p, i + 4], two * math.cos(angle) + one * math.sin(angle), atol=1e-5)


def test_the_other_pairing_is_another_model_and_a_permutation_repairs_it(monkeypatch):
    model, ids = tiny(num_key_value_heads=2).double(), tokens(tiny())
    with torch.no_grad():
        right = model(ids)
        assert torch.equal(model(ids), right)
        monkeypatch.setattr(module, "rotate", interleaved)
        assert (model(ids) - right).abs().max() > 0.1
        half = model.config.head_dim // 2
        order = torch.stack((torch.arange(half), torch.arange(half) + half), dim=1).flatten()
        for layer in model.layers:
            for linear in (layer.self_attn.q_proj, layer.self_attn.k_proj):
                heads = linear.weight.unflatten(0, (-1, 2 * half))
                linear.weight.copy_(heads[:, order].flatten(0, 1))
            for norm in (layer.self_attn.q_norm, layer.self_attn.k_norm):
                norm.weight.copy_(norm.weight[order])
        assert (model(ids) - right).abs().max() < 1e-12


def test_attention_by_its_definition():
    """Explicit softmax, one head at a time, against the layer."""
    torch.manual_seed(0)
    config = ModelConfig(**(TINY | dict(num_key_value_heads=2)))
    layer, x = Attention(config).double(), torch.randn(1, 7, 48).double()
    cos, sin = (t.double() for t in rotary_angles(12, 7, 1e4))
    future = torch.ones(7, 7, dtype=torch.bool).triu(1)
    outputs = []
    for head in range(4):
        rows, shared = slice(12 * head, 12 * head + 12), slice(12 * (head // 2), 12 * (head // 2) + 12)
        q = rotate(layer.q_norm(x @ layer.q_proj.weight[rows].T), cos, sin)
        k = rotate(layer.k_norm(x @ layer.k_proj.weight[shared].T), cos, sin)
        scores = (q @ k.transpose(1, 2) / 12**0.5).masked_fill(future, -math.inf)
        outputs.append(scores.softmax(-1) @ (x @ layer.v_proj.weight[shared].T))
    expected = torch.cat(outputs, dim=-1) @ layer.o_proj.weight.T
    assert torch.allclose(layer(x, cos, sin, None, None), expected, atol=1e-12)


def test_swiglu_by_its_definition():
    torch.manual_seed(0)
    mlp, x = MLP(ModelConfig(**TINY)), torch.randn(3, 48)
    gate, up = x @ mlp.gate_proj.weight.T, x @ mlp.up_proj.weight.T
    expected = (gate / (1 + (-gate).exp()) * up) @ mlp.down_proj.weight.T
    assert torch.allclose(mlp(x), expected, atol=1e-6)


def first_loss(model):
    ids = tokens(model, 4, 64)
    with torch.no_grad():
        return F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).item()


@pytest.mark.parametrize("tied", [True, False])
def test_first_loss_is_near_that_of_guessing(tied):
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=2048, tie_word_embeddings=tied))
    assert abs(first_loss(model) - math.log(2048)) < 0.2


def test_the_default_scale_of_an_embedding_is_found():
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=2048))
    torch.nn.init.normal_(model.embed_tokens.weight)  # what PyTorch does: standard deviation 1
    assert first_loss(model) > 100


def test_leaving_out_the_query_and_key_norms_is_found():
    model, ids = tiny(num_key_value_heads=2), tokens(tiny())
    with torch.no_grad():
        right = model(ids)
        for layer in model.layers:
            layer.self_attn.q_norm = layer.self_attn.k_norm = torch.nn.Identity()
        assert (model(ids) - right).abs().max() > 0.1


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [{}, dict(num_key_value_heads=1), dict(tie_word_embeddings=False)])
def test_gradients_check_numerically(shape, packed):
    size = dict(vocab_size=7, hidden_size=8, intermediate_size=8, num_attention_heads=2, num_hidden_layers=1)
    model = tiny(**(size | shape)).double()
    ids = tokens(model, 1, 4)
    segments = torch.tensor([[0, 0, 1, 1]]) if packed else None
    names = [n for n, _ in model.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in model.parameters()]

    def loss(*values):
        named = dict(zip(names, values))
        return torch.func.functional_call(model, named, (ids,), {"segment_ids": segments}).logsumexp(-1).sum()

    assert torch.autograd.gradcheck(loss, parameters)


def test_parameters_and_flops_are_those_of_the_formula():
    model = tiny(num_key_value_heads=2)
    c, n = model.config, 17
    width, kv_width = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
    matrices = c.num_hidden_layers * c.hidden_size * (2 * width + 2 * kv_width + 3 * c.intermediate_size)
    norms = c.num_hidden_layers * 2 * (c.hidden_size + c.head_dim) + c.hidden_size
    embedding = c.vocab_size * c.hidden_size
    assert sum(p.numel() for p in model.parameters()) == matrices + norms + embedding
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model(tokens(model, 1, n))
    assert counter.get_total_flops() == 2 * n * (matrices + embedding) + 4 * n * n * width * c.num_hidden_layers


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
