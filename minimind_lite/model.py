"""The transformer: Qwen3's dense decoder, small enough to read in one sitting.

Pre-norm RMSNorm, grouped-query attention with RMSNorm on queries and keys, rotary positions
(the two halves of a head rotate), SwiGLU, no biases, tied embeddings. Names follow Hugging Face's
`Qwen3Config` and `Qwen3ForCausalLM`, so that a saved directory needs no conversion
(Qwen Team, "Qwen3 Technical Report", 2025).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from torch.utils.checkpoint import checkpoint


@dataclass
class ModelConfig:
    """The shape of a model. Fields carry the names of Hugging Face's `Qwen3Config`.

    Left at None, `num_key_value_heads` equals `num_attention_heads`, `head_dim` is
    hidden_size / num_attention_heads, and `intermediate_size` is 8/3 of hidden_size rounded up to
    a multiple of 32. Raises ValueError for a shape that cannot be built.
    """

    vocab_size: int = 2048
    hidden_size: int = 192
    intermediate_size: int | None = None
    num_hidden_layers: int = 4
    num_attention_heads: int = 6
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 512
    rope_theta: float = 1_000_000.0
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02

    def __post_init__(self):
        heads = self.num_attention_heads
        if self.num_key_value_heads is None:
            self.num_key_value_heads = heads
        if self.head_dim is None:
            if self.hidden_size % heads:
                raise ValueError(
                    f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                    f"{heads}: change one of them or give head_dim."
                )
            self.head_dim = self.hidden_size // heads
        if self.intermediate_size is None:
            self.intermediate_size = -(-self.hidden_size * 8 // (3 * 32)) * 32
        if heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads {heads} is not a multiple of num_key_value_heads "
                f"{self.num_key_value_heads}: every group must have the same number of heads."
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd: rotary positions need pairs.")


class RMSNorm(nn.Module):
    """Divide each vector by its root mean square, then scale (Zhang & Sennrich, 2019).

    [..., size] -> [..., size]
    """

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # under autocast x may be bfloat16; the fused kernel wants one format
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


def rotary_angles(head_dim: int, positions: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position's rotation, each [positions, head_dim / 2].

    Pair i turns by theta ** (-2i / head_dim) radians a position (Su et al., RoFormer, 2021).
    Computed in float32 whatever the model's format: bfloat16 cannot tell 256 from 257.
    """
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle = torch.outer(torch.arange(positions, dtype=torch.float32), frequency)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pair (x[i], x[i + head_dim / 2]) by its angle: halves are paired, not neighbours.

    x: [batch, heads, seq, head_dim]; cos, sin: [seq, head_dim / 2].
    """
    first, second = x.chunk(2, dim=-1)  # each [batch, heads, seq, head_dim / 2]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask, causal: bool) -> Tensor:
    """For each query the mean of the values, weighted by softmax(query . key / sqrt(head_dim)).

    queries: [batch, heads, seq, head_dim]; keys, values: [batch, kv_heads, keys, head_dim]
    -> [batch, heads, seq, head_dim]. Heads share keys in groups: 0, 1 use the first, and so on.
    """
    if isinstance(mask, BlockMask):
        return flex_attention(queries, keys, values, block_mask=mask, enable_gqa=True)
    grouped = queries.shape[1] != keys.shape[1]
    return F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, is_causal=causal, enable_gqa=grouped
    )


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al., 2023) with normalized queries and keys."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.head_dim = config.head_dim
        width = config.num_attention_heads * config.head_dim
        key_value_width = config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, key_value_width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, key_value_width, bias=False)
        self.o_proj = nn.Linear(width, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, cached) -> Tensor:
        """x: [batch, seq, hidden] -> [batch, seq, hidden].

        mask: as `attention_mask` gives it, or `block_mask`; None is plain causal.
        cached(keys, values) stores this layer's new keys and values and returns all of them.
        """
        split = (*x.shape[:2], -1, self.head_dim)
        queries = self.q_norm(self.q_proj(x).view(split)).transpose(1, 2)  # [batch, heads, seq, head_dim]
        keys = self.k_norm(self.k_proj(x).view(split)).transpose(1, 2)  # [batch, kv_heads, seq, head_dim]
        values = self.v_proj(x).view(split).transpose(1, 2)
        queries, keys = rotate(queries, cos, sin), rotate(keys, cos, sin)
        if cached is not None:
            keys, values = cached(keys, values)  # [batch, kv_heads, keys so far, head_dim]
        # With a cache there are fewer queries than keys, and `is_causal` would align the
        # triangle to the top left: the one query would see only the first key.
        mixed = attend(queries, keys, values, mask, causal=mask is None and cached is None)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))  # [batch, seq, hidden]


class MLP(nn.Module):
    """SwiGLU: one half opens and shuts the other (Shazeer, 2020)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # [batch, seq, hidden]


