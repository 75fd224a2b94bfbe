"""What the checks of notebook 04 ask a student's function, and the reasons that they give.

A table holds what a question is asked with: arguments, what is wanted, why, and known mistakes.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from exercises.checks import expect, run, same, show_call
from minimind_lite.data import IGNORE
from minimind_lite.model import Block, ModelConfig, Transformer, rotary_angles


def whole_numbers(*shape, seed=0, most=4):
    """A small tensor of whole numbers, which is easy to read in a message."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-most, most + 1, shape, generator=generator).float()


def parameters(count_parameters, reason, **fields):
    c = ModelConfig(**{"vocab_size": 7, "hidden_size": 8, "intermediate_size": 10,
                       "num_hidden_layers": 1, "num_attention_heads": 4} | fields)  # fmt: skip
    wanted = sum(p.numel() for p in Transformer(c).parameters())
    h, d, layers = c.hidden_size, c.head_dim, c.num_hidden_layers
    table = c.vocab_size * h
    missing = c.num_attention_heads - c.num_key_value_heads
    width = c.num_attention_heads * d
    fewer = 2 * h * (h - d * c.num_key_value_heads) + 2 * h * (h - width)
    mistakes = [
        (
            wanted + table,
            "You counted the embedding twice, but the output head is the same matrix.",
        ),
        (
            wanted - table,
            "The embedding is missing, or the head of its own that an untied model has.",
        ),
        (
            wanted - 2 * d * layers,
            "The norms of queries and keys are missing: two vectors of head_dim.",
        ),
        (wanted - h, "The last norm is missing, the one before the output head."),
        (wanted - 2 * h * layers - h, "The norms as wide as the stream are missing."),
        (
            wanted - layers * h * c.intermediate_size,
            "SwiGLU has three matrices: gate, up and down.",
        ),
    ]
    if missing:
        more = layers * 2 * h * d * missing
        mistakes.append(
            (wanted + more, "Keys and values have num_key_value_heads heads, which are fewer.")
        )
    if width != h:
        mistakes.append(
            (wanted + layers * fewer, "A head's size is head_dim, not hidden_size / heads.")
        )
    call = "count_parameters(ModelConfig(" + ", ".join(f"{k}={v}" for k, v in fields.items()) + "))"
    same(run(count_parameters, c), wanted, call, reason, mistakes)


def kernel(q, k, v, **options):
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True, **{"is_causal": True} | options)


def grouped(grouped_attention, q, k, v, reason):
    copies, size, seq = q.shape[1] // k.shape[1], q.shape[-1], q.shape[2]
    keys, values = (t.repeat_interleave(copies, dim=1) for t in (k, v))
    scores = q @ keys.transpose(-2, -1) / size**0.5
    strict = torch.ones(seq, seq, dtype=torch.bool).triu(0)
    past = scores.masked_fill(strict.triu(1), -math.inf)
    mistakes = [
        (kernel(q, k.repeat(1, copies, 1, 1), v.repeat(1, copies, 1, 1)),
            "The heads are shared out in "
         "turn. Neighbouring query heads share a key head: 0, 0, 1, 1 and not 0, 1, 0, 1."),
        (kernel(q, k, v, is_causal=False), "Your attention sees the future: row 0 must see only "
                                           "itself."),
        (kernel(q, k, v, scale=1.0), "The scores were not divided by the root of head_dim."),
        (kernel(q, k, v, scale=seq**-0.5), "Divide by the root of head_dim, not of the length."),
        (scores.masked_fill(strict, -math.inf).softmax(-1) @ values, "No token sees itself: the "
                                                                     "first one sees "
         "nothing at all, and nothing divided by nothing is nan."),
        (scores.tril().softmax(-1) @ values, "The future was set to a score of 0, not of "
                                             "-infinity: "
         "softmax still gives it weight."),
        (scores.softmax(-1).tril() @ values, "The future was removed after the softmax, so the "
                                             "weights "
         "of a row no longer add up to one."),
        (past.softmax(-2) @ values, "Softmax over the "
         "wrong axis: the weights of a query over the keys, a row, add up to one."),
    ]  # fmt: skip
    call = show_call(grouped_attention, q, k, v)
    same(run(grouped_attention, q, k, v), kernel(q, k, v), call, reason, mistakes, tolerance=1e-4)


def rule(segments, window):
    """For each row b, query i, key j: whether i may look at j, and why or why not."""
    for b, row in enumerate(segments.tolist()):
        for i in range(len(row)):
            for j in range(len(row)):
                if j > i:
                    yield b, i, j, False, f"position {j} comes later"
                elif i - j >= window:
                    yield b, i, j, False, f"it is not among the last {window}"
                elif row[i] != row[j]:
                    yield b, i, j, False, f"they are in documents {row[i]} and {row[j]}"
                else:
                    yield b, i, j, True, "it is near enough, not later, and in the same document"


