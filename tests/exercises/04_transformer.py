"""Right and wrong solutions of the exercises in 04_transformer, for test_exercises.py."""


# %% leak right: flatten instead of reshape
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + mixed.transpose(1, 2).flatten(2) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak right: heads put side by side
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + torch.cat(list(mixed.unbind(1)), dim=-1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak right: the kernel, and permute
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + mixed.permute(0, 2, 1, 3).contiguous().view(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: the colleague's version
# says: The future leaks: token 1 changed, and the output at position 0
def block(x, w, head_dim):
    return colleague_block(x, w, head_dim)


# %% leak wrong: a stricter mask
# says: did not move
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = (
        torch.ones(seq, seq, dtype=torch.bool)
        .triu(0)
        .logical_and(~torch.eye(seq, dtype=torch.bool))
        .logical_or(torch.ones(seq, seq, dtype=torch.bool).tril(-1))
    )
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + mixed.reshape(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: heads and sizes swapped
# says: It no longer leaks, but
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + mixed.permute(0, 2, 3, 1).reshape(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: attention left out
# says: did not move
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + 0
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: softmax over the queries
# says: The future leaks
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-2) @ v
    x = x + mixed.transpose(1, 2).reshape(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: norm over positions as well
# says: The future leaks
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (seq, hidden), w["input_norm"].expand(seq, -1), 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + mixed.transpose(1, 2).reshape(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: heads averaged
# says: It no longer leaks, but
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + mixed.mean(1).repeat(1, 1, mixed.shape[1]) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: mask turned round
# says: The future leaks
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).tril(-1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + mixed.transpose(1, 2).reshape(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: adds to its input
# says: changed its input
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x += mixed.transpose(1, 2).reshape(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong: no residual around attention
# says: It no longer leaks, but
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = mixed.transpose(1, 2).reshape(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong, hidden: two heads only
# says: failed with RuntimeError
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, 2 if len(w["q"]) > head_dim else 1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + mixed.transpose(1, 2).reshape(batch, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    return x + (F.silu(gate) * up) @ w["down"].T


# %% leak wrong, hidden: batch 1 only
# says: must have the shape of x
def block(x, w, head_dim):
    batch, seq, hidden = x.shape
    normed = F.rms_norm(x, (hidden,), w["input_norm"], 1e-6)
    split = (batch, seq, -1, head_dim)
    q, k, v = ((normed @ w[name].T).view(split).transpose(1, 2) for name in "qkv")
    cos, sin = rotary_angles(head_dim, seq, 1e6)
    q = rotate(F.rms_norm(q, (head_dim,), w["q_norm"], 1e-6), cos, sin)
    k = rotate(F.rms_norm(k, (head_dim,), w["k_norm"], 1e-6), cos, sin)
    future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).masked_fill(future, -math.inf)
    mixed = scores.softmax(-1) @ v
    x = x + mixed[:1].transpose(1, 2).reshape(1, seq, -1) @ w["o"].T
    normed = F.rms_norm(x, (hidden,), w["mlp_norm"], 1e-6)
    gate, up = normed @ w["gate"].T, normed @ w["up"].T
    x, gate, up = x[:1], gate[:1], up[:1]
    return x + (F.silu(gate) * up) @ w["down"].T


# %% grouped right: groups as a dimension
def grouped_attention(q, k, v):
    batch, heads, seq, size = q.shape
    groups = q.reshape(batch, k.shape[1], -1, seq, size)  # [batch, kv_heads, group, seq, size]
    scores = torch.einsum("bkgid,bkjd->bkgij", groups, k) * size**-0.5
    scores = scores + torch.full((seq, seq), -math.inf).triu(1)
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return torch.einsum("bkgij,bkjd->bkgid", weights, v).reshape(q.shape)


# %% grouped right: loops
def grouped_attention(queries, keys, values):
    result = torch.empty_like(queries)
    batch, heads, seq, size = queries.shape
    for b in range(batch):
        for h in range(heads):
            shared = h // (heads // keys.shape[1])
            for i in range(seq):
                scores = keys[b, shared, : i + 1] @ queries[b, h, i] / size**0.5
                result[b, h, i] = scores.softmax(0) @ values[b, shared, : i + 1]
    return result


# %% grouped right: indices, and tril
def grouped_attention(q, k, v):
    shared = torch.arange(q.shape[1]) * k.shape[1] // q.shape[1]
    scores = (q / q.shape[-1] ** 0.5) @ k[:, shared].mT
    allowed = torch.ones_like(scores).tril().bool()
    return torch.where(allowed, scores, torch.tensor(-math.inf)).softmax(dim=3) @ v[:, shared]


# %% grouped wrong: repeat
# says: Neighbouring query heads share a key head
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat(1, group, 1, 1), v.repeat(1, group, 1, 1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


# %% grouped wrong: no mask
# says: Your attention sees the future
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.softmax(-1) @ v


# %% grouped wrong: a token does not see itself
# says: No token sees itself
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(0)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


# %% grouped wrong: softmax over the queries
# says: Softmax over the wrong axis
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-2) @ v


# %% grouped wrong: not divided
# says: were not divided by the root of head_dim
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1)
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


# %% grouped wrong: divided by the root of the length
# says: not of the length
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-2])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


# %% grouped wrong: future scores of 0
# says: softmax still gives it weight
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, 0.0).softmax(-1) @ v


# %% grouped wrong: mask after the softmax
# says: no longer add up to one
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.softmax(-1).masked_fill(future, 0) @ v


# %% grouped wrong: scales its input
# says: changed its input
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    q *= q.shape[-1] ** -0.5
    scores = q @ k.transpose(-2, -1)
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


# %% grouped wrong: sees one more token
# says: Your attention sees the future
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(2)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


# %% grouped wrong, hidden: batch 1 only
# says: the shape is
def grouped_attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1)[:1] @ v[:1]


# %% parameters right: shapes, one by one
def count_parameters(c):
    q, kv = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
    shapes = [(q, c.hidden_size), (kv, c.hidden_size), (kv, c.hidden_size), (c.hidden_size, q)]
    shapes += (
        [(c.intermediate_size, c.hidden_size)] * 3
        + [(c.head_dim, 1)] * 2
        + [(c.hidden_size, 1)] * 2
    )
    shapes = shapes * c.num_hidden_layers + [(c.vocab_size, c.hidden_size), (c.hidden_size, 1)]
    if not c.tie_word_embeddings:
        shapes.append((c.hidden_size, c.vocab_size))
    return sum(rows * columns for rows, columns in shapes)


# %% parameters right: a loop over layers
def count_parameters(config):
    total = config.vocab_size * config.hidden_size
    if config.tie_word_embeddings is False:
        total *= 2
    for _ in range(config.num_hidden_layers):
        for heads in (config.num_attention_heads, config.num_key_value_heads):
            total += 2 * heads * config.head_dim * config.hidden_size
        total += 3 * config.hidden_size * config.intermediate_size
        total += 2 * (config.hidden_size + config.head_dim)
    return total + config.hidden_size


# %% parameters right: per number of the stream
def count_parameters(config):
    heads = config.num_attention_heads + config.num_key_value_heads
    each = 2 * heads * config.head_dim + 3 * config.intermediate_size + 2
    tables = config.vocab_size if config.tie_word_embeddings else 2 * config.vocab_size
    return config.hidden_size * (tables + 1 + config.num_hidden_layers * each) + (
        2 * config.head_dim * config.num_hidden_layers
    )


# %% parameters wrong: embedding twice
# says: You counted the embedding twice
def count_parameters(config):
    h, d = config.hidden_size, config.head_dim
    attention = 2 * h * d * (config.num_attention_heads + config.num_key_value_heads)
    mlp = 3 * h * config.intermediate_size
    norms = 2 * h + 2 * d
    layers = config.num_hidden_layers * (attention + mlp + norms)
    return 2 * config.vocab_size * h + layers + h


# %% parameters wrong: no embedding
# says: The embedding is missing
def count_parameters(config):
    h, d = config.hidden_size, config.head_dim
    attention = 2 * h * d * (config.num_attention_heads + config.num_key_value_heads)
    mlp = 3 * h * config.intermediate_size
    norms = 2 * h + 2 * d
    layers = config.num_hidden_layers * (attention + mlp + norms)
    return layers + h


# %% parameters wrong: no norms of queries and keys
# says: norms of queries and keys are missing
def count_parameters(config):
    h, d = config.hidden_size, config.head_dim
    attention = 2 * h * d * (config.num_attention_heads + config.num_key_value_heads)
    mlp = 3 * h * config.intermediate_size
    norms = 2 * h
    layers = config.num_hidden_layers * (attention + mlp + norms)
    return (2 - config.tie_word_embeddings) * config.vocab_size * h + layers + h


# %% parameters wrong: no last norm
# says: The last norm is missing
def count_parameters(config):
    h, d = config.hidden_size, config.head_dim
    attention = 2 * h * d * (config.num_attention_heads + config.num_key_value_heads)
    mlp = 3 * h * config.intermediate_size
    norms = 2 * h + 2 * d
    layers = config.num_hidden_layers * (attention + mlp + norms)
    return (2 - config.tie_word_embeddings) * config.vocab_size * h + layers


# %% parameters wrong: all heads have keys of their own
# says: which are fewer
def count_parameters(config):
    h, d = config.hidden_size, config.head_dim
    attention = 2 * h * d * 2 * config.num_attention_heads
    mlp = 3 * h * config.intermediate_size
    norms = 2 * h + 2 * d
    layers = config.num_hidden_layers * (attention + mlp + norms)
    return (2 - config.tie_word_embeddings) * config.vocab_size * h + layers + h


# %% parameters wrong: head size from the stream
# says: not hidden_size / heads
def count_parameters(config):
    h, d = config.hidden_size, config.hidden_size // config.num_attention_heads
    attention = 2 * h * d * (config.num_attention_heads + config.num_key_value_heads)
    mlp = 3 * h * config.intermediate_size
    norms = 2 * h + 2 * config.head_dim
    layers = config.num_hidden_layers * (attention + mlp + norms)
    return (2 - config.tie_word_embeddings) * config.vocab_size * h + layers + h


# %% parameters wrong: two matrices in SwiGLU
# says: three matrices: gate, up and down
def count_parameters(config):
    h, d = config.hidden_size, config.head_dim
    attention = 2 * h * d * (config.num_attention_heads + config.num_key_value_heads)
    mlp = 2 * h * config.intermediate_size
    norms = 2 * h + 2 * d
    layers = config.num_hidden_layers * (attention + mlp + norms)
    return (2 - config.tie_word_embeddings) * config.vocab_size * h + layers + h


# %% parameters wrong: one layer
# says: Every layer has its own
def count_parameters(config):
    h, d = config.hidden_size, config.head_dim
    attention = 2 * h * d * (config.num_attention_heads + config.num_key_value_heads)
    mlp = 3 * h * config.intermediate_size
    norms = 2 * h + 2 * d
    layers = attention + mlp + norms
    return (2 - config.tie_word_embeddings) * config.vocab_size * h + layers + h


# %% parameters wrong: by heart
# says: Every layer has its own
def count_parameters(config):
    return 580


# %% parameters wrong, hidden: always tied
# says: or the head of its own
def count_parameters(config):
    h, d = config.hidden_size, config.head_dim
    attention = 2 * h * d * (config.num_attention_heads + config.num_key_value_heads)
    mlp = 3 * h * config.intermediate_size
    norms = 2 * h + 2 * d
    layers = config.num_hidden_layers * (attention + mlp + norms)
    return config.vocab_size * h + layers + h


# %% window right: tril and triu
def window_mask(segment_ids, window):
    same = segment_ids.unsqueeze(2).eq(segment_ids.unsqueeze(1))
    return same.tril(0).triu(1 - window).unsqueeze(1)


# %% window right: loops
def window_mask(documents, w):
    batch, seq = documents.shape
    mask = torch.zeros(batch, 1, seq, seq, dtype=torch.bool)
    for b in range(batch):
        for i in range(seq):
            for j in range(max(0, i - w + 1), i + 1):
                mask[b, 0, i, j] = documents[b, i] == documents[b, j]
    return mask


# %% window right: products of conditions
def window_mask(segment_ids, window):
    batch, seq = segment_ids.shape
    rows, columns = torch.meshgrid(torch.arange(seq), torch.arange(seq), indexing="ij")
    allowed = torch.logical_and(columns <= rows, columns > rows - window)
    segments = segment_ids.view(batch, 1, seq, 1) == segment_ids.view(batch, 1, 1, seq)
    return torch.logical_and(allowed, segments)


# %% window wrong: sees the next token
# says: Your mask lets position 0 see position 1 of row 0: position 1 comes later
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= -1) & (distance < window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return (near & same_document)[:, None]


# %% window wrong: does not see itself
# says: does not let position 0 see position 0
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance > 0) & (distance < window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return (near & same_document)[:, None]


# %% window wrong: one token too many
# says: it is not among the last 1
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance <= window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return (near & same_document)[:, None]


# %% window wrong: one too few
# says: does not let position 1 see position 0
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < max(window - 1, 1))
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return (near & same_document)[:, None]


# %% window wrong: documents forgotten
# says: they are in documents 1 and 0
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < window)
    same_document = torch.ones_like(segment_ids)[:, :, None].bool()
    return (near & same_document)[:, None]


# %% window wrong: True where it may not
# says: Every entry is the opposite
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return ~(near & same_document)[:, None]


# %% window wrong: queries and keys exchanged
# says: comes later
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return (near & same_document)[:, None].mT


# %% window wrong: no dimension for heads
# says: attention needs
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return near & same_document


# %% window wrong: numbers
# says: attention takes True for may look
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return (near & same_document)[:, None].float()


# %% window wrong: only the first row of the batch
# says: attention needs
def window_mask(segment_ids, window):
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < window)
    same_document = segment_ids[:1, :, None] == segment_ids[:1, None, :]
    return (near & same_document)[:, None]


