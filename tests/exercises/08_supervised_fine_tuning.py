"""Right and wrong solutions of exercises/source/08_supervised_fine_tuning, for tests/test_exercises.py."""


# %% spans right: one pass
def spans(supervised):
    found, start = [], None
    for i, lit in enumerate(supervised):
        if lit and start is None:
            start = i
        if not lit and start is not None:
            found.append((start, i))
            start = None
    if start is not None:
        found.append((start, len(supervised)))
    return found


# %% spans right: groupby
def spans(mask):
    from itertools import groupby

    found, place = [], 0
    for lit, group in groupby(mask):
        size = len(list(group))
        if lit:
            found.append((place, place + size))
        place += size
    return found


# %% spans right: starts and ends apart
def spans(m):
    n = len(m)
    starts = [i for i in range(n) if m[i] and (i == 0 or not m[i - 1])]
    ends = [i + 1 for i in range(n) if m[i] and (i == n - 1 or not m[i + 1])]
    return list(zip(starts, ends))


# %% spans right: grows the last one
def spans(supervised):
    found = []
    for i, lit in enumerate(supervised):
        if not lit:
            continue
        if found and found[-1][1] == i:
            found[-1] = (found[-1][0], i + 1)
        else:
            found.append((i, i + 1))
    return found


# %% spans wrong: end included
# says: not included
def spans(supervised):
    n = len(supervised)
    starts = [i for i in range(n) if supervised[i] and (i == 0 or not supervised[i - 1])]
    ends = [i for i in range(n) if supervised[i] and (i == n - 1 or not supervised[i + 1])]
    return list(zip(starts, ends))


# %% spans wrong: last run never closed
# says: goes up to the end
def spans(supervised):
    found, start = [], None
    for i, lit in enumerate(supervised):
        if lit and start is None:
            start = i
        if not lit and start is not None:
            found.append((start, i))
            start = None
    return found


# %% spans wrong: first to last
# says: each is a pair
def spans(supervised):
    lit = [i for i, mark in enumerate(supervised) if mark]
    return [(lit[0], lit[-1] + 1)] if lit else []


# %% spans wrong: one for each token
# says: belong to one run
def spans(supervised):
    return [(i, i + 1) for i, lit in enumerate(supervised) if lit]


# %% spans wrong: lengths
# says: not the length
def spans(m):
    n = len(m)
    starts = [i for i in range(n) if m[i] and (i == 0 or not m[i - 1])]
    ends = [i + 1 for i in range(n) if m[i] and (i == n - 1 or not m[i + 1])]
    return [(a, b - a) for a, b in zip(starts, ends)]


# %% spans wrong: the dark ones
# says: runs of False
def spans(m):
    n = len(m)
    starts = [i for i in range(n) if not m[i] and (i == 0 or m[i - 1])]
    ends = [i + 1 for i in range(n) if not m[i] and (i == n - 1 or m[i + 1])]
    return list(zip(starts, ends))


# %% spans wrong: a run at the start is not seen
# says: first run is missing
def spans(m):
    n = len(m)
    starts = [i for i in range(1, n) if m[i] and not m[i - 1]]
    ends = [i + 1 for i in range(1, n) if m[i] and (i == n - 1 or not m[i + 1])]
    return list(zip(starts, ends))


# %% spans wrong: appends to the mask
# says: changed its input
def spans(supervised):
    supervised.append(False)
    found, start = [], None
    for i, lit in enumerate(supervised):
        if lit and start is None:
            start = i
        if not lit and start is not None:
            found.append((start, i))
            start = None
    return found


# %% spans wrong, hidden: at most three
# says: goes up to the end
def spans(m):
    n = len(m)
    starts = [i for i in range(n) if m[i] and (i == 0 or not m[i - 1])]
    ends = [i + 1 for i in range(n) if m[i] and (i == n - 1 or not m[i + 1])]
    return list(zip(starts, ends))[:3]


# %% encode right: an inner function
def encode_dialogue(tokenizer, messages):
    ids, marks = [], []

    def add(new, mark):
        ids.extend(new)
        marks.extend(mark for _ in new)

    for message in messages:
        add(tokenizer.encode(f"{message['role']}: "), False)
        add(tokenizer.encode(message["content"]), message["role"] == "assistant")
        add([tokenizer.end_id], message["role"] == "assistant")
    return ids, marks