def window(window_mask, segments, window):
    segments = torch.tensor(segments)
    mask, call = run(window_mask, segments, window), show_call(window_mask, segments, window)
    batch, seq = segments.shape
    expect(isinstance(mask, torch.Tensor), f"Return a tensor: {call}")
    expect(
        mask.shape == (batch, 1, seq, seq),
        f"The shape is {list(mask.shape)}; attention needs "
        f"[batch, 1, seq, seq], here "
        f"{[batch, 1, seq, seq]}: {call}",
    )
    expect(
        mask.dtype == torch.bool,
        f"The entries are {mask.dtype}: attention takes True for may look.",
    )
    allowed = list(rule(segments, window))
    opposite = all(mask[b, 0, i, j].item() != may for b, i, j, may, _ in allowed)
    expect(not opposite, f"Every entry is the opposite: True is where a token may look.\n  {call}")
    for b, i, j, may, why in allowed:
        found = "does not let" if may else "lets"
        shown = "\n  ".join(str(line) for line in mask[b, 0].int().tolist())
        expect(
            mask[b, 0, i, j].item() == may,
            f"Your mask {found} position {i} see position {j} "
            f"of row "
            f"{b}: {why}.\n  {call}\n  {shown}",
        )


@torch.no_grad()
def loss_of(model, tokenizer, texts):
    """The loss in nats a token of texts, each of them one document."""
    total = count = 0
    for text in texts:
        ids = torch.tensor([[tokenizer.end_id, *tokenizer.encode(text)]])
        logits = model(ids[:, :-1], segment_ids=torch.zeros_like(ids[:, :-1]))[0]
        total += F.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    return total / count


def weights_of(layer):
    """The weights of a Block by short names, with a key and value head for every query head."""
    attention, mlp = layer.self_attn, layer.mlp
    size, wide = attention.head_dim, len(attention.q_proj.weight)
    found = {name: getattr(attention, f"{name}_proj").weight.detach() for name in "qkvo"}
    for name in "kv":
        heads = found[name].unflatten(0, (-1, size))
        found[name] = heads.repeat_interleave(wide // len(found[name]), 0).flatten(0, 1)
    found |= {name: getattr(mlp, f"{name}_proj").weight.detach() for name in ("gate", "up", "down")}
    norms = {"input_norm": layer.input_layernorm, "mlp_norm": layer.post_attention_layernorm,
             "q_norm": attention.q_norm, "k_norm": attention.k_norm}  # fmt: skip
    return found | {name: norm.weight.detach() for name, norm in norms.items()}


def drawn_layer(heads, head_dim=4, seed=0):
    """A Block of the package with random weights, large enough to see a difference."""
    torch.manual_seed(seed)
    layer = Block(ModelConfig(vocab_size=8, hidden_size=8, intermediate_size=12, head_dim=head_dim,
                              num_attention_heads=heads))  # fmt: skip
    for parameter in layer.parameters():
        nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.3)
    return layer


def moved(function, seq):
    """moved[t][i]: whether the output at position i moves when the input at position t changes."""
    before = whole_numbers(1, seq, 8, seed=1)
    rows = []
    for t in range(seq):
        after = before.clone()
        after[0, t] += 1
        rows.append((function(before) - function(after))[0].abs().amax(-1).gt(1e-6).tolist())
    return rows


def noise_loss(function, steps=200):
    """The loss, in nats, of a model of one layer that has learned random tokens, 16 kinds."""
    w = {name: nn.Parameter(t.clone()) for name, t in weights_of(drawn_layer(2)).items()}
    w["table"], noise = nn.Parameter(torch.randn(16, 8)), torch.Generator().manual_seed(0)
    optimizer, losses = torch.optim.AdamW(w.values(), lr=1e-2), []
    for _ in range(steps):
        ids = torch.randint(16, (32, 9), generator=noise)
        logits = function(w["table"][ids[:, :-1]], w, 4) @ w["table"].T
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-50:]) / 50


def leak(block, heads, batch, seq, seed=0):
    layer = drawn_layer(heads, seed=seed)
    weights, x = weights_of(layer), whole_numbers(batch, seq, 8, seed=seed + 7)
    got = run(block, x, weights, 4)
    shape = list(got.shape) if isinstance(got, torch.Tensor) else None
    case = f"{heads} heads, batch {batch}, {seq} tokens"
    expect(
        shape == [batch, seq, 8],
        f"The result must have the shape of x, {[batch, seq, 8]}, and has {shape} ({case}).",
    )
    rows = moved(lambda x: block(x.clone(), dict(weights), 4), seq)
    for t, row in enumerate(rows):
        early = [i for i in range(t) if row[i]]
        expect(
            not early,
            f"The future leaks: token {t} changed, and the output at position "
            f"{min(early, default=0)} moved ({case}). Only positions {t} and later "
            f"may.",
        )
    for t, row in enumerate(rows):
        expect(row[t], f"Token {t} changed, and its own output did not move ({case}).")
        late = [i for i in range(t, seq) if not row[i]]
        expect(
            not late,
            f"Token {t} changed, and the output at position {max(late, default=0)} "
            f"did not "
            f"move ({case}), though it may look back at it.",
        )
    cos, sin = rotary_angles(4, seq, 1e6)
    with torch.no_grad():
        wanted = layer(x, cos, sin, None, None)
    same(got, wanted, f"block(…) with {case}", "It no longer leaks, but the package's Block gives "
                                               "other "
         "numbers: change nothing but the bug.", tolerance=1e-4)  # fmt: skip