# %% window wrong: changes the documents
# says: changed its input
def window_mask(segment_ids, window):
    segment_ids -= segment_ids.min()
    segment_ids += 1
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return (near & same_document)[:, None]


# %% window wrong, hidden: takes only 0 and 1 for documents
# says: they are in documents
def window_mask(segment_ids, window):
    segment_ids = segment_ids.clamp(0, 1)
    position = torch.arange(segment_ids.shape[1])
    distance = position[:, None] - position
    near = (distance >= 0) & (distance < window)
    same_document = segment_ids[:, :, None] == segment_ids[:, None, :]
    return (near & same_document)[:, None]


# %% halves right: pairs as a dimension, transposed
def to_halves(weight, head_dim):
    pairs = weight.reshape(-1, head_dim // 2, 2, *weight.shape[1:])
    return pairs.transpose(1, 2).reshape(weight.shape)


# %% halves right: row by row
def to_halves(w, size):
    sorted_ = torch.empty_like(w)
    for row in range(len(w)):
        head, i = divmod(row, size)
        sorted_[head * size + i // 2 + (i % 2) * (size // 2)] = w[row]
    return sorted_


# %% halves right: head by head
def to_halves(weight, head_dim):
    heads = weight.split(head_dim)
    return torch.cat([part for head in heads for part in (head[0::2], head[1::2])])


# %% halves wrong: the way back
# says: That is the way back
def to_halves(weight, head_dim):
    order = torch.arange(head_dim).view(2, -1).T.flatten()
    return weight.unflatten(0, (-1, head_dim))[:, order].flatten(0, 1)


# %% halves wrong: nothing
# says: Nothing changed
def to_halves(weight, head_dim):
    return weight.clone()


# %% halves wrong: all rows at once
# says: rows must stay in their head
def to_halves(weight, head_dim):
    return torch.cat((weight[::2], weight[1::2]))


# %% halves wrong: columns
# says: You sorted columns
def to_halves(weight, head_dim):
    if weight.dim() == 1 or weight.shape[1] < head_dim:
        heads = weight.split(head_dim)
        return torch.cat([part for head in heads for part in (head[0::2], head[1::2])])
    order = torch.cat((torch.arange(0, head_dim, 2), torch.arange(1, head_dim, 2)))
    return weight[:, order]


# %% halves wrong: only the first head sorted
# says: Only the first head was sorted
def to_halves(weight, head_dim):
    first = weight[:head_dim]
    return torch.cat((first[::2], first[1::2], weight[head_dim:]))


# %% halves wrong: only the first head kept
# says: Only the first head came back
def to_halves(weight, head_dim):
    return torch.cat((weight[:head_dim:2], weight[1:head_dim:2]))


# %% halves wrong: in place
# says: changed its input
def to_halves(weight, head_dim):
    order = torch.cat((torch.arange(0, head_dim, 2), torch.arange(1, head_dim, 2)))
    for start in range(0, len(weight), head_dim):
        weight[start : start + head_dim] = weight[start : start + head_dim][order]
    return weight


# %% halves wrong: the second half in reverse
# says: Pairs (0, 1) and (2, 3)
def to_halves(weight, head_dim):
    heads = weight.split(head_dim)
    return torch.cat([part for head in heads for part in (head[0::2], head[1::2].flip(0))])


# %% halves wrong, hidden: heads of at most six
# says: Three heads of eight
def to_halves(weight, head_dim):
    order = {2: [0, 1], 4: [0, 2, 1, 3], 6: [0, 2, 4, 1, 3, 5]}.get(head_dim, list(range(head_dim)))
    return weight.unflatten(0, (-1, head_dim))[:, order].flatten(0, 1)


# %% silence right: a hook that drops what the head says
def damage(model, input_ids, labels):
    size = model.config.head_dim

    def loss():
        with torch.no_grad():
            nats = -model(input_ids).log_softmax(-1)
        keep = labels != -100
        return nats.gather(-1, labels.clamp(min=0)[..., None])[..., 0][keep].mean().item()

    whole, table = loss(), []
    for layer in model.layers:
        row = []
        for head in range(model.config.num_attention_heads):

            def drop(module, inputs):
                mixed = inputs[0].clone()
                mixed[..., head * size : (head + 1) * size] = 0
                return (mixed,)

            hook = layer.self_attn.o_proj.register_forward_pre_hook(drop)
            row.append(loss() - whole)
            hook.remove()
        table.append(row)
    return torch.tensor(table)


# %% silence right: copies of the model
def damage(model, input_ids, labels):
    def loss(state):
        other = Transformer(model.config)
        other.load_state_dict(state)
        with torch.no_grad():
            logits = other(input_ids).transpose(1, 2)  # [batch, vocab, seq]
        return F.cross_entropy(logits, labels, ignore_index=-100)

    state, d = model.state_dict(), model.config.head_dim
    rows = []
    for i in range(model.config.num_hidden_layers):
        name = f"layers.{i}.self_attn.o_proj.weight"
        for j in range(model.config.num_attention_heads):
            weight = state[name].clone()
            weight[:, j * d : j * d + d].zero_()
            rows.append(loss(state | {name: weight}) - loss(state))
    return torch.stack(rows).view(-1, model.config.num_attention_heads)


# %% silence right: other weights for the time of a block
@torch.no_grad()
def damage(m, ids, targets):
    heads, d = m.config.num_attention_heads, m.config.head_dim
    mean = lambda: F.cross_entropy(m(ids).flatten(0, 1), targets.flatten()).item()
    whole = mean()
    result = torch.full((len(m.layers), heads), -whole)
    for i in range(len(m.layers)):
        linear = m.layers[i].self_attn.o_proj
        original = linear.weight.data
        for j in range(heads):
            linear.weight.data = original * (torch.arange(heads * d) // d != j)
            result[i, j] += mean()
        linear.weight.data = original
    return result


# %% silence wrong: never puts the columns back
# says: Afterwards the model is another one
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = loss() - whole
    return rises


# %% silence wrong: keeps a view, no copy
# says: Afterwards the model is another one
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[:, columns]
            weight[:, columns] = 0
            rises[i, j] = loss() - whole
            weight[:, columns] = kept
    return rises


# %% silence wrong: the loss, not its rise
# says: subtract the loss of the whole model
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = loss()
            weight[:, columns] = kept
    return rises


# %% silence wrong: the sign turned
# says: The sign is turned
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = whole - loss()
            weight[:, columns] = kept
    return rises


# %% silence wrong: sum
# says: divide by the number of targets
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum"
        )

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = loss() - whole
            weight[:, columns] = kept
    return rises


# %% silence wrong: divides by all positions
# says: those with -100 are no targets
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return (
            F.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum"
            )
            / labels.numel()
        )

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = loss() - whole
            weight[:, columns] = kept
    return rises


# %% silence wrong: rows instead of columns
# says: Each entry is for one head alone
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[columns].clone()
            weight[columns] = 0
            rises[i, j] = loss() - whole
            weight[columns] = kept
    return rises


# %% silence wrong: columns as wide as hidden / heads
# says: Each entry is for one head alone
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    size = config.hidden_size // config.num_attention_heads
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * size, (j + 1) * size)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = loss() - whole
            weight[:, columns] = kept
    return rises