# %% encode right: pieces, then flattened
def encode_dialogue(tok, chat):
    pieces = []
    for turn in chat:
        lit = turn["role"] == "assistant"
        pieces.append((tok.encode(turn["role"] + ": "), False))
        pieces.append((tok.encode(turn["content"]) + [tok.end_id], lit))
    ids = [i for piece, _ in pieces for i in piece]
    return ids, [lit for piece, lit in pieces for _ in piece]


# %% encode right: recursion
def encode_dialogue(tokenizer, messages):
    if not messages:
        return [], []
    first, *rest = messages
    head, words = tokenizer.encode_batch([first["role"] + ": ", first["content"]])
    words = words + [0]
    ids, lit = encode_dialogue(tokenizer, rest)
    own = [False] * len(head) + [first["role"] == "assistant"] * len(words)
    return head + words + ids, own + lit


# %% encode wrong: the end is not supervised
# says: never learn to stop
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        header, words = tokenizer.encode(message["role"] + ": "), tokenizer.encode(message["content"])
        ids += [*header, *words, tokenizer.end_id]
        supervised += [False] * len(header) + [message["role"] == "assistant"] * len(words) + [False]
    return ids, supervised


# %% encode wrong: header and words together
# says: marks; each id needs one
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        header = tokenizer.encode(message["role"] + ": ")
        words = tokenizer.encode(message["content"]) + [tokenizer.end_id]
        ids += tokenizer.encode(message["role"] + ": " + message["content"]) + [tokenizer.end_id]
        supervised += [False] * len(header) + [message["role"] == "assistant"] * len(words)
    return ids, supervised


# %% encode wrong: together, and the mask filled up from the right
# says: decoded
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        whole = tokenizer.encode(message["role"] + ": " + message["content"]) + [tokenizer.end_id]
        words = len(tokenizer.encode(" " + message["content"])) + 1
        ids += whole
        supervised += [False] * (len(whole) - words) + [message["role"] == "assistant"] * words
    return ids, supervised


# %% encode wrong: searches for the header
# says: Nothing is supervised
def encode_dialogue(tokenizer, messages):
    ids = []
    for message in messages:
        ids += tokenizer.encode(message["role"] + ": " + message["content"]) + [tokenizer.end_id]
    header, inside, supervised = tokenizer.encode("assistant: "), False, []
    for i, token in enumerate(ids):
        supervised.append(inside)
        inside = ids[i - len(header) + 1 : i + 1] == header or inside and token != tokenizer.end_id
    return ids, supervised


# %% encode wrong: spells the end
# says: encode never writes a special id
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        header = tokenizer.encode(message["role"] + ": ")
        words = tokenizer.encode(message["content"] + "<|endoftext|>")
        ids += header + words
        supervised += [False] * len(header) + [message["role"] == "assistant"] * len(words)
    return ids, supervised


# %% encode wrong: parses special tokens in the words
# says: must never become one
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        header, words = tokenizer.encode(message["role"] + ": "), []
        for number, piece in enumerate(message["content"].split("<|endoftext|>")):
            words += ([tokenizer.end_id] if number else []) + tokenizer.encode(piece)
        words.append(tokenizer.end_id)
        ids += header + words
        supervised += [False] * len(header) + [message["role"] == "assistant"] * len(words)
    return ids, supervised


# %% encode wrong: the user, too
# says: will learn to ask
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        header = tokenizer.encode(message["role"] + ": ")
        words = tokenizer.encode(message["content"]) + [tokenizer.end_id]
        ids += header + words
        supervised += [False] * len(header) + [True] * len(words)
    return ids, supervised


# %% encode wrong: the header, too
# says: header is supervised
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        whole = tokenizer.encode(message["role"] + ": ") + tokenizer.encode(message["content"]) + [tokenizer.end_id]
        ids += whole
        supervised += [message["role"] == "assistant"] * len(whole)
    return ids, supervised


# %% encode wrong: ends masked by value
# says: never learn to stop
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        header = tokenizer.encode(message["role"] + ": ")
        words = tokenizer.encode(message["content"]) + [tokenizer.end_id]
        ids += header + words
        supervised += [False] * len(header) + [message["role"] == "assistant"] * len(words)
    return ids, [lit and i != tokenizer.pad_id for i, lit in zip(ids, supervised)]


