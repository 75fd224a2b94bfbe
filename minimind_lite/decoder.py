"""One more token for every text, as fast as the machine reads the weights."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimind_lite.model import RMSNorm, rotate

PACKED_FROM = 256  # hidden size; below, a call of oneDNN costs more than it saves


def packs(vector: Tensor) -> bool:
    """Whether matrices that read such a vector [hidden] are worth laying out for oneDNN.

    False as well where PyTorch was built without oneDNN.
    """
    fits = vector.is_cpu and vector.dtype == torch.float32 and len(vector) >= PACKED_FROM
    return fits and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def fingerprint(model) -> list[int]:
    """For each parameter the sum of its bits, read as whole numbers: a step of training changes it.

    PyTorch counts writes as well (`_version`), but not those of its fused AdamW.
    """
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = (p.detach().view(whole[p.element_size()]) for p in model.parameters())
    return torch.stack([some.sum() for some in bits]).tolist()


def side_by_side(*linears: nn.Linear, norm: RMSNorm | None = None, columns: bool = False) -> Tensor:
    """The weights of layers that read the same vector, as one matrix [out of all, in].

    The scale of the norm before them is multiplied in, and the constant that `unit` leaves out.
    columns: it lies in memory column after column, not row after row.
    """
    parts = [linear.weight for linear in linears]
    scale = 1.0 if norm is None else norm.weight * len(norm.weight) ** 0.5
    shape = sum(map(len, parts)), parts[0].shape[1]
    together = parts[0].new_empty(shape[::-1]).t() if columns else parts[0].new_empty(shape)
    for part, place in zip(parts, together.split([len(part) for part in parts])):
        torch.mul(part, scale, out=place)
    return together


def product(*linears: nn.Linear, pack: bool, norm: RMSNorm | None = None) -> Callable:
    """A function x [rows, in] -> x @ weights.T [rows, out of all], fast for few rows.

    pack: lay the weights out in the blocks that oneDNN reads fastest, as PyTorch's compiler does
    when it freezes a model; the operations have no public names.
    """
    if pack:
        few = 16  # rows that the layout is chosen for; any number can be multiplied
        packed = torch.ops.mkldnn._reorder_linear_weight(side_by_side(*linears, norm=norm), few)
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], None)
    weight = side_by_side(*linears, norm=norm, columns=True).t()  # fastest for small matrices
    return lambda x: x @ weight


def unit(x: Tensor, floor: Tensor) -> Tensor:
    """x / sqrt(|x|^2 + floor^2): RMSNorm but for a constant, and fast, as a root of two squares."""
    return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), floor)


class Decoder:
    """The model's step for one more token of every text, in few and large operations.

    For one token, calling an operation costs more than its arithmetic. So what reads the same
    vector is one matrix, and the query heads that share a key head are several queries of one
    head. The logits are those of `model(tokens, cache=cache)` up to rounding. The copies of the
    weights take memory, and do not follow when the model is trained further; `check_decoder` notices.
    """

    @torch.inference_mode()
    def __init__(self, model):
        config, like = model.config, model.norm.weight
        self.model, self.head_dim = model, config.head_dim
        self.heads, self.key_value_heads = config.num_attention_heads, config.num_key_value_heads
        self.floor = like.new_tensor(config.hidden_size * config.rms_norm_eps).sqrt()
        self.head_floor = like.new_tensor(config.head_dim * config.rms_norm_eps).sqrt()
        self.fingerprint, self.product = fingerprint(model), partial(product, pack=packs(like))
        self.layers = [self.fuse(layer, layer.self_attn, layer.mlp) for layer in model.layers]
        self.lm_head = self.product(model.lm_head, norm=model.norm)

    def fuse(self, layer, attention, mlp) -> tuple:
        query_scale = attention.q_norm.weight.expand(self.heads, -1)
        key_scale = attention.k_norm.weight.expand(self.key_value_heads, -1)
        scale = torch.cat((query_scale, key_scale)) * self.head_dim**0.5  # [heads + kv_heads, head_dim]
        qkv = self.product(attention.q_proj, attention.k_proj, attention.v_proj, norm=layer.input_layernorm)
        gate_up = self.product(mlp.gate_proj, mlp.up_proj, norm=layer.post_attention_layernorm)
        return qkv, scale, self.product(attention.o_proj), gate_up, self.product(mlp.down_proj)

    def __call__(self, tokens: Tensor, cache, segment_ids: Tensor | None = None) -> Tensor:
        """tokens, segment_ids: [batch, 1] -> logits [batch, vocab]; fills and advances the cache."""
        position, end, turned = cache.length, cache.length + 1, self.heads + self.key_value_heads
        mask = None
        if segment_ids is not None:
            mask = (cache.add_segments(segment_ids, 1) == segment_ids)[:, None, None]
        cos, sin = self.model.cos[position], self.model.sin[position]
        x = F.embedding(tokens[:, 0], self.model.embed_tokens.weight)  # [batch, hidden]
        for layer, keys, values in zip(self.layers, cache.keys, cache.values):
            qkv, scale, output, gate_up, down = layer
            heads = qkv(unit(x, self.floor)).view(len(x), -1, self.head_dim)
            query_key = rotate(unit(heads[:, :turned], self.head_floor) * scale, cos, sin)
            keys[:, :, position] = query_key[:, self.heads :]
            values[:, :, position] = heads[:, turned:]
            queries = query_key[:, : self.heads].view(len(x), self.key_value_heads, -1, self.head_dim)
            mixed = F.scaled_dot_product_attention(queries, keys[:, :, :end], values[:, :, :end], mask)
            x = x + output(mixed.flatten(1))
            gate, up = gate_up(unit(x, self.floor)).chunk(2, dim=-1)
            x = x + down(F.silu(gate) * up)
        cache.length = end
        return self.lm_head(unit(x, self.floor))


def check_decoder(decoder: Decoder, model) -> None:
    """Raise ValueError if a decoder is not of this model as it is now."""
    if decoder.model is not model:
        raise ValueError("the decoder was made from another model: make it with Decoder(model).")
    if decoder.fingerprint != fingerprint(model):
        raise ValueError("the model has changed since the decoder was made: make a new Decoder(model).")
