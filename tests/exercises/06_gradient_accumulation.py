"""Right and wrong solutions of exercises/source/06_gradient_accumulation, for tests/test_exercises.py."""


# %% token_weights right: comprehension
def token_weights(targets):
    fair = 1 / sum(targets)
    return [1 / len(targets) / n / fair if n else 0.0 for n in targets]


# %% token_weights right: loop
def token_weights(counts):
    answer = []
    for count in counts:
        if count == 0:
            answer.append(0.0)
        else:
            answer.append(sum(counts) / (len(counts) * count))
    return answer


# %% token_weights right: mean over each
def token_weights(targets):
    mean = sum(targets) / len(targets)
    return list(map(lambda n: mean / n if n > 0 else 0.0, targets))


# %% token_weights right: tensor
def token_weights(targets):
    n = torch.tensor(targets, dtype=torch.float64)
    return torch.where(n > 0, n.mean() / n.clamp(min=1), 0.0).tolist()


# %% token_weights wrong: upside down
# says: upside down
def token_weights(targets):
    return [n * len(targets) / sum(targets) for n in targets]


# %% token_weights wrong: not relative to fair
# says: not divided by the fair weight
def token_weights(targets):
    return [1 / len(targets) / n if n else 0.0 for n in targets]


# %% token_weights wrong: the number of micro-batches forgotten
# says: micro-batches
def token_weights(targets):
    return [sum(targets) / n if n else 0.0 for n in targets]


# %% token_weights wrong: hard-coded
# says: should weigh
def token_weights(targets):
    return [3.75, 1.875, 0.9375, 0.46875]


# %% token_weights wrong, hidden: the visible answers by heart
# says: should weigh
def token_weights(targets):
    known = {1: [3.0, 0.6], 3: [1.0] * 3, 2: [1.0, 0.0, 0.5]}
    return [3.75, 1.875, 0.9375, 0.46875] if len(targets) == 4 else known.get(targets[0], [2.0])


# %% token_weights wrong: empty micro-batches not counted
# says: still one of
def token_weights(targets):
    full = [n for n in targets if n]
    return [sum(full) / len(full) / n if n else 0.0 for n in targets]


# %% token_weights wrong: no guard against nothing
# says: ZeroDivisionError
def token_weights(targets):
    return [sum(targets) / len(targets) / n for n in targets]


# %% token_weights wrong: sorts the caller's list
# says: changed its input
def token_weights(targets):
    targets.sort()
    return [sum(targets) / len(targets) / n if n else 0.0 for n in targets]


# %% token_weights wrong: whole numbers
# says: should weigh
def token_weights(targets):
    return [sum(targets) // (len(targets) * n) if n else 0.0 for n in targets]


# %% token_weights wrong: one number instead of a list
# says: instead of a value of type list
def token_weights(targets):
    return max(targets) / min(targets)


# %% windows right: list that grows
def windows(micro_batches, size):
    window = []
    for micro_batch in micro_batches:
        window.append(micro_batch)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window


# %% windows right: islice
def windows(micro_batches, size):
    from itertools import islice

    stream = iter(micro_batches)
    while window := list(islice(stream, size)):
        yield window


# %% windows right: a list of slices
def windows(micro_batches, size):
    everything = list(micro_batches)
    return [everything[start : start + size] for start in range(0, len(everything), size)]


# %% windows right: batched
def windows(stream, n):
    found = []
    for i, item in enumerate(stream):
        if i % n == 0:
            found.append([])
        found[-1].append(item)
    return found


# %% windows wrong: drops what is left over
# says: is lost
def windows(micro_batches, size):
    window = []
    for micro_batch in micro_batches:
        window.append(micro_batch)
        if len(window) == size:
            yield window
            window = []


# %% windows wrong: steps one early, as MiniMind did
# says: the first window
def windows(micro_batches, size):
    window = []
    for i, micro_batch in enumerate(micro_batches, start=1):
        window.append(micro_batch)
        if (i + 1) % size == 0:
            yield window
            window = []
    if window:
        yield window


# %% windows wrong: an empty window at the end
# says: empty window
def windows(micro_batches, size):
    window = []
    for micro_batch in micro_batches:
        window.append(micro_batch)
        if len(window) == size:
            yield window
            window = []
    yield window


# %% windows wrong: one list, cleared
# says: same list
def windows(micro_batches, size):
    window = []
    for micro_batch in micro_batches:
        window.append(micro_batch)
        if len(window) == size:
            yield window
            window.clear()
    if window:
        yield window


# %% windows wrong: needs a length
# says: only be read once
def windows(micro_batches, size):
    return [micro_batches[i : i + size] for i in range(0, len(micro_batches), size)]


# %% windows wrong: last window filled up from the start
# says: more than once
def windows(micro_batches, size):
    everything = list(micro_batches)
    missing = -len(everything) % size
    everything += everything[:missing]
    return [everything[i : i + size] for i in range(0, len(everything), size)]


# %% windows wrong: always two
# says: the first window
def windows(micro_batches, size):
    everything = list(micro_batches)
    return [everything[i : i + 2] for i in range(0, len(everything), 2)]


# %% windows wrong, hidden: right up to seven micro-batches
# says: is lost
def windows(micro_batches, size):
    everything = list(micro_batches)
    three = [everything[i * size : (i + 1) * size] for i in range(3)]
    return [window for window in three if window]


# %% windows wrong, hidden: gives away an empty window when there is nothing
# says: nothing at all
def windows(micro_batches, size):
    found = [[]]
    for micro_batch in micro_batches:
        if len(found[-1]) == size:
            found.append([])
        found[-1].append(micro_batch)
    return found


# %% windows wrong: eats the caller's list
# says: changed its input
def windows(micro_batches, size):
    if not isinstance(micro_batches, list):
        micro_batches = list(micro_batches)
    while micro_batches:
        yield [micro_batches.pop(0) for _ in range(min(size, len(micro_batches)))]


# %% window_gradient right: sum over count
def window_gradient(model, micro_batches):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        logits = model(input_ids).flatten(0, 1)
        loss = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORE, reduction="sum")
        loss = loss / max(targets, 1)
        loss.backward()
        total += loss.item()
    return total