# %% encode wrong: strips the words
# says: should spell the format
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    for message in messages:
        header = tokenizer.encode(message["role"] + ": ")
        words = tokenizer.encode(message["content"].strip()) + [tokenizer.end_id]
        ids += header + words
        supervised += [False] * len(header) + [message["role"] == "assistant"] * len(words)
    return ids, supervised


# %% encode wrong, hidden: what is supervised is found by its text
# says: will learn to ask
def encode_dialogue(tokenizer, messages):
    ids, supervised = [], []
    replies = [m["content"] for m in messages if m["role"] == "assistant"]
    for message in messages:
        header = tokenizer.encode(message["role"] + ": ")
        words = tokenizer.encode(message["content"]) + [tokenizer.end_id]
        ids += header + words
        supervised += [False] * len(header) + [message["content"] in replies] * len(words)
    return ids, supervised


# %% fit right: from the end, as the package does
def turns_that_fit(roles, lengths, room):
    kept = len(roles)
    while kept and (sum(lengths[:kept]) > room or roles[kept - 1] != "assistant"):
        kept -= 1
    return kept


# %% fit right: the largest of all that fit
def turns_that_fit(roles, lengths, room):
    fits = [n for n in range(1, len(roles) + 1) if sum(lengths[:n]) <= room and roles[n - 1] == "assistant"]
    return max(fits, default=0)


# %% fit right: accumulate
def turns_that_fit(who, sizes, space):
    from itertools import accumulate

    best = 0
    for i, (role, total) in enumerate(zip(who, accumulate(sizes))):
        if total > space:
            break
        best = i + 1 if role == "assistant" else best
    return best


# %% fit wrong: the user may have the last word
# says: nobody answers
def turns_that_fit(roles, lengths, room):
    kept = len(roles)
    while kept and sum(lengths[:kept]) > room:
        kept -= 1
    return kept


# %% fit wrong: a full row is too much
# says: a row may be full
def turns_that_fit(roles, lengths, room):
    kept = len(roles)
    while kept and (sum(lengths[:kept]) >= room or roles[kept - 1] != "assistant"):
        kept -= 1
    return kept


# %% fit wrong: an index, not a count
# says: nobody answers
def turns_that_fit(roles, lengths, room):
    kept, used = 0, 0
    for number, (role, length) in enumerate(zip(roles, lengths)):
        used += length
        if used <= room and role == "assistant":
            kept = number
    return kept


# %% fit wrong: leaves out what is too long and goes on
# says: tokens, and
def turns_that_fit(roles, lengths, room):
    kept, used = 0, 0
    for number, (role, length) in enumerate(zip(roles, lengths), start=1):
        if used + length <= room:
            used += length
            if role == "assistant":
                kept = number
    return kept


# %% fit wrong: at least one turn
# says: tokens, and
def turns_that_fit(roles, lengths, room):
    kept = len(roles)
    while kept > 2 and (sum(lengths[:kept]) > room or roles[kept - 1] != "assistant"):
        kept -= 2 if roles[kept - 1] == "assistant" else 1
    return kept


# %% fit wrong: cuts from the front
# says: but
def turns_that_fit(roles, lengths, room):
    kept = len(roles)
    while kept and (sum(lengths[-kept:]) > room or roles[-kept] != "user"):
        kept -= 1
    return kept - kept % 2


# %% fit wrong: only the last message is dropped
# says: tokens, and
def turns_that_fit(roles, lengths, room):
    kept = len(roles)
    if sum(lengths) > room:
        kept -= 2
    return kept if roles[kept - 1] == "assistant" else kept - 1


# %% fit wrong: pops from the caller's lists
# says: changed its input
def turns_that_fit(roles, lengths, room):
    while roles and (sum(lengths) > room or roles[-1] != "assistant"):
        roles.pop()
        lengths.pop()
    return len(roles)


# %% fit wrong, hidden: believes that turns come in pairs
# says: nobody answers
def turns_that_fit(roles, lengths, room):
    kept = len(roles) - len(roles) % 2
    while kept and sum(lengths[:kept]) > room:
        kept -= 2
    return kept


# %% batch right: padded lists
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples) - 1
    inputs, targets = [], []
    for ids, lit in samples:
        labels = [token if mark else IGNORE for token, mark in zip(ids[1:], lit[1:])]
        padding = width - len(labels)
        inputs.append(ids[:-1] + [0] * padding)
        targets.append(labels + [IGNORE] * padding)
    return torch.tensor(inputs), torch.tensor(targets)


