"""Right and wrong solutions of exercises/source/09_full_size, for tests/test_exercises.py."""


# %% collision right: doubling until a neighbour is lost
def first_collision(number_format):
    n = 1
    while torch.tensor(n + 1, dtype=torch.float64).to(number_format).double().item() != n:
        n *= 2
    return n + 1


# %% collision right: the binary digits
def first_collision(number_format):
    digits, eps = 1, torch.finfo(number_format).eps
    while eps < 1:
        eps *= 2
        digits += 1
    return 2**digits + 1


# %% collision right: one over eps
def first_collision(dtype):
    return 1 + 2 * round(1 / torch.finfo(dtype).eps)


# %% collision wrong: the last that exists
# says: still exists
def first_collision(number_format):
    return int(2 / torch.finfo(number_format).eps)


# %% collision wrong: the leading digit forgotten
# says: the leading one
def first_collision(number_format):
    return int(1 / torch.finfo(number_format).eps) + 1


# %% collision wrong: one doubling too far
# says: one doubling too far
def first_collision(number_format):
    return int(4 / torch.finfo(number_format).eps) + 1


# %% collision wrong: one too late
# says: half-way
def first_collision(number_format):
    return int(2 / torch.finfo(number_format).eps) + 2


# %% collision wrong: hard-coded
# says: bfloat16's answer
def first_collision(number_format):
    return 257


# %% collision wrong: the largest number
# says: become
def first_collision(number_format):
    return int(torch.finfo(number_format).max)


# %% collision wrong: a number of 16 bits
# says: become
def first_collision(number_format):
    return 2 ** torch.finfo(number_format).bits + 1


# %% collision wrong, hidden: a table of two
# says: become
def first_collision(number_format):
    return 257 if number_format == torch.bfloat16 else 2049


# %% kahan right: the carry is subtracted, as in the books
def kahan_sum(terms):
    total = terms.new_zeros(())
    lost = terms.new_zeros(())
    for x in terms:
        y = x - lost
        t = total + y
        lost = (t - total) - y
        total = t
    return total


# %% kahan right: all carries kept, added at the end
def kahan_sum(terms):
    total, lost = torch.zeros((), dtype=terms.dtype), torch.zeros((), dtype=terms.dtype)
    for i in range(len(terms)):
        new = total + terms[i]
        back = new - total
        lost = lost + ((total - (new - back)) + (terms[i] - back))
        total = new
    return total + lost


# %% kahan right: two numbers, renormalized
def kahan_sum(terms):
    if len(terms) == 0:
        return torch.zeros((), dtype=terms.dtype)

    def pair(a, b):  # two numbers: a rounded sum and what was lost
        s = a + b
        t = s - a
        return s, (a - (s - t)) + (b - t)

    total, carry = terms[0], torch.zeros((), dtype=terms.dtype)
    for term in terms[1:]:
        total, lost = pair(total, term)
        total, carry = pair(total, carry + lost)
    return total


# %% kahan wrong: the plain sum
# says: as the plain running sum does
def kahan_sum(terms):
    total = torch.zeros((), dtype=terms.dtype)
    for term in terms:
        total = total + term
    return total


# %% kahan wrong: torch.sum
# says: adds in float32 inside
def kahan_sum(terms):
    return terms.sum()


# %% kahan wrong: in float32
# says: only bfloat16 is allowed
def kahan_sum(terms):
    total = torch.zeros((), dtype=torch.float32)
    for term in terms:
        total = total + term
    return total.to(terms.dtype)


# %% kahan wrong: Python numbers
# says: has left its format
def kahan_sum(terms):
    return torch.tensor(sum(terms.tolist()), dtype=terms.dtype)


# %% kahan wrong: the carry's sign
# says: as the plain running sum does
def kahan_sum(terms):
    total, carry = torch.zeros((), dtype=terms.dtype), torch.zeros((), dtype=terms.dtype)
    for term in terms:
        term = term + carry
        old, total = total, total + term
        carry = (total - old) - term
    return total