# %% silence wrong: every head up to this one
# says: Each entry is for one head alone
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(0, (j + 1) * config.head_dim)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = loss() - whole
            weight[:, columns] = kept
    return rises


# %% silence wrong: silences all but one
# says: Each entry is for one head alone
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight.clone()
            weight[:] = 0
            weight[:, columns] = kept[:, columns]
            rises[i, j] = loss() - whole
            weight[:] = kept
    return rises


# %% silence wrong: layers and heads exchanged
# says: Rows are layers, columns are heads
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = loss() - whole
            weight[:, columns] = kept
    return rises.T.contiguous()


# %% silence wrong, hidden: batch 1 only
# says: a batch of two
@torch.no_grad()
def damage(model, input_ids, labels):
    config = model.config
    rises = torch.zeros(config.num_hidden_layers, config.num_attention_heads)

    def loss():
        logits = model(input_ids[:1])
        return F.cross_entropy(logits.flatten(0, 1), labels[:1].flatten(), ignore_index=IGNORE)

    whole = loss()
    for i, layer in enumerate(model.layers):
        weight = layer.self_attn.o_proj.weight
        for j in range(config.num_attention_heads):
            columns = slice(j * config.head_dim, (j + 1) * config.head_dim)
            kept = weight[:, columns].clone()
            weight[:, columns] = 0
            rises[i, j] = loss() - whole
            weight[:, columns] = kept
    return rises