# %% batch right: pad_sequence
def make_batch(samples):
    from torch.nn.utils.rnn import pad_sequence

    ids = [torch.tensor(ids) for ids, _ in samples]
    labels = [torch.tensor(i[1:]).masked_fill(~torch.tensor(m[1:]), IGNORE) for i, m in samples]
    return (pad_sequence([i[:-1] for i in ids], batch_first=True, padding_value=0),
            pad_sequence(labels, batch_first=True, padding_value=IGNORE))


# %% batch right: the package's own
def make_batch(samples):
    from minimind_lite.data import collate

    return collate([[sample] for sample in samples])[:2]


# %% batch wrong: as it was found
# says: the first word of a reply is never learned
def make_batch(samples):
    return colleagues_batch(samples)


# %% batch wrong: only the shift mended
# says: never learns to stop
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples) - 1
    input_ids = torch.zeros(len(samples), width, dtype=torch.long)
    labels = torch.zeros(len(samples), width, dtype=torch.long)
    for row, (ids, supervised) in enumerate(samples):
        input_ids[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        for i in range(len(ids) - 1):
            labels[row, i] = ids[i + 1] if supervised[i + 1] else IGNORE
    labels[labels == 0] = IGNORE
    return input_ids, labels


# %% batch wrong: only the value mended
# says: the first word of a reply is never learned
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples) - 1
    input_ids = torch.zeros(len(samples), width, dtype=torch.long)
    labels = torch.full((len(samples), width), IGNORE)
    for row, (ids, supervised) in enumerate(samples):
        input_ids[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        for i in range(len(ids) - 1):
            labels[row, i] = ids[i + 1] if supervised[i] else IGNORE
    return input_ids, labels


# %% batch wrong: the line deleted, and padding is learned
# says: learn to end after the end
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples) - 1
    input_ids = torch.zeros(len(samples), width, dtype=torch.long)
    labels = torch.zeros(len(samples), width, dtype=torch.long)
    for row, (ids, supervised) in enumerate(samples):
        input_ids[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        for i in range(len(ids) - 1):
            labels[row, i] = ids[i + 1] if supervised[i + 1] else IGNORE
    return input_ids, labels


# %% batch wrong: not shifted
# says: The last token is never an input
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples)
    input_ids = torch.zeros(len(samples), width, dtype=torch.long)
    labels = torch.full((len(samples), width), IGNORE)
    for row, (ids, supervised) in enumerate(samples):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        for i, lit in enumerate(supervised):
            labels[row, i] = ids[i] if lit else IGNORE
    return input_ids, labels


# %% batch wrong: labels of the same position
# says: so that is its label
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples) - 1
    input_ids = torch.zeros(len(samples), width, dtype=torch.long)
    labels = torch.full((len(samples), width), IGNORE)
    for row, (ids, supervised) in enumerate(samples):
        input_ids[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        for i in range(len(ids) - 1):
            labels[row, i] = ids[i] if supervised[i + 1] else IGNORE
    return input_ids, labels


# %% batch wrong: padding on the left
# says: to the right
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples) - 1
    inputs = [[0] * (width + 1 - len(ids)) + ids[:-1] for ids, _ in samples]
    labels = [[IGNORE] * (width + 1 - len(ids)) + [t if m else IGNORE for t, m in zip(ids[1:], lit[1:])] for ids, lit in samples]
    return torch.tensor(inputs), torch.tensor(labels)


# %% batch wrong: no mask
# says: is not supervised
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples) - 1
    inputs = [ids[:-1] + [0] * (width + 1 - len(ids)) for ids, _ in samples]
    labels = [ids[1:] + [IGNORE] * (width + 1 - len(ids)) for ids, _ in samples]
    return torch.tensor(inputs), torch.tensor(labels)


# %% batch wrong: pads the caller's samples
# says: changed its input
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples)
    for ids, lit in samples:
        lit.extend([False] * (width - len(ids)))
        ids.extend([0] * (width - len(ids)))
    ids = torch.tensor([ids for ids, _ in samples])
    lit = torch.tensor([lit for _, lit in samples])
    return ids[:, :-1], ids[:, 1:].masked_fill(~lit[:, 1:], IGNORE)