# %% kahan wrong: the carry is computed from the term without it
# says: as the plain running sum does
def kahan_sum(terms):
    total, carry = torch.zeros((), dtype=terms.dtype), torch.zeros((), dtype=terms.dtype)
    for term in terms:
        old, total = total, total + (term + carry)
        carry = term - (total - old)
    return total


# %% kahan wrong: writes into the terms
# says: changed its input
def kahan_sum(terms):
    total, carry = torch.zeros((), dtype=terms.dtype), torch.zeros((), dtype=terms.dtype)
    for i in range(len(terms)):
        terms[i] += carry
        old, total = total, total + terms[i]
        carry = terms[i] - (total - old)
    return total


# %% kahan wrong: the carry is only added at the end
# says: as the plain running sum does
def kahan_sum(terms):
    total, carry = torch.zeros((), dtype=terms.dtype), torch.zeros((), dtype=terms.dtype)
    for term in terms:
        old, total = total, total + term
        carry = term - (total - old)
    return total + carry


# %% kahan wrong, hidden: bfloat16 only
# says: only float16 is allowed
def kahan_sum(terms):
    total, carry = torch.zeros((), dtype=torch.bfloat16), torch.zeros((), dtype=torch.bfloat16)
    for term in terms:
        term = term + carry
        old, total = total, total + term
        carry = term - (total - old)
    return total


# %% kahan wrong, hidden: fails on nothing
# says: failed with
def kahan_sum(terms):
    total, carry = terms[0], terms[0] - terms[0]
    for term in terms[1:]:
        term = term + carry
        old, total = total, total + term
        carry = term - (total - old)
    return total


# %% bytes right: built after all, without memory
def standing_bytes(config):
    with torch.device("meta"):
        model = Transformer(config)
    return 16 * sum(p.numel() for p in model.parameters())


# %% bytes right: a list of shapes
def standing_bytes(config):
    h, d = config.hidden_size, config.head_dim
    q, kv = config.num_attention_heads * d, config.num_key_value_heads * d
    each = [(h, q), (h, kv), (h, kv), (q, h), *[(h, config.intermediate_size)] * 3, (h, 1), (h, 1), (d, 1), (d, 1)]
    once = [(config.vocab_size, h)] * (2 - config.tie_word_embeddings) + [(h, 1)]
    return sum(16 * a * b for a, b in each * config.num_hidden_layers + once)


# %% bytes right: part by part
def standing_bytes(shape):
    total = shape.vocab_size * shape.hidden_size
    if not shape.tie_word_embeddings:
        total *= 2
    for _ in range(shape.num_hidden_layers):
        for heads in (2 * shape.num_attention_heads, 2 * shape.num_key_value_heads):
            total += shape.hidden_size * heads * shape.head_dim
        total += 3 * shape.hidden_size * shape.intermediate_size
        total += 2 * (shape.hidden_size + shape.head_dim)
    total += shape.hidden_size
    weights = gradients = 4 * total
    return weights + gradients + 2 * 4 * total


# %% bytes wrong: the weights alone
# says: gradients and AdamW's
def standing_bytes(config):
    return 4 * sum(p.numel() for p in Transformer(config).parameters())


# %% bytes wrong: one moment
# says: *two* of AdamW's
def standing_bytes(config):
    return 12 * sum(p.numel() for p in Transformer(config).parameters())


# %% bytes wrong: two bytes a number
# says: not two
def standing_bytes(config):
    return 8 * sum(p.numel() for p in Transformer(config).parameters())


# %% bytes wrong: numbers, not bytes
# says: not bytes
def standing_bytes(config):
    return sum(p.numel() for p in Transformer(config).parameters())


# %% bytes wrong: tied counted twice
# says: there once
def standing_bytes(config):
    model = Transformer(config)
    return 16 * (sum(p.numel() for p in model.layers.parameters()) + config.hidden_size + 2 * config.vocab_size * config.hidden_size)


# %% bytes wrong: always tied
# says: a matrix of its own
def standing_bytes(config):
    model = Transformer(config)
    return 16 * (sum(p.numel() for p in model.layers.parameters()) + config.hidden_size + config.vocab_size * config.hidden_size)