# %% window_gradient right: gradients divided afterwards
def window_gradient(model, micro_batches):
    model.zero_grad()
    nats, count = 0.0, 0
    for ids, labels in micro_batches:
        each = F.cross_entropy(model(ids).transpose(1, 2), labels, ignore_index=IGNORE, reduction="none")
        each.sum().backward()
        nats += each.sum().item()
        count += (labels != IGNORE).sum().item()
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= max(count, 1)
    return nats / max(count, 1)


# %% window_gradient right: log-softmax by hand
def window_gradient(model, window):
    for p in model.parameters():
        p.grad = None
    count = max(sum((y >= 0).sum() for _, y in window), 1)
    losses = []
    for x, y in window:
        chosen = model(x).log_softmax(-1).gather(2, y.clamp(min=0)[..., None])[..., 0]
        loss = -(chosen * (y != IGNORE)).sum() / count
        loss.backward()
        losses.append(loss.detach())
    return float(sum(losses))


# %% window_gradient right: means, weighted by their counts
def window_gradient(model, micro_batches):
    model.zero_grad(set_to_none=True)
    counts = [(labels != IGNORE).sum() for _, labels in micro_batches]
    total = torch.zeros((), dtype=torch.float64)
    for (input_ids, labels), count in zip(micro_batches, counts):
        logits = model(input_ids).flatten(0, 1)
        mean = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORE)
        loss = mean * count / sum(counts) if count else logits.sum() * 0
        loss.backward()
        total += loss.detach()
    return total.item()


# %% window_gradient wrong: no division
# says: times too long
def window_gradient(model, micro_batches):
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
        loss.backward()
        total += loss.item()
    return total / len(micro_batches)


# %% window_gradient wrong: mean of means
# says: mean of means
def window_gradient(model, micro_batches):
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
        (loss / len(micro_batches)).backward()
        total += loss.item() / len(micro_batches)
    return total


# %% window_gradient wrong: divides by all positions
# says: positions without a target
def window_gradient(model, micro_batches):
    count = sum(labels.numel() for _, labels in micro_batches)
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum")
        (loss / count).backward()
        total += loss.item() / count
    return total


# %% window_gradient wrong: own count inside the loop
# says: mean of means
def window_gradient(model, micro_batches):
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        count = max((labels != IGNORE).sum(), 1) * len(micro_batches)
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum") / count
        loss.backward()
        total += loss.item()
    return total


# %% window_gradient wrong: old gradients stay
# says: already there
def window_gradient(model, micro_batches):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    total = 0.0
    for input_ids, labels in micro_batches:
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum") / targets
        loss.backward()
        total += loss.item()
    return total