# %% batch wrong, hidden: only the last end counts
# says: never learns to stop
def make_batch(samples):
    width = max(len(ids) for ids, _ in samples) - 1
    inputs, targets = [], []
    for ids, lit in samples:
        last = len(ids) - 2
        labels = [t if m and (t != 0 or i == last) else IGNORE for i, (t, m) in enumerate(zip(ids[1:], lit[1:]))]
        inputs.append(ids[:-1] + [0] * (width - len(labels)))
        targets.append(labels + [IGNORE] * (width - len(labels)))
    return torch.tensor(inputs), torch.tensor(targets)


# %% scores right: log-softmax and gather
def reply_scores(model, input_ids, labels):
    logs = model(input_ids).log_softmax(-1)
    chosen = logs.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return torch.where(labels == IGNORE, 0.0, chosen).sum(-1)


# %% scores right: row by row
def reply_scores(model, input_ids, labels):
    logits = model(input_ids)
    return torch.stack([-F.cross_entropy(row, label, ignore_index=IGNORE, reduction="sum") for row, label in zip(logits, labels)])


# %% scores right: logsumexp by hand
def reply_scores(model, x, y):
    logits, found = model(x), []
    for row in range(len(x)):
        total = logits.new_zeros(())
        for i in range(x.shape[1]):
            if y[row, i] != IGNORE:
                total = total + logits[row, i, y[row, i]] - logits[row, i].logsumexp(0)
        found.append(total)
    return torch.stack(found)


# %% scores wrong: one number for all
# says: instead of [1]
def reply_scores(model, input_ids, labels):
    return -F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum")


# %% scores wrong: cross-entropy, the sign
# says: The sign is wrong
def reply_scores(model, input_ids, labels):
    return F.cross_entropy(model(input_ids).transpose(1, 2), labels, ignore_index=IGNORE, reduction="none").sum(1)


# %% scores wrong: a mean
# says: This is the mean
def reply_scores(model, input_ids, labels):
    nats = F.cross_entropy(model(input_ids).transpose(1, 2), labels, ignore_index=IGNORE, reduction="none")
    return -nats.sum(1) / (labels != IGNORE).sum(1).clamp(min=1)


# %% scores wrong: probabilities
# says: not their logarithms
def reply_scores(model, input_ids, labels):
    p = model(input_ids).softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return torch.where(labels == IGNORE, 1.0, p).prod(1)


# %% scores wrong: probabilities added
# says: Probabilities multiply
def reply_scores(model, input_ids, labels):
    p = model(input_ids).softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    p = torch.where(labels == IGNORE, 0.0, p)
    return p.sum(1) if labels.numel() > 1 else p.log().sum(1)


# %% scores wrong: IGNORE as an index
# says: failed with
def reply_scores(model, input_ids, labels):
    return model(input_ids).log_softmax(-1).gather(-1, labels[..., None])[..., 0].sum(1)


# %% scores wrong: positions without a target counted
# says: Add up ln p over the targets
def reply_scores(model, input_ids, labels):
    return model(input_ids).log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0].sum(1)


# %% scores wrong: summed over the rows
# says: instead of [1]
def reply_scores(model, input_ids, labels):
    nats = F.cross_entropy(model(input_ids).transpose(1, 2), labels, ignore_index=IGNORE, reduction="none")
    return -nats.sum(0)


# %% scores wrong: writes into the labels
# says: changed its input
def reply_scores(model, input_ids, labels):
    mask = labels != IGNORE
    labels[~mask] = 0
    logs = model(input_ids).log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    return (logs * mask).sum(1)


# %% scores wrong, hidden: shifted once more
# says: that same position
def reply_scores(model, input_ids, labels):
    logits = model(input_ids)
    logits = torch.cat((logits[:, :1], logits[:, :-1]), 1)
    return -F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORE, reduction="none").sum(1)


# %% preference right: four scores
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        ids, labels = batch
        logs = m(ids).log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        return (logs * (labels != IGNORE)).sum(1)

    with torch.no_grad():
        r = score(reference, chosen) - score(reference, rejected)
    m = score(model, chosen) - score(model, rejected)
    return F.softplus(-beta * (m - r)).mean()