# %% bytes wrong: no norms
# says: norms are missing
def standing_bytes(config):
    return 16 * sum(p.numel() for p in Transformer(config).parameters() if p.dim() == 2)


# %% bytes wrong: the last norm
# says: last norm
def standing_bytes(config):
    return 16 * (sum(p.numel() for p in Transformer(config).parameters()) - config.hidden_size)


# %% bytes wrong: keys as wide as queries
# says: they are narrower
def standing_bytes(config):
    h, width = config.hidden_size, config.num_attention_heads * config.head_dim
    layer = 4 * h * width + 3 * h * config.intermediate_size + 2 * h + 2 * config.head_dim
    tables = 1 if config.tie_word_embeddings else 2
    return 16 * (tables * config.vocab_size * h + config.num_hidden_layers * layer + h)


# %% bytes wrong: one layer
# says: you counted one
def standing_bytes(config):
    h, width = config.hidden_size, config.num_attention_heads * config.head_dim
    layer = 2 * h * width + 2 * h * config.num_key_value_heads * config.head_dim + 3 * h * config.intermediate_size
    tables = 1 if config.tie_word_embeddings else 2
    return 16 * (tables * config.vocab_size * h + layer + 2 * h + 2 * config.head_dim + h)


# %% bytes wrong, hidden: intermediate_size is 32
# says: The model was built
def standing_bytes(config):
    h, d = config.hidden_size, config.head_dim
    q, kv = config.num_attention_heads * d, config.num_key_value_heads * d
    layer = 2 * h * (q + kv) + 3 * h * 32 + 2 * h + 2 * d
    return 16 * ((2 - config.tie_word_embeddings) * config.vocab_size * h + config.num_hidden_layers * layer + h)


# %% flops right: token by token
def forward_flops(config, length):
    h, d = config.hidden_size, config.head_dim
    q, kv = config.num_attention_heads * d, config.num_key_value_heads * d
    total = 0
    for _ in range(config.num_hidden_layers):
        for rows, columns in ((h, q), (h, kv), (h, kv), (q, h)) + ((h, config.intermediate_size),) * 3:
            total += 2 * rows * columns * length
        scores = 2 * length * length * q
        total += scores + scores
    return total + 2 * h * config.vocab_size * length


# %% flops right: weights counted in a model
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    matrices = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
    each = 4 * length * config.num_attention_heads * config.head_dim * config.num_hidden_layers
    return length * (2 * matrices + each)


# %% flops right: one formula
def forward_flops(c, n):
    head_flops = 2 * c.hidden_size * c.vocab_size
    attention = 2 * (2 * c.hidden_size * c.head_dim) * (c.num_attention_heads + c.num_key_value_heads)
    feed_forward = 6 * c.hidden_size * c.intermediate_size
    mixing = 4 * n * c.num_attention_heads * c.head_dim
    return n * (head_flops + c.num_hidden_layers * (attention + feed_forward + mixing))


# %% flops wrong: one operation a weight
# says: two operations
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    matrices = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
    return length * (matrices + 2 * length * config.num_attention_heads * config.head_dim * config.num_hidden_layers)


# %% flops wrong: without the head
# says: output head is missing
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    matrices = sum(p.numel() for p in model.layers.parameters() if p.dim() == 2)
    return length * (2 * matrices + 4 * length * config.num_attention_heads * config.head_dim * config.num_hidden_layers)


# %% flops wrong: the embedding as a matrix
# says: looking up computes nothing
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    matrices = sum(p.numel() for p in model.layers.parameters() if p.dim() == 2) + 2 * config.vocab_size * config.hidden_size
    return length * (2 * matrices + 4 * length * config.num_attention_heads * config.head_dim * config.num_hidden_layers)


# %% flops wrong: no attention
# says: Attention itself is missing
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    return 2 * length * sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))


# %% flops wrong: half of attention
# says: Half of attention
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    matrices = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
    return length * (2 * matrices + 2 * length * config.num_attention_heads * config.head_dim * config.num_hidden_layers)