# %% window_gradient wrong: zero_grad inside the loop
# says: last micro-batch
def window_gradient(model, micro_batches):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    total = 0.0
    for input_ids, labels in micro_batches:
        model.zero_grad()
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum") / targets
        loss.backward()
        total += loss.item()
    return total


# %% window_gradient wrong: masked mean
# says: NaN
def window_gradient(model, micro_batches):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        mask = (labels != IGNORE).flatten()
        each = F.cross_entropy(model(input_ids).flatten(0, 1), labels.clamp(min=0).flatten(), reduction="none")
        loss = (each * mask).sum() / mask.sum() * mask.sum() / targets
        loss.backward()
        total += loss.item()
    return total


# %% window_gradient wrong: clamps the caller's labels
# says: changed its input
def window_gradient(model, micro_batches):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        mask = labels != IGNORE
        each = F.cross_entropy(model(input_ids).transpose(1, 2), labels.clamp_(min=0), reduction="none")
        loss = (each * mask).sum() / max(targets, 1)
        loss.backward()
        total += loss.item()
    return total


# %% window_gradient wrong: right only for one row
# says: second row
def window_gradient(model, micro_batches):
    targets = sum(int((labels[0] != IGNORE).sum()) for _, labels in micro_batches)
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        loss = F.cross_entropy(model(input_ids[:1])[0], labels[0], ignore_index=IGNORE, reduction="sum") / max(targets, 1)
        loss.backward()
        total += loss.item()
    return total


# %% window_gradient wrong: returns the last loss
# says: returned
def window_gradient(model, micro_batches):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    model.zero_grad()
    for input_ids, labels in micro_batches:
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum") / max(targets, 1)
        loss.backward()
    return loss.item()


# %% window_gradient wrong, hidden: a window without any target
# says: gradient and loss of nothing
def window_gradient(model, micro_batches):
    targets = sum((labels != IGNORE).sum() for _, labels in micro_batches)
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum") / targets
        loss.backward()
        total += loss.item()
    return total


# %% window_gradient wrong: classes on the wrong axis
# says: failed with
def window_gradient(model, micro_batches):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    model.zero_grad()
    total = 0.0
    for input_ids, labels in micro_batches:
        loss = F.cross_entropy(model(input_ids), labels, ignore_index=IGNORE, reduction="sum") / max(targets, 1)
        loss.backward()
        total += loss.item()
    return total


# %% clipped_gradient right: after the loop
def clipped_gradient(model, micro_batches, limit):
    targets = max(sum(int((labels != IGNORE).sum()) for _, labels in micro_batches), 1)
    model.zero_grad()
    for input_ids, labels in micro_batches:
        logits = model(input_ids).flatten(0, 1)
        loss = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORE, reduction="sum")
        (loss / targets).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
    return norm.item()


# %% clipped_gradient right: by hand
def clipped_gradient(model, micro_batches, limit):
    accumulate_gradients(model, micro_batches)
    norm = gradient(model).norm()
    if norm > limit:
        for p in model.parameters():
            p.grad *= limit / norm
    return norm.item()


# %% clipped_gradient right: measured, then clipped
def clipped_gradient(model, micro_batches, limit):
    accumulate_gradients(model, micro_batches)
    norm = sum(float((p.grad**2).sum()) for p in model.parameters()) ** 0.5
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=limit)
    return norm


# %% clipped_gradient wrong: as it was found
# says: order
def clipped_gradient(model, micro_batches, limit):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    model.zero_grad()
    for input_ids, labels in micro_batches:
        logits = model(input_ids).flatten(0, 1)
        loss = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORE, reduction="sum")
        (loss / targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), limit)
    return gradient(model).norm().item()


# %% clipped_gradient wrong: each number clipped
# says: direction
def clipped_gradient(model, micro_batches, limit):
    accumulate_gradients(model, micro_batches)
    norm = gradient(model).norm().item()
    nn.utils.clip_grad_value_(model.parameters(), limit / len(gradient(model)) ** 0.5)
    return norm


# %% clipped_gradient wrong: each parameter clipped by itself
# says: direction
def clipped_gradient(model, micro_batches, limit):
    accumulate_gradients(model, micro_batches)
    norm = gradient(model).norm().item()
    n = len(list(model.parameters()))
    for p in model.parameters():
        nn.utils.clip_grad_norm_([p], limit / n**0.5)
    return norm


# %% clipped_gradient wrong: no clipping
# says: is longer than the limit
def clipped_gradient(model, micro_batches, limit):
    accumulate_gradients(model, micro_batches)
    return gradient(model).norm().item()