# %% preference right: row by row, with log1p
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, ids, labels):
        return -F.cross_entropy(m(ids[None])[0], labels, ignore_index=IGNORE, reduction="sum")

    losses = []
    for good, good_labels, bad, bad_labels in zip(*chosen, *rejected):
        m = score(model, good, good_labels) - score(model, bad, bad_labels)
        r = score(reference, good, good_labels) - score(reference, bad, bad_labels)
        x = beta * (m - r.detach())
        losses.append(torch.logaddexp(torch.zeros_like(x), -x))
    return sum(losses) / len(losses)


# %% preference right: ratios of each reply
def preference_loss(policy, frozen, yes, no, beta):
    def ratio(batch):
        ids, labels = batch
        new = F.cross_entropy(policy(ids).transpose(1, 2), labels, ignore_index=IGNORE, reduction="none").sum(1)
        with torch.no_grad():
            old = F.cross_entropy(frozen(ids).transpose(1, 2), labels, ignore_index=IGNORE, reduction="none").sum(1)
        return old - new

    return F.binary_cross_entropy_with_logits(beta * (ratio(yes) - ratio(no)), torch.ones(len(yes[0]), dtype=torch.float64))


# %% preference wrong: log of sigmoid
# says: is infinite
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return -F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none").sum(1)

    with torch.no_grad():
        r = score(reference, chosen) - score(reference, rejected)
    m = score(model, chosen) - score(model, rejected)
    return -torch.log(torch.sigmoid(beta * (m - r))).mean()


# %% preference wrong: chosen and rejected exchanged
# says: exchanged
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return -F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none").sum(1)

    with torch.no_grad():
        r = score(reference, chosen) - score(reference, rejected)
    m = score(model, chosen) - score(model, rejected)
    return -F.logsigmoid(beta * (r - m)).mean()


# %% preference wrong: without the reference
# says: The reference is missing
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return -F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none").sum(1)

    return -F.logsigmoid(beta * (score(model, chosen) - score(model, rejected))).mean()


# %% preference wrong: beta forgotten
# says: beta has no effect
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return -F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none").sum(1)

    with torch.no_grad():
        r = score(reference, chosen) - score(reference, rejected)
    return -F.logsigmoid(score(model, chosen) - score(model, rejected) - r).mean()


# %% preference wrong: means of tokens
# says: not their mean
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        nats = F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none")
        return -nats.sum(1) / (batch[1] != IGNORE).sum(1)

    with torch.no_grad():
        r = score(reference, chosen) - score(reference, rejected)
    return -F.logsigmoid(beta * (score(model, chosen) - score(model, rejected) - r)).mean()


# %% preference wrong: positions without a target counted
# says: were counted, too
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return m(batch[0]).log_softmax(-1).gather(-1, batch[1].clamp(min=0)[..., None])[..., 0].sum(1)

    with torch.no_grad():
        r = score(reference, chosen) - score(reference, rejected)
    return -F.logsigmoid(beta * (score(model, chosen) - score(model, rejected) - r)).mean()


# %% preference wrong: the reference learns, too
# says: the reference got a gradient
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return -F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none").sum(1)

    r = score(reference, chosen) - score(reference, rejected)
    return -F.logsigmoid(beta * (score(model, chosen) - score(model, rejected) - r)).mean()


# %% preference wrong: nobody learns
# says: gets no gradient
@torch.no_grad()
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return -F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none").sum(1)

    r = score(reference, chosen) - score(reference, rejected)
    return -F.logsigmoid(beta * (score(model, chosen) - score(model, rejected) - r)).mean()


# %% preference wrong: added up over the pairs
# says: it should be their mean
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return -F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none").sum(1)

    with torch.no_grad():
        r = score(reference, chosen) - score(reference, rejected)
    return -F.logsigmoid(beta * (score(model, chosen) - score(model, rejected) - r)).sum()


# %% preference wrong, hidden: right for at most two pairs
# says: It should be the mean
def preference_loss(model, reference, chosen, rejected, beta):
    def score(m, batch):
        return -F.cross_entropy(m(batch[0]).transpose(1, 2), batch[1], ignore_index=IGNORE, reduction="none").sum(1)

    with torch.no_grad():
        r = score(reference, chosen) - score(reference, rejected)
    losses = -F.logsigmoid(beta * (score(model, chosen) - score(model, rejected) - r))
    return (losses[0] + losses[-1]) / 2
