"""Getting text out: the cache of keys and values, and sampling one token after another."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from minimind_lite.decoder import Decoder, check_decoder


class KVCache:
    """Keys and values of the tokens so far, in memory taken once (Pope et al., 2022).

    Each layer has two tensors [batch, kv_heads, capacity, head_dim]; `length` positions are
    filled. Attention to the past costs one row a token instead of the whole triangle.
    """

    def __init__(self, model, batch: int, capacity: int):
        config, like = model.config, model.norm.weight
        shape = (batch, config.num_key_value_heads, capacity, config.head_dim)
        self.keys = [like.new_zeros(shape) for _ in range(config.num_hidden_layers)]
        self.values = [like.new_zeros(shape) for _ in range(config.num_hidden_layers)]
        self.segment_ids = torch.zeros(batch, capacity, dtype=torch.long, device=like.device)
        self.length = 0  # the model advances it once all layers have stored the new positions

    def layer(self, index: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """A function that stores a layer's new keys and values and returns all of them."""

        def cached(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            end = self.length + keys.shape[2]
            self.keys[index][:, :, self.length : end] = keys
            self.values[index][:, :, self.length : end] = values
            return self.keys[index][:, :, :end], self.values[index][:, :, :end]

        return cached

    def add_segments(self, segment_ids: Tensor | None, seq: int) -> Tensor:
        """Store the new tokens' segments; all segments so far, [batch, keys]."""
        end = self.length + seq
        if segment_ids is not None:
            self.segment_ids[:, self.length : end] = segment_ids
        return self.segment_ids[:, :end]

    def keep(self, rows: Tensor) -> None:
        """Forget the texts that are not among `rows`, indices [kept]."""
        for index, (keys, values) in enumerate(zip(self.keys, self.values)):
            self.keys[index], self.values[index] = keys[rows], values[rows]
        self.segment_ids = self.segment_ids[rows]


def next_token_probabilities(
    logits: Tensor, temperature: float, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """logits: [batch, vocab] -> probabilities after temperature, top-k and top-p.

    Temperature 0 is the limit: all probability on the greatest logit (the first one of equals).
    top-k keeps the k most likely tokens (Fan et al., 2018); top-p the fewest that together have
    at least that probability (Holtzman et al., 2020). The most likely token always stays.
    """
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    above = logits - logits.amax(-1, keepdim=True)  # at most 0: dividing can't overflow to inf
    probabilities = (above / temperature).softmax(-1)
    if top_k is None and top_p is None:
        return probabilities
    ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ranked[:, top_k:] = 0
        ranked /= ranked.sum(-1, keepdim=True)
    if top_p is not None:
        before = ranked.cumsum(-1) - ranked  # what the more likely tokens have together
        ranked[(before >= top_p) & (before > 0)] = 0
    ranked /= ranked.sum(-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, order, ranked)


def check_sampling(model, longest, max_new_tokens, temperature, top_k, top_p) -> None:
    """Raise ValueError for a request that cannot be met, before any token is made."""
    positions = model.config.max_position_embeddings
    if longest == 0:
        raise ValueError("the prompt is empty: give at least one token, such as end_id.")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, but is {max_new_tokens}.")
    if longest + max_new_tokens > positions:
        raise ValueError(
            f"{longest} prompt tokens and {max_new_tokens} new ones do not fit into the model's "
            f"{positions} positions: ask for at most {max(0, positions - longest)}."
        )
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 (greedy) or more, but is {temperature}.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, but is {top_k}.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, but is {top_p}.")


def generate(
    model, input_ids, *, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
    top_p: float | None = None, eos_id: int | None = None, use_cache: bool = True,
    seed: int | None = None, decoder: Decoder | None = None,
) -> Iterator[int]:  # fmt: skip
    """Continue one prompt; yields each new token id as soon as it is drawn.

    input_ids: a list of ids or a tensor [seq] or [1, seq]. Ends after `max_new_tokens`, or after
    `eos_id`, which is yielded. The same seed gives the same tokens, with the cache or without.
    decoder: `Decoder(model)`, kept from one reply to the next; without it, each call makes one.
    Raises ValueError at once, not at the first token, if the request does not fit the model.
    """
    prompt = torch.as_tensor(input_ids).flatten().tolist()
    batches = generate_batches(
        model, [prompt], max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k,
        top_p=top_p, eos_id=eos_id, use_cache=use_cache, seed=seed, decoder=decoder,
    )  # fmt: skip
    return (tokens[0] for tokens in batches)


def generate_batch(model, prompts: list[list[int]], **sampling) -> list[list[int]]:
    """Continue many prompts at once; takes what `generate` takes, and returns lists of ids.

    Greedy decoding gives the same tokens as one prompt at a time. The end token is included.
    """
    replies = [[] for _ in prompts]
    for tokens in generate_batches(model, prompts, **sampling):
        for reply, token in zip(replies, tokens, strict=True):
            if token is not None:
                reply.append(token)
    return replies


def generate_batches(
    model, prompts: list[list[int]], *, max_new_tokens: int, temperature: float = 1.0,
    top_k: int | None = None, top_p: float | None = None, eos_id: int | None = None,
    use_cache: bool = True, seed: int | None = None, decoder: Decoder | None = None,
) -> Iterator[list[int | None]]:  # fmt: skip
    """One new token for every prompt at a time; None for a prompt that has ended.

    Padding stands to the left, so that every prompt's last token is in the last column, which
    is the one that is read; padding has a segment of its own, so that no token looks at it.
    Texts that have ended are left behind, and the others go on without them.
    """
    longest = max(map(len, prompts), default=0) if all(prompts) else 0
    check_sampling(model, longest, max_new_tokens, temperature, top_k, top_p)
    if decoder is not None:
        if not use_cache:
            raise ValueError("a decoder works with the cache: leave out decoder, or use_cache=False.")
        check_decoder(decoder, model)
    return _generate_batches(
        model, prompts, longest, max_new_tokens, temperature, top_k, top_p, eos_id, use_cache, seed,
        decoder,
    )  # fmt: skip


@torch.inference_mode()
def _generate_batches(
    model, prompts, longest, max_new_tokens, temperature, top_k, top_p, eos_id, use_cache, seed,
    decoder,
):  # fmt: skip
    device = model.embed_tokens.weight.device
    pads = [longest - len(prompt) for prompt in prompts]
    ids = torch.tensor([[0] * n + p for n, p in zip(pads, prompts)], device=device)
    segments, ones = None, None
    if any(pads):
        segments = torch.tensor([[0] * n + [1] * len(p) for n, p in zip(pads, prompts)], device=device)
        ones = torch.ones_like(segments[:, :1])  # the segment of every new token
    generator = torch.Generator(device)
    generator.seed() if seed is None else generator.manual_seed(seed)
    cache = KVCache(model, len(prompts), longest + max_new_tokens) if use_cache else None
    tokens = None  # there from the second step on
    rows = list(range(len(prompts)))  # which prompt each row continues
    for step in range(max_new_tokens):
        if step == 0 or cache is None:
            logits = model(ids, cache=cache, segment_ids=segments)[:, -1]  # [rows, vocab]
        else:
            decoder = decoder or Decoder(model)
            logits = decoder(tokens, cache, ones)
        if temperature == 0:
            tokens = logits.argmax(-1, keepdim=True)  # [rows, 1]
        else:
            probabilities = next_token_probabilities(logits.float(), temperature, top_k, top_p)
            tokens = torch.multinomial(probabilities, 1, generator=generator)  # [rows, 1]
        new = [None] * len(prompts)
        for row, token in zip(rows, tokens.flatten().tolist()):
            new[row] = token
        yield new
        going = [index for index, row in enumerate(rows) if new[row] != eos_id]
        if not going:
            return
        if cache is None:
            ids = torch.cat((ids, tokens), dim=1)
            segments = None if segments is None else torch.cat((segments, ones), dim=1)
        if len(going) < len(rows):
            rows = [rows[index] for index in going]
            kept = torch.tensor(going, device=device)
            ids, tokens = ids[kept], tokens[kept]
            if segments is not None:
                segments, ones = segments[kept], ones[kept]
            if cache is not None:
                cache.keep(kept)
