"""Right and wrong solutions of the exercises in 05_pretraining, for test_exercises.py."""


# %% fit right: for and else
def first_fit(sizes, capacity):
    rows = []
    for i, size in enumerate(sizes):
        if size > capacity:
            raise ValueError(f"{size} is more than {capacity}")
        for row in rows:
            if sum(sizes[j] for j in row) + size <= capacity:
                row.append(i)
                break
        else:
            rows.append([i])
    return rows


# %% fit right: pairs of used and row
def first_fit(lengths, capacity):
    if max(lengths, default=0) > capacity:
        raise ValueError("a sample is longer than a row")
    used, rows = [0] * len(lengths), [[] for _ in lengths]
    for index in range(len(lengths)):
        row = 0
        while used[row] + lengths[index] > capacity:
            row += 1
        used[row] += lengths[index]
        rows[row].append(index)
    return [row for row in rows if row]


# %% fit right: a tensor of free positions
def first_fit(lengths, capacity):
    free, place = torch.full((len(lengths) + 1,), capacity), []
    for length in lengths:
        if length > capacity:
            raise ValueError("too long")
        row = (free >= length).int().argmax().item()
        free[row] -= length
        place.append(row)
    return [
        [i for i, r in enumerate(place) if r == row] for row in range(max(place, default=-1) + 1)
    ]


# %% fit wrong: only the last row
# says: You looked only at the last row
def first_fit(lengths, capacity):
    rows, free = [], []
    for index, length in enumerate(lengths):
        if length > capacity:
            raise ValueError("too long")
        row = len(rows) - 1 if free and free[-1] >= length else len(rows)
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(index)
        free[row] -= length
    return rows