# %% clipped_gradient wrong: the norm after clipping
# says: before clipping
def clipped_gradient(model, micro_batches, limit):
    accumulate_gradients(model, micro_batches)
    nn.utils.clip_grad_norm_(model.parameters(), limit)
    return gradient(model).norm().item()


# %% clipped_gradient wrong: always scaled to the limit
# says: never makes it longer
def clipped_gradient(model, micro_batches, limit):
    accumulate_gradients(model, micro_batches)
    norm = gradient(model).norm()
    for p in model.parameters():
        p.grad *= limit / norm
    return norm.item()


# %% clipped_gradient wrong: clipped before it is divided
# says: is the gradient
def clipped_gradient(model, micro_batches, limit):
    targets = sum(int((labels != IGNORE).sum()) for _, labels in micro_batches)
    model.zero_grad()
    for input_ids, labels in micro_batches:
        logits = model(input_ids).flatten(0, 1)
        F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORE, reduction="sum").backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
    for p in model.parameters():
        p.grad /= targets
    return norm.item() / targets


# %% clipped_gradient wrong: norm added up over micro-batches
# says: before clipping
def clipped_gradient(model, micro_batches, limit):
    norm = 0.0
    for micro_batch in micro_batches:
        accumulate_gradients(model, [micro_batch])
        norm += gradient(model).norm().item()
    accumulate_gradients(model, micro_batches)
    nn.utils.clip_grad_norm_(model.parameters(), limit)
    return norm


# %% clipped_gradient wrong: hard-coded limit
# says: shorter than the limit allows
def clipped_gradient(model, micro_batches, limit):
    accumulate_gradients(model, micro_batches)
    return nn.utils.clip_grad_norm_(model.parameters(), 0.1).item()


# %% clipped_gradient wrong, hidden: means weighted by counts, and a row without a target
# says: the direction is not
def clipped_gradient(model, micro_batches, limit):
    counts = [(labels != IGNORE).sum() for _, labels in micro_batches]
    model.zero_grad()
    for (ids, labels), count in zip(micro_batches, counts):
        each = F.cross_entropy(model(ids).transpose(1, 2), labels.clamp(min=0), reduction="none")
        ((each * (labels >= 0)).sum() / count * count / sum(counts)).backward()
    return nn.utils.clip_grad_norm_(model.parameters(), limit).item()


# %% rank_factor right: all targets
def rank_factor(targets, rank):
    return len(targets) / max(sum(targets), 1)


# %% rank_factor right: loop
def rank_factor(counts, me):
    everyone = 0
    for count in counts:
        everyone += count
    if everyone == 0:
        return 0.0
    return len(counts) / everyone


# %% rank_factor right: tensor
def rank_factor(targets, rank):
    counted = torch.tensor(targets, dtype=torch.float64)
    return 1 / counted.mean().clamp(min=1e-9).item()


# %% rank_factor wrong: own count
# says: own count
def rank_factor(targets, rank):
    return 1 / max(targets[rank], 1)


# %% rank_factor wrong: everyone's count, not times the processes
# says: half as long
def rank_factor(targets, rank):
    return 1 / max(sum(targets), 1)


# %% rank_factor wrong: times the processes twice
# says: twice as long
def rank_factor(targets, rank):
    return len(targets) ** 2 / max(sum(targets), 1)


# %% rank_factor wrong: two processes only
# says: 3 processes
def rank_factor(targets, rank):
    return 2 / max(sum(targets), 1)


# %% rank_factor wrong: weighted by its share
# says: half as long
def rank_factor(targets, rank):
    return len(targets) / sum(targets) * targets[rank] / sum(targets)


# %% rank_factor wrong: hard-coded
# says: should be
def rank_factor(targets, rank):
    return 2 / 637


# %% rank_factor wrong, hidden: nothing to learn anywhere
# says: ZeroDivisionError
def rank_factor(targets, rank):
    return len(targets) / sum(targets)


# %% rank_factor wrong: processes without targets left out
# says: without a target
def rank_factor(targets, rank):
    return len([n for n in targets if n]) / max(sum(targets), 1)


# %% suspicious right: truth against rows
def suspicious(loop):
    batch = rows([1, 8, 0, 3, 5, 2])
    truth = true_gradient(batch)
    for sizes in ([6], [1] * 6, [2, 4], [3, 1, 2]):
        model = tiny_model()
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        loop(model, split(batch, sizes))
        if not (gradient(model) - truth).norm() < 1e-9 * truth.norm():
            return True
    return False