# %% flops wrong: attention by tokens
# says: length times length
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    matrices = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
    return length * (2 * matrices + 4 * config.num_attention_heads * config.head_dim * config.num_hidden_layers)


# %% flops wrong: forward and backward
# says: only forward is asked
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    matrices = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
    return 3 * length * (2 * matrices + 4 * length * config.num_attention_heads * config.head_dim * config.num_hidden_layers)


# %% flops wrong: one token
# says: for one token
def forward_flops(config, length):
    with torch.device("meta"):
        model = Transformer(config)
    matrices = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
    return 2 * matrices + 4 * length * config.num_attention_heads * config.head_dim * config.num_hidden_layers


# %% flops wrong: keys as wide as queries
# says: only num_key_value_heads
def forward_flops(config, length):
    q = config.num_attention_heads * config.head_dim
    layer = config.hidden_size * (4 * q + 3 * config.intermediate_size)
    weights = config.num_hidden_layers * layer + config.hidden_size * config.vocab_size
    return 2 * weights * length + 4 * config.num_hidden_layers * length**2 * q


# %% flops wrong: one layer
# says: you counted one
def forward_flops(config, length):
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    layer = config.hidden_size * (2 * q + 2 * kv + 3 * config.intermediate_size)
    return 2 * (layer + config.hidden_size * config.vocab_size) * length + 4 * length**2 * q


# %% flops wrong, hidden: intermediate_size is 32
# says: Attention counts pairs
def forward_flops(config, length):
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    weights = config.num_hidden_layers * config.hidden_size * (2 * q + 2 * kv + 3 * 32) + config.hidden_size * config.vocab_size
    return 2 * weights * length + 4 * config.num_hidden_layers * length**2 * q


# %% resume right: each part copied by itself
def save_state(model, optimizer, step):
    weights = {name: p.detach().clone() for name, p in model.state_dict().items()}
    return {"weights": weights, "adam": copy.deepcopy(optimizer.state_dict()), "rng": torch.get_rng_state().clone(), "at": step}


def restore_state(saved, model, optimizer):
    model.load_state_dict(saved["weights"])
    optimizer.load_state_dict(copy.deepcopy(saved["adam"]))
    torch.set_rng_state(saved["rng"])
    return saved["at"]


# %% resume right: through bytes
def save_state(model, optimizer, step):
    import io

    buffer = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict(), torch.get_rng_state(), step], buffer)
    return {"bytes": buffer.getvalue()}


def restore_state(saved, model, optimizer):
    import io

    weights, moments, random, step = torch.load(io.BytesIO(saved["bytes"]))
    model.load_state_dict(weights)
    optimizer.load_state_dict(moments)
    torch.set_rng_state(random)
    return step


# %% resume right: with copy_
def save_state(net, opt, n):
    everything = {"net": net.state_dict(), "opt": opt.state_dict(), "rng": torch.random.get_rng_state(), "n": n}
    return copy.deepcopy(everything)


def restore_state(state, net, opt):
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(state["net"][name])
    opt.load_state_dict(copy.deepcopy(state["opt"]))
    torch.random.set_rng_state(state["rng"])
    return state["n"]


# %% resume wrong: as it was found
# says: not copies
def save_state(model, optimizer, step):
    return colleagues_save(model, optimizer, step)


def restore_state(saved, model, optimizer):
    return colleagues_restore(saved, model, optimizer)


# %% resume wrong: copies, but no optimizer
# says: the optimizer's
def save_state(model, optimizer, step):
    return copy.deepcopy({"model": model.state_dict(), "step": step, "random": torch.get_rng_state()})


def restore_state(saved, model, optimizer):
    model.load_state_dict(saved["model"])
    torch.set_rng_state(saved["random"])
    return saved["step"]


# %% resume wrong: no random state
# says: the random state is another
def save_state(model, optimizer, step):
    return copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step})


def restore_state(saved, model, optimizer):
    saved = copy.deepcopy(saved)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["step"]