def column(rows):
    return torch.arange(float(rows))[:, None] * torch.tensor([10.0, 1.0])


HALVES = [
    (torch.arange(2.0), 2, (0, 1), "A head of one pair is the same in both conventions."),
    (
        torch.arange(4.0),
        4,
        (0, 2, 1, 3),
        "Pairs (0, 1) and (2, 3): first 0 and 2, then 1 and 3.",
        ((0, 1, 2, 3), None, "Nothing changed."),
    ),
    (
        torch.arange(6.0),
        6,
        (0, 2, 4, 1, 3, 5),
        "The first coordinates of all pairs, then the second ones.",
        (
            (0, 3, 1, 4, 2, 5),
            None,
            "That is the way back, from halves to neighbours: it is another "
            "order as soon as a head has three pairs.",
        ),
    ),
    (
        column(8),
        4,
        (0, 2, 1, 3, 4, 6, 5, 7),
        "Two heads of four rows, each sorted by itself.",
        (
            (0, 2, 4, 6, 1, 3, 5, 7),
            None,
            "You sorted all rows at once: rows must stay in their head.",
        ),
        ((0, 2, 1, 3), None, "Only the first head came back."),
        ((0, 2, 1, 3, 4, 5, 6, 7), None, "Only the first head was sorted."),
    ),
    (
        torch.arange(16.0).view(4, 4),
        4,
        (0, 2, 1, 3),
        "Rows are what a matrix writes, so rows are sorted, not columns.",
        (None, [0, 2, 1, 3], "You sorted columns; a head's coordinates are the rows."),
    ),
]


def halves(to_halves, weight, head_dim, wanted, reason, *mistakes):
    call = show_call(to_halves, weight, head_dim)
    known = [(weight[list(order)] if columns is None else weight[:, columns], why)
             for order, columns, why in mistakes]  # fmt: skip
    same(run(to_halves, weight, head_dim), weight[list(wanted)], call, reason, known)


def tiny_model(**changes):
    torch.manual_seed(3)
    shape = {"vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
             "num_attention_heads": 2, "head_dim": 6} | changes  # fmt: skip
    model = Transformer(ModelConfig(**shape))
    for parameter in model.parameters():
        nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.4)
    return model


@torch.no_grad()
def losses(model, ids, labels, layer=None, head=0):
    """Mean, sum, and sum over all positions, with one head's weights masked for this call."""
    weights = {}
    if layer is not None:
        weight = model.layers[layer].self_attn.o_proj.weight
        keep = torch.arange(weight.shape[1]) // model.config.head_dim != head
        weights[f"layers.{layer}.self_attn.o_proj.weight"] = weight * keep
    logits = torch.func.functional_call(model, weights, ids)
    nats = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    return torch.stack([nats / (labels != IGNORE).sum(), nats, nats / labels.numel()])


def silence(damage, ids, labels, case, **changes):
    model = tiny_model(**changes)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    got = run(damage, model, ids, labels)
    for name, tensor in model.state_dict().items():
        expect(torch.equal(tensor, before[name]), f"Afterwards the model is another one: {name} "
                                                  f"has "
               f"changed ({case}). Put the columns back.")  # fmt: skip
    layers, heads = model.config.num_hidden_layers, model.config.num_attention_heads
    table = torch.stack([torch.stack([losses(model, ids, labels, i, j) for j in range(heads)])
                         for i in range(layers)])  # fmt: skip
    whole = losses(model, ids, labels)
    wanted, summed, diluted = (table - whole).unbind(-1)
    mistakes = [
        (table[..., 0], "That is the loss itself: subtract the loss of the whole model."),
        (-wanted, "The sign is turned: a head that is needed makes the loss rise."),
        (summed, "That is the rise of the sum: divide by the number of targets."),
        (diluted, "You divided by all positions, but those with -100 are no targets."),
        (wanted.T, "Rows are layers, columns are heads."),
    ]
    same(got, wanted, f"damage(model, …) with {case}", "Each entry is for one head alone.",
         mistakes, 1e-3)  # fmt: skip