# %% suspicious right: allclose, two windows in a row
def suspicious(loop):
    model, verdicts = tiny_model(), []
    for seed in range(3):
        batch = rows([4, 0, 7, 1, 2], seed=seed)
        for sizes in ([1, 1, 1, 1, 1], [3, 2], [1, 4]):
            loop(model, split(batch, sizes))
            found = gradient(model)
            verdicts.append(torch.allclose(found, true_gradient(batch), rtol=1e-6, atol=1e-10))
    return not all(verdicts)


# %% suspicious right: largest difference, NaN counted
def suspicious(loop):
    batch, worst = rows([2, 5, 8, 0, 1, 1, 3]), 0.0
    model = tiny_model()
    for cut in range(1, 7):
        loop(model, split(batch, [cut, 7 - cut]))
        difference = (gradient(model) - true_gradient(batch)).abs().max().item()
        loop(model, split(batch, [1] * 7))
        single = (gradient(model) - true_gradient(batch)).abs().max().item()
        if math.isnan(difference) or math.isnan(single):
            return True
        worst = max(worst, difference, single)
    return worst > 1e-10


# %% suspicious wrong: arrests nobody
# says: does not divide
def suspicious(loop):
    return False


# %% suspicious wrong: arrests everybody
# says: innocent
def suspicious(loop):
    return True


# %% suspicious wrong: the answer of a whole batch only
# says: does not divide
def suspicious(loop):
    batch = rows([1, 8, 3, 5])
    model = tiny_model()
    loop(model, [batch])
    return not torch.allclose(gradient(model), true_gradient(batch))


# %% suspicious wrong: replies of equal length only
# says: mean of means
def suspicious(loop):
    batch = rows([8, 8, 8, 8, 8, 8])
    model = tiny_model()
    for sizes in ([1] * 6, [2, 2, 2]):
        loop(model, split(batch, sizes))
        loop(model, split(batch, sizes))
        if not torch.allclose(gradient(model), true_gradient(batch)):
            return True
    return False


# %% suspicious wrong: NaN is never greater
# says: NaN
def suspicious(loop):
    batch = rows([1, 8, 0, 3, 5, 2])
    model = tiny_model()
    for sizes in ([1] * 6, [2, 4], [1] * 6):
        loop(model, split(batch, sizes))
        if (gradient(model) - true_gradient(batch)).abs().max() > 1e-10:
            return True
    return False


# %% suspicious wrong: bit for bit
# says: rounded otherwise
def suspicious(loop):
    batch = rows([1, 8, 0, 3, 5, 2])
    model = tiny_model()
    loop(model, split(batch, [1] * 6))
    return not torch.equal(gradient(model), true_gradient(batch))


# %% suspicious wrong: only the loop against itself
# says: all positions
def suspicious(loop):
    batch, found = rows([1, 8, 0]), []
    for sizes in ([1] * 3, [1, 2], [3]):
        model = tiny_model()
        for _ in sizes:
            loop(model, split(batch, sizes))
        found.append(gradient(model))
    return not all(torch.allclose(g, found[0]) for g in found)


# %% suspicious wrong: the direction only
# says: times too long
def suspicious(loop):
    batch = rows([3, 3, 3, 3])
    model = tiny_model()
    loop(model, split(batch, [1] * 4))
    return not F.cosine_similarity(gradient(model), true_gradient(batch), dim=0) > 0.999


# %% suspicious wrong: a fresh model each time
# says: already there
def suspicious(loop):
    batch = rows([1, 8, 0, 3, 5, 2])
    for sizes in ([1] * 6, [2, 4], [6], [3, 3]):
        model = tiny_model()
        loop(model, split(batch, sizes))
        if not torch.allclose(gradient(model), true_gradient(batch), atol=1e-12):
            return True
    return False


# %% suspicious wrong: no empty micro-batch
# says: without a target
def suspicious(loop):
    batch, model = rows([1, 8, 3, 5, 2]), tiny_model()
    for sizes in ([1] * 5, [2, 3], [5]):
        loop(model, split(batch, sizes))
        if not torch.allclose(gradient(model), true_gradient(batch), atol=1e-12):
            return True
    return False


# %% suspicious wrong, hidden: windows of four only
# says: only for four
def suspicious(loop):
    batch, model = rows([1, 8, 0, 3]), tiny_model()
    for _ in range(2):
        loop(model, split(batch, [1, 1, 1, 1]))
        if not torch.allclose(gradient(model), true_gradient(batch), atol=1e-12):
            return True
    return False