# %% fit wrong: never fills a row to the end
# says: to its last position
def first_fit(lengths, capacity):
    rows, free = [], []
    for index, length in enumerate(lengths):
        if length > capacity:
            raise ValueError("too long")
        row = next((r for r, room in enumerate(free) if room > length), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(index)
        free[row] -= length
    return rows


# %% fit wrong: longest first
# says: You sorted the samples
def first_fit(lengths, capacity):
    rows, free = [], []
    for index, length in sorted(enumerate(lengths), key=lambda p: -p[1]):
        if length > capacity:
            raise ValueError("too long")
        row = next((r for r, room in enumerate(free) if room >= length), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(index)
        free[row] -= length
    return rows


# %% fit wrong: best fit
# says: You took the fullest row
def first_fit(lengths, capacity):
    rows, free = [], []
    for index, length in enumerate(lengths):
        if length > capacity:
            raise ValueError("too long")
        row = min(
            (r for r, room in enumerate(free) if room >= length),
            key=lambda r: free[r],
            default=len(rows),
        )
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(index)
        free[row] -= length
    return rows


# %% fit wrong: lengths instead of indices
# says: Rows hold indices
def first_fit(lengths, capacity):
    rows, free = [], []
    for index, length in enumerate(lengths):
        if length > capacity:
            raise ValueError("too long")
        row = next((r for r, room in enumerate(free) if room >= length), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(length)
        free[row] -= length
    return rows


# %% fit wrong: too long is no error
# says: raise ValueError
def first_fit(lengths, capacity):
    rows, free = [], []
    for index, length in enumerate(lengths):
        if length > capacity:
            continue
        row = next((r for r, room in enumerate(free) if room >= length), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(index)
        free[row] -= length
    return rows


# %% fit wrong: empties its input
# says: changed its input
def first_fit(lengths, capacity):
    rows, free = [], []
    for index in range(len(lengths)):
        length = lengths.pop(0)
        if length > capacity:
            raise ValueError("too long")
        row = next((r for r, room in enumerate(free) if room >= length), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(index)
        free[row] -= length
    return rows


# %% fit wrong: emptiest row
# says: or at the emptiest
def first_fit(lengths, capacity):
    rows, free = [], []
    for index, length in enumerate(lengths):
        if length > capacity:
            raise ValueError("too long")
        row = max(
            (r for r, room in enumerate(free) if room >= length),
            key=lambda r: free[r],
            default=len(rows),
        )
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(index)
        free[row] -= length
    return rows


# %% fit wrong, hidden: looks at three rows only
# says: Sixty samples
def first_fit(lengths, capacity):
    rows, free = [], []
    for index, length in enumerate(lengths):
        if length > capacity:
            raise ValueError("too long")
        row = next((r for r, room in enumerate(free[:3]) if room >= length), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(index)
        free[row] -= length
    return rows


# %% labels right: loops
def make_labels(ids, segments):
    rows = []
    for row, numbers in zip(ids.tolist(), segments.tolist()):
        after = list(zip(row[1:], numbers[1:])) + [(0, None)]
        rows.append([t if n == m and n != -1 else -100 for n, (t, m) in zip(numbers, after)])
    return torch.tensor(rows)


# %% labels right: roll, then -100 where it does not hold
def make_labels(input_ids, segment_ids):
    labels = input_ids.roll(-1, dims=1)
    bad = (segment_ids != segment_ids.roll(-1, dims=1)) | (segment_ids == -1)
    bad[:, -1] = True
    labels[bad] = IGNORE
    return labels


# %% labels right: where, with a column added
def make_labels(input_ids, segment_ids):
    following = F.pad(input_ids, (0, 1), value=IGNORE)[:, 1:]
    segments = F.pad(segment_ids, (0, 1), value=-2)[:, 1:]
    return torch.where((segments == segment_ids) & (segments > -1), following, IGNORE)


# %% labels wrong: not shifted
# says: a model learns to copy
def make_labels(input_ids, segment_ids):
    return input_ids.masked_fill(segment_ids < 0, IGNORE)


# %% labels wrong: shifted twice
# says: Shifted twice
def make_labels(input_ids, segment_ids):
    labels = torch.full_like(input_ids, IGNORE)
    labels[:, :-2] = input_ids[:, 2:]
    return labels


# %% labels wrong: the wrong way
# says: Shifted the wrong way
def make_labels(input_ids, segment_ids):
    labels = torch.full_like(input_ids, IGNORE)
    labels[:, 1:] = input_ids[:, :-1]
    return labels


# %% labels wrong: roll brings the first token back
# says: your label is the row's first token
def make_labels(input_ids, segment_ids):
    labels = input_ids.roll(-1, dims=1)
    same_document = segment_ids == segment_ids.roll(-1, dims=1)
    return labels.masked_fill(~same_document | (segment_ids < 0), IGNORE)


# %% labels wrong: across documents
# says: nothing leads from one document into the next
def make_labels(input_ids, segment_ids):
    labels = torch.full_like(input_ids, IGNORE)
    within = segment_ids[:, 1:] >= 0
    labels[:, :-1] = input_ids[:, 1:].masked_fill(~within, IGNORE)
    return labels


# %% labels wrong: padding as a target
# says: Padding became a target
def make_labels(input_ids, segment_ids):
    labels = torch.full_like(input_ids, IGNORE)
    within = segment_ids[:, 1:] == segment_ids[:, :-1]
    labels[:, :-1] = input_ids[:, 1:].masked_fill(~within, IGNORE)
    return labels


# %% labels wrong: masks by value
# says: The end of the document is a target too
def make_labels(input_ids, segment_ids):
    labels = torch.full_like(input_ids, IGNORE)
    within = (
        (segment_ids[:, 1:] == segment_ids[:, :-1])
        & (segment_ids[:, 1:] >= 0)
        & (input_ids[:, 1:] != 0)
    )
    labels[:, :-1] = input_ids[:, 1:].masked_fill(~within, IGNORE)
    return labels


# %% labels wrong: in place
# says: changed its input
def make_labels(input_ids, segment_ids):
    within = (segment_ids[:, 1:] == segment_ids[:, :-1]) & (segment_ids[:, 1:] >= 0)
    following = input_ids[:, 1:].clone()
    input_ids[:, :-1] = torch.where(within, following, IGNORE)
    input_ids[:, -1] = IGNORE
    return input_ids


# %% labels wrong: one column short
# says: the shape is
def make_labels(input_ids, segment_ids):
    within = (segment_ids[:, 1:] == segment_ids[:, :-1]) & (segment_ids[:, 1:] >= 0)
    return input_ids[:, 1:].masked_fill(~within, IGNORE)


# %% labels wrong, hidden: batch 1 only
# says: Two rows
def make_labels(input_ids, segment_ids):
    labels = torch.full_like(input_ids, IGNORE)
    within = (segment_ids[:, 1:] == segment_ids[:, :-1]) & (segment_ids[:, 1:] >= 0)
    labels[:1, :-1] = input_ids[:1, 1:].masked_fill(~within[:1], IGNORE)
    return labels


# %% labels wrong, hidden: one row after the other, as one
# says: Three rows
def make_labels(input_ids, segment_ids):
    ids, segments = input_ids.flatten(), segment_ids.flatten()
    labels = torch.full_like(ids, IGNORE)
    within = (segments[1:] == segments[:-1]) & (segments[1:] >= 0)
    labels[:-1] = ids[1:].masked_fill(~within, IGNORE)
    return labels.view_as(input_ids)


# %% clip right: one long vector
def clip(gradients, max_norm):
    long = torch.cat([g.flatten() for g in gradients if g is not None])
    norm = long.norm().item()
    shrink = min(1.0, max_norm / max(norm, 1e-12))
    return [g if g is None else g * shrink for g in gradients], norm


# %% clip right: the norm of the norms
def clip(grads, longest):
    norms = [torch.linalg.vector_norm(g) for g in grads if g is not None]
    norm = float(torch.linalg.vector_norm(torch.stack(norms)))
    if norm <= longest:
        return list(grads), norm
    return [g / norm * longest if g is not None else None for g in grads], norm


# %% clip right: PyTorch's own function on copies
def clip(gradients, max_norm):
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients if g is not None]
    for parameter, g in zip(parameters, (g for g in gradients if g is not None)):
        parameter.grad = g.clone()
    norm = nn.utils.clip_grad_norm_(parameters, max_norm).item()
    clipped = iter([p.grad for p in parameters])
    return [None if g is None else next(clipped) for g in gradients], norm


# %% clip wrong: each tensor by itself
# says: Each tensor was clipped by itself
def clip(gradients, max_norm):
    norm = math.sqrt(sum(g.square().sum().item() for g in gradients if g is not None))
    return [
        None if g is None else g * min(1, max_norm / max(g.norm().item(), 1e-9)) for g in gradients
    ], norm


# %% clip wrong: each number by itself
# says: Each tensor was clipped by itself, or each number
def clip(gradients, max_norm):
    norm = math.sqrt(sum(g.square().sum().item() for g in gradients if g is not None))
    return [None if g is None else g.clamp(-max_norm, max_norm) for g in gradients], norm


# %% clip wrong: makes short ones longer
# says: You made a short gradient longer
def clip(gradients, max_norm):
    squares = sum((g.double().square().sum().item() for g in gradients if g is not None), 0.0)
    norm = math.sqrt(squares)
    factor = max_norm / max(norm, 1e-9)
    return [None if g is None else g * factor for g in gradients], norm


# %% clip wrong: lengths added up
# says: the squares of all their numbers do
def clip(gradients, max_norm):
    norm = sum(g.norm().item() for g in gradients if g is not None)
    factor = max_norm / norm if norm > max_norm else 1.0
    return [None if g is None else g * factor for g in gradients], norm


# %% clip wrong: the length after
# says: the length before clipping, not after
def clip(gradients, max_norm):
    squares = sum((g.double().square().sum().item() for g in gradients if g is not None), 0.0)
    norm = math.sqrt(squares)
    factor = max_norm / norm if norm > max_norm else 1.0
    return [None if g is None else g * factor for g in gradients], min(norm, max_norm)


# %% clip wrong: in place
# says: changed its input
def clip(gradients, max_norm):
    squares = sum((g.double().square().sum().item() for g in gradients if g is not None), 0.0)
    norm = math.sqrt(squares)
    factor = max_norm / norm if norm > max_norm else 1.0
    for g in gradients:
        if g is not None:
            g *= factor
    return gradients, norm


# %% clip wrong: no root
# says: 5 is shorter than 10
def clip(gradients, max_norm):
    squares = sum((g.double().square().sum().item() for g in gradients if g is not None), 0.0)
    norm = squares
    factor = max_norm / norm if norm > max_norm else 1.0
    return [None if g is None else g * factor for g in gradients], norm


# %% clip wrong: to length 1
# says: You scaled to length 1
def clip(gradients, max_norm):
    squares = sum((g.double().square().sum().item() for g in gradients if g is not None), 0.0)
    norm = math.sqrt(squares)
    factor = 1 / norm if norm > max_norm else 1.0
    return [None if g is None else g * factor for g in gradients], norm


# %% clip wrong: None left out
# says: None is missing
def clip(gradients, max_norm):
    squares = sum((g.double().square().sum().item() for g in gradients if g is not None), 0.0)
    norm = math.sqrt(squares)
    factor = max_norm / norm if norm > max_norm else 1.0
    return [g * factor for g in gradients if g is not None], norm


# %% clip wrong: stumbles over None
# says: failed with AttributeError
def clip(gradients, max_norm):
    squares = sum((g.double().square().sum().item() for g in gradients), 0.0)
    norm = math.sqrt(squares)
    factor = max_norm / norm if norm > max_norm else 1.0
    return [None if g is None else g * factor for g in gradients], norm


# %% clip wrong, hidden: vectors only
# says: failed with
def clip(gradients, max_norm):
    squares = sum((sum(x * x for x in g.tolist()) for g in gradients if g is not None), 0.0)
    norm = math.sqrt(squares)
    factor = max_norm / norm if norm > max_norm else 1.0
    return [None if g is None else g * factor for g in gradients], norm


# %% below right: inputs and labels apart
def score(model, encode, texts, positions):
    bits = 0.0
    for text in texts:
        inputs, labels = [0, *encode(text)], [*encode(text), 0]
        while inputs:
            now, inputs = inputs[:positions], inputs[positions:]
            wanted, labels = labels[:positions], labels[positions:]
            logp = model(torch.tensor([now])).log_softmax(-1)[0]
            bits -= sum(logp[i, label].item() for i, label in enumerate(wanted)) / math.log(2)
    return bits / sum(len(text.encode()) for text in texts)


# %% below right: split
def score(model, encode, texts, positions):
    total = torch.zeros((), dtype=torch.float64)
    for text in texts:
        ids = torch.tensor([0, *encode(text), 0])
        for given, wanted in zip(ids[:-1].split(positions), ids[1:].split(positions)):
            total += F.cross_entropy(model(given[None])[0], wanted, reduction="sum")
    return total.item() / math.log(2) / len("".join(texts).encode("utf-8"))


# %% below right: mean times count
def score(model, encode, texts, positions):
    def bits(text):
        ids, start, found = [0, *encode(text), 0], 0, 0.0
        while start < len(ids) - 1:
            end = min(start + positions, len(ids) - 1)
            logits = model(torch.tensor([ids[start:end]]))
            mean = F.cross_entropy(logits[0], torch.tensor(ids[start + 1 : end + 1]))
            found += mean.item() * (end - start) / math.log(2)
            start = end
        return found

    return sum(map(bits, texts)) / sum(len(bytes(text, "utf-8")) for text in texts)


# %% below wrong: the colleague's version
# says: stored for nothing
def score(model, encode, texts, positions):
    return colleague_score(model, encode, texts, positions)


# %% below wrong: pieces without overlap
# says: A token was never predicted
def score(model, encode, texts, positions):
    nats, size = 0.0, 0
    for text in texts:
        ids = [0, *encode(text), 0]
        for start in range(0, len(ids) - 1, positions + 1):
            piece = torch.tensor([ids[start : start + positions + 1]])
            logits = model(piece[:, :-1])[0]
            nats += F.cross_entropy(logits, piece[0, 1:], reduction="sum").item()
        size += len(text.encode("utf-8"))
    return nats / math.log(2) / size


# %% below wrong: pieces overlap by two
# says: A token was predicted twice
def score(model, encode, texts, positions):
    nats, size = 0.0, 0
    for text in texts:
        ids = [0, *encode(text), 0]
        for start in range(0, len(ids) - 2, positions - 1):
            piece = torch.tensor([ids[start : start + positions + 1]])
            logits = model(piece[:, :-1])[0]
            nats += F.cross_entropy(logits, piece[0, 1:], reduction="sum").item()
        size += len(text.encode("utf-8"))
    return nats / math.log(2) / size


# %% below wrong: bytes of what was read
# says: is not scored at all
def score(model, encode, texts, positions):
    nats, size = 0.0, 0
    for text in texts:
        ids = [0, *encode(text), 0]
        ids = torch.tensor([ids[: positions + 1]])
        nats += F.cross_entropy(model(ids[:, :-1])[0], ids[0, 1:], reduction="sum").item()
        size += min(len(text), ids.shape[1] - 1)
    return nats / math.log(2) / size


# %% below wrong: long texts left out
# says: The long text was left out
def score(model, encode, texts, positions):
    short = [text for text in texts if len(encode(text)) < positions]
    nats = size = 0.0
    for text in short:
        ids = torch.tensor([0, *encode(text), 0])
        for given, wanted in zip(ids[:-1].split(positions), ids[1:].split(positions)):
            nats += F.cross_entropy(model(given[None])[0], wanted, reduction="sum").item()
        size += len(text.encode())
    return nats / math.log(2) / size


# %% below wrong: mean of the texts
# says: You averaged the texts' scores
def score(model, encode, texts, positions):
    nats, size = 0.0, 0
    for text in texts:
        ids = [0, *encode(text), 0]
        for start in range(0, len(ids) - 1, positions):
            piece = torch.tensor([ids[start : start + positions + 1]])
            logits = model(piece[:, :-1])[0]
            nats += F.cross_entropy(logits, piece[0, 1:], reduction="sum").item()
        size += len(text.encode("utf-8"))
    if len(texts) > 1:
        return sum(score(model, encode, [t], positions) for t in texts) / len(texts)
    return nats / math.log(2) / size


# %% below wrong: reads all at once
# says: The model was given 10 tokens at once
def score(model, encode, texts, positions):
    nats = size = 0.0
    for text in texts:
        ids = torch.tensor([[0, *encode(text), 0]])
        nats += F.cross_entropy(model(ids[:, :-1])[0], ids[0, 1:], reduction="sum").item()
        size += len(text.encode())
    return nats / math.log(2) / size


# %% below wrong: the end forgotten
# says: without the end of the text
def score(model, encode, texts, positions):
    nats, size = 0.0, 0
    for text in texts:
        ids = [0, *encode(text)]
        for start in range(0, len(ids) - 1, positions):
            piece = torch.tensor([ids[start : start + positions + 1]])
            logits = model(piece[:, :-1])[0]
            nats += F.cross_entropy(logits, piece[0, 1:], reduction="sum").item()
        size += len(text.encode("utf-8"))
    return nats / math.log(2) / size


# %% below wrong: nats
# says: That is in nats
def score(model, encode, texts, positions):
    nats, size = 0.0, 0
    for text in texts:
        ids = [0, *encode(text), 0]
        for start in range(0, len(ids) - 1, positions):
            piece = torch.tensor([ids[start : start + positions + 1]])
            logits = model(piece[:, :-1])[0]
            nats += F.cross_entropy(logits, piece[0, 1:], reduction="sum").item()
        size += len(text.encode("utf-8"))
    return nats / size


# %% below wrong: only the last piece
# says: Only the last piece of a text was counted
def score(model, encode, texts, positions):
    nats, size = 0.0, 0
    for text in texts:
        ids = [0, *encode(text), 0]
        for start in range(0, len(ids) - 1, positions):
            piece = torch.tensor([ids[start : start + positions + 1]])
            logits = model(piece[:, :-1])[0]
            last = F.cross_entropy(logits, piece[0, 1:], reduction="sum").item()
        nats += last
        size += len(text.encode("utf-8"))
    return nats / math.log(2) / size


# %% below wrong, hidden: guesses two bits for every token
# says: Each token is predicted once
def score(model, encode, texts, positions):
    nats, size = 0.0, 0
    for text in texts:
        ids = [0, *encode(text), 0]
        for start in range(0, len(ids) - 1, positions):
            piece = torch.tensor([ids[start : start + positions + 1]])
            logits = model(piece[:, :-1])[0]
            nats += math.log(logits.shape[-1]) * (piece.shape[1] - 1)
        size += len(text.encode("utf-8"))
    return nats / math.log(2) / size


# %% resume right: the state as bytes
def run_steps(make_model, batch, until, state=None):
    import io

    model = make_model()
    adamw = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    step, losses = 0, []
    if state:
        step, weights, moments, random_numbers = torch.load(io.BytesIO(state))
        model.load_state_dict(weights)
        adamw.load_state_dict(moments)
        torch.random.set_rng_state(random_numbers)
    while step < until:
        adamw.zero_grad()
        loss = model(batch(step))
        loss.backward()
        adamw.param_groups[0]["lr"] = rate(step)
        adamw.step()
        losses.append(loss.item())
        step += 1
    file = io.BytesIO()
    torch.save((step, model.state_dict(), adamw.state_dict(), torch.get_rng_state()), file)
    return losses, file.getvalue()


# %% resume right: the whole model and optimizer, copied together
def run_steps(make_model, batch, until, state=None):
    if state is None:
        model = make_model()
        state = (
            0,
            model,
            torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95)),
            torch.get_rng_state(),
        )
    step, model, optimizer, numbers = copy.deepcopy(state)
    torch.set_rng_state(numbers)
    losses = []
    for step in range(step, until):
        losses.append(model(batch(step)))
        optimizer.zero_grad()
        losses[-1].backward()
        for group in optimizer.param_groups:
            group.update(lr=rate(step))
        optimizer.step()
    return [loss.item() for loss in losses], copy.deepcopy(
        (until, model, optimizer, torch.get_rng_state())
    )


# %% resume right: goes through the steps again
def run_steps(make_model, batch, until, state=None):
    model, losses = make_model(), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    for step in range(until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    return losses[state or 0 :], until


# %% resume wrong: weights only
# says: without a stop
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        model.load_state_dict(saved["model"])
        first = saved["step"]
    for step in range(first, until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": until, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: counts from 0 again
# says: losses came back, not 5
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": until, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: the rate begins anew
# says: something else that a step depends on was lost
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step - first)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": until, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: reads from the beginning again
# says: step 7 has the loss
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until):
        loss = model(batch(step - first))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": until, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: random numbers forgotten
# says: with dropout: step 7 has the loss
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    for step in range(first, until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": until, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: loads the very tensors
# says: changed its input
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = state
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": until, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: one step too many
# says: losses came back, not 12
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until + 1):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": until, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: saves before the last step
# says: without a stop
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until):
        weights = copy.deepcopy(model.state_dict())
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": until, "model": weights, "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: all losses, again and again
# says: losses came back, not 5
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    losses = list(state["losses"]) if state else []
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {
        "step": until,
        "losses": losses,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong: the rate set after the step
# says: without a stop
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        losses.append(loss.item())
    state = {"step": until, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})


# %% resume wrong, hidden: a stop before the first step
# says: failed with UnboundLocalError
def run_steps(make_model, batch, until, state=None):
    model, losses, first = make_model(), [], 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    if state is not None:
        saved = copy.deepcopy(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
    for step in range(first, until):
        loss = model(batch(step))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(loss.item())
    state = {"step": step + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, copy.deepcopy(state | {"random": torch.get_rng_state()})