# %% resume wrong: a shallow copy
# says: not copies
def save_state(model, optimizer, step):
    return {"model": dict(model.state_dict()), "optimizer": copy.deepcopy(optimizer.state_dict()), "random": torch.get_rng_state(), "step": step}


def restore_state(saved, model, optimizer):
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))
    torch.set_rng_state(saved["random"])
    return saved["step"]


# %% resume wrong: in half precision
# says: shorter format
def save_state(model, optimizer, step):
    weights = {name: p.half() for name, p in model.state_dict().items()}
    return copy.deepcopy({"model": weights, "optimizer": optimizer.state_dict(), "random": torch.get_rng_state(), "step": step})


def restore_state(saved, model, optimizer):
    saved = copy.deepcopy(saved)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["random"])
    return saved["step"]


# %% resume wrong: starts again from step 0
# says: the step should come back
def save_state(model, optimizer, step):
    return copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()})


def restore_state(saved, model, optimizer):
    saved = copy.deepcopy(saved)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["random"])
    return 0


# %% resume wrong: the optimizer not copied
# says: the optimizer's
def save_state(model, optimizer, step):
    return {"model": copy.deepcopy(model.state_dict()), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state(), "step": step}


def restore_state(saved, model, optimizer):
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))
    torch.set_rng_state(saved["random"])
    return saved["step"]


# %% resume wrong: a fixed seed
# says: has drawn a random number
def save_state(model, optimizer, step):
    seed = int(torch.randint(1_000_000, ()))
    return copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "seed": seed, "step": step})


def restore_state(saved, model, optimizer):
    saved = copy.deepcopy(saved)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.manual_seed(saved["seed"])
    return saved["step"]


# %% resume wrong, hidden: restores without a copy
# says: Restore from a copy
def save_state(model, optimizer, step):
    return copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state(), "step": step})


def restore_state(saved, model, optimizer):
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["random"])
    return saved["step"]