class Block(nn.Module):
    """One layer: every token looks around, then thinks; each adds to the residual stream."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, *attention) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), *attention)
        return x + self.mlp(self.post_attention_layernorm(x))


def attention_mask(
    query_segments: Tensor | None, key_segments: Tensor | None, seq: int, keys: int, device
) -> Tensor:
    """True where a query may look at a key: not later, and in the same document.

    The last query stands at the last key, so that a cache's older keys lie to its left.
    segments: [batch, seq] and [batch, keys], or None -> [batch or 1, 1, seq, keys]
    """
    position = torch.arange(keys, device=device)
    mask = position <= position[keys - seq :, None]  # [seq, keys]
    if query_segments is not None:
        mask = mask & (query_segments[:, :, None] == key_segments[:, None, :])
    return mask.view(-1, 1, seq, keys)


def blocks_are_faster(device: torch.device) -> bool:
    """Whether FlexAttention pays: compiled, on a GPU. Elsewhere it would store every score."""
    return device.type == "cuda" and torch.compiler.is_compiling()


def block_mask(segment_ids: Tensor) -> BlockMask:
    """The same for FlexAttention, which skips blocks of 128 x 128 pairs without a True."""

    def may_look(batch, head, query, key):
        return (key <= query) & (segment_ids[batch, query] == segment_ids[batch, key])

    rows, seq = segment_ids.shape
    return create_block_mask(may_look, rows, None, seq, seq, device=segment_ids.device)


TARGETS_AT_ONCE = 8192  # so many logits are held at a time


def summed_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in nats; logits: [n, vocab], labels: [n] -> the sum, in float32 or better."""
    logits = logits.float() if logits.dtype == torch.bfloat16 else logits
    return F.cross_entropy(logits, labels, reduction="sum")


class Transformer(nn.Module):
    """Token ids to next-token logits.

    >>> Transformer(ModelConfig())(torch.tensor([[5, 9, 2]])).shape
    torch.Size([1, 3, 2048])
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        cos, sin = rotary_angles(config.head_dim, config.max_position_embeddings, config.rope_theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                # The default for an embedding is standard deviation 1: under a tied head the
                # first loss would be in the hundreds instead of near ln(vocab_size).
                nn.init.normal_(parameter, std=config.initializer_range)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    def forward(
        self, input_ids: Tensor, cache=None, segment_ids: Tensor | None = None,
        targets: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """input_ids: [batch, seq] -> logits: [batch, seq, vocab_size].

        cache: a `generate.KVCache` whose positions precede these; it is filled and advanced.
        segment_ids: [batch, seq] integers; a token sees only tokens of its own segment.
        targets: (positions in the flattened batch, their labels), each [n] -> the sum of their
        cross-entropies in nats instead of logits, which are made for these positions alone.
        Raises ValueError if the positions would pass max_position_embeddings.
        """
        start = 0 if cache is None else cache.length
        end = start + input_ids.shape[1]
        if end > self.config.max_position_embeddings:
            raise ValueError(
                f"position {end} is past max_position_embeddings "
                f"{self.config.max_position_embeddings}: shorten the text."
            )
        mask = self.mask(input_ids, cache, segment_ids, end)
        x = self.embed_tokens(input_ids)  # [batch, seq, hidden]
        cos, sin = self.cos[start:end], self.sin[start:end]
        for index, layer in enumerate(self.layers):
            x = layer(x, cos, sin, mask, None if cache is None else cache.layer(index))
        if cache is not None:
            cache.length = end
        return self.lm_head(self.norm(x)) if targets is None else self.loss(x, *targets)

    def mask(self, input_ids: Tensor, cache, segment_ids: Tensor | None, end: int):
        """What `attend` is to use, None where plain causal attention will do."""
        seq, device = input_ids.shape[1], input_ids.device
        if cache is not None:
            key_segments = cache.add_segments(segment_ids, seq)
            if seq > 1 or segment_ids is not None:
                return attention_mask(segment_ids, key_segments, seq, end, device)
        elif segment_ids is not None and blocks_are_faster(device):
            return block_mask(segment_ids)
        elif segment_ids is not None:
            return attention_mask(segment_ids, segment_ids, seq, seq, device)
        return None

    def loss(self, x: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
        """x: [batch, seq, hidden], positions and labels: [n] -> summed cross-entropy in nats.

        Of many targets, one part's logits at a time; backward makes them again.
        """
        x = x.flatten(0, 1)[positions]  # [n, hidden]
        if len(positions) <= TARGETS_AT_ONCE:
            return self.loss_of_part(x, labels)
        parts = zip(x.split(TARGETS_AT_ONCE), labels.split(TARGETS_AT_ONCE))
        return sum(checkpoint(self.loss_of_part, *part, use_reentrant=False) for part in parts)

    def loss_of_part(self, x: Tensor, labels: Tensor) -> Tensor:
        return summed_loss(self.lm_head(self.norm(x)), labels)