# %% convert right: a table of all names
def convert(theirs, config):
    d, ours = config.head_dim, {}
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads

    def halves(x):  # [heads * d, ...], neighbours -> halves
        return x.unflatten(0, (-1, d // 2, 2)).transpose(1, 2).flatten(0, 2).contiguous()

    for i in range(config.num_hidden_layers):
        a, qkv, both = f"layers.{i}.", theirs[f"layers.{i}.qkv"], theirs[f"layers.{i}.gate_up"]
        ours[a + "self_attn.q_proj.weight"] = halves(qkv[: heads * d])
        ours[a + "self_attn.k_proj.weight"] = halves(qkv[heads * d : (heads + kv_heads) * d])
        ours[a + "self_attn.v_proj.weight"] = qkv[(heads + kv_heads) * d :].clone()
        ours[a + "self_attn.q_norm.weight"] = halves(theirs[a + "q_scale"])
        ours[a + "self_attn.k_norm.weight"] = halves(theirs[a + "k_scale"])
        ours[a + "mlp.gate_proj.weight"], ours[a + "mlp.up_proj.weight"] = (x.clone() for x in both.chunk(2))
        for old in ("norm_1", "norm_2", "out", "down"):
            ours[a + PLAIN[old]] = theirs[a + old].clone()
    ours["embed_tokens.weight"], ours["norm.weight"] = theirs["tokens"].clone(), theirs["final_norm"].clone()
    return ours


# %% convert right: row by row
def convert(theirs, config):
    d, found = config.head_dim, {}
    q_rows, kv_rows = config.num_attention_heads * d, config.num_key_value_heads * d

    def turned(rows):
        new = torch.empty_like(rows)
        for row in range(len(rows)):
            head, i = divmod(row, d)
            new[row] = rows[head * d + (2 * i if i < d // 2 else 2 * (i - d // 2) + 1)]
        return new

    for name, value in theirs.items():
        layer, _, kind = name.rpartition(".")
        at = layer + "." if layer else ""
        if kind in PLAIN:
            found[at + PLAIN[kind]] = value.clone()
        elif kind == "qkv":
            found[at + "self_attn.q_proj.weight"] = turned(value[:q_rows])
            found[at + "self_attn.k_proj.weight"] = turned(value[q_rows : q_rows + kv_rows])
            found[at + "self_attn.v_proj.weight"] = value[-kv_rows:].clone()
        elif kind == "gate_up":
            half = len(value) // 2
            found[at + "mlp.gate_proj.weight"] = value[:half].clone()
            found[at + "mlp.up_proj.weight"] = value[half:].clone()
        else:
            found[at + f"self_attn.{kind[0]}_norm.weight"] = turned(value)
    return found


# %% convert right: everything cut first, then turned
def convert(theirs, config):
    d, kv = config.head_dim, config.num_key_value_heads * config.head_dim
    found = {}
    for name, value in theirs.items():
        at, last = name[: name.rfind(".") + 1], name[name.rfind(".") + 1 :]
        if last == "qkv":
            parts = torch.split(value, [len(value) - 2 * kv, kv, kv])
            found |= {f"{at}self_attn.{x}_proj.weight": part for x, part in zip("qkv", parts)}
        elif last == "gate_up":
            found |= {f"{at}mlp.{x}_proj.weight": part for x, part in zip(("gate", "up"), value.chunk(2))}
        else:
            found[at + (PLAIN | {"q_scale": "self_attn.q_norm.weight", "k_scale": "self_attn.k_norm.weight"})[last]] = value
    for name, value in found.items():
        if any(kind in name for kind in ("q_proj", "k_proj", "q_norm", "k_norm")):
            heads = value.reshape(-1, d, *value.shape[1:])
            value = torch.cat((heads[:, 0::2], heads[:, 1::2]), dim=1).reshape(value.shape)
        found[name] = value.clone()
    return found


# %% convert wrong: the rotary positions forgotten
# says: each query head
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if False:
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong: the other way round
# says: in another order
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.arange(d).view(2, -1).T.flatten()
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong: values turned, too
# says: values are not turned
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if True:
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong: the scales forgotten
# says: q_scale scales
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value.clone()
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong: all heads turned as one
# says: head by head
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = torch.cat((part[0::2], part[1::2]))
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong: three equal parts
# says: failed with
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.chunk(3)):
                if kind != "v":
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong: gate and up exchanged
# says: gate comes first
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("up", "gate"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong: views into their tensors
# says: is a view into another tensor
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value
    return ours


# %% convert wrong: the head stored as well
# says: tied weights are stored once
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    ours["lm_head.weight"] = ours["embed_tokens.weight"].clone()
    return ours


# %% convert wrong: the columns turned, not the rows
# says: each query head
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = part.view(len(part), -1, d)[:, :, order].flatten(1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong, hidden: only layers with one digit
# says: is missing
def convert(theirs, config):
    d, ours = config.head_dim, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * d] + 2 * [config.num_key_value_heads * d]
    for name, value in theirs.items():
        if name.startswith("layers.") and name[8] != ".":
            continue
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order]
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours


# %% convert wrong, hidden: heads of eight
# says: each query head
def convert(theirs, config):
    d, ours = 8, {}
    order = torch.cat((torch.arange(0, d, 2), torch.arange(1, d, 2)))
    widths = [config.num_attention_heads * config.head_dim] + 2 * [config.num_key_value_heads * config.head_dim]
    for name, value in theirs.items():
        start, last = name.rpartition(".")[0], name.rpartition(".")[2]
        start += "." * bool(start)
        if last == "qkv":
            for kind, part in zip("qkv", value.split(widths)):
                if kind != "v":
                    part = part.view(-1, d, part.shape[1])[:, order].flatten(0, 1)
                ours[f"{start}self_attn.{kind}_proj.weight"] = part.clone()
        elif last == "gate_up":
            for kind, part in zip(("gate", "up"), value.chunk(2)):
                ours[f"{start}mlp.{kind}_proj.weight"] = part.clone()
        elif last in ("q_scale", "k_scale"):
            ours[f"{start}self_attn.{last[0]}_norm.weight"] = value[order] if len(value) == d else value.clone()
        else:
            ours[start + PLAIN[last]] = value.clone()
    return ours
