"""Right and wrong solutions of exercises/source/07_generation, for tests/test_exercises.py."""


# %% temperature right: the largest is subtracted
def temperature_probabilities(logits, temperature):
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return torch.softmax((logits - logits.max(-1, keepdim=True).values) / temperature, dim=-1)


# %% temperature right: exp by hand
def temperature_probabilities(scores, t):
    if t > 0:
        powers = torch.exp((scores - scores.amax(dim=-1, keepdim=True)) / t)
        return powers / powers.sum(dim=-1, keepdim=True)
    found = torch.zeros_like(scores)
    found.scatter_(-1, scores.argmax(-1, keepdim=True), 1)
    return found


# %% temperature right: in double precision
def temperature_probabilities(logits, temperature):
    x = logits.double()
    if not temperature:
        places = torch.arange(x.shape[-1])
        return (places == x.argmax(-1)[..., None]).to(logits.dtype)
    return ((x - x.amax(-1, keepdim=True)) / temperature).softmax(-1).to(logits.dtype)


# %% temperature wrong: plain division
# says: 0 / 0 is not greedy
def temperature_probabilities(logits, temperature):
    return (logits / temperature).softmax(-1)


# %% temperature wrong: 0 handled, tiny numbers not
# says: Subtract the largest logit
def temperature_probabilities(logits, temperature):
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    return (logits / temperature).softmax(-1)


# %% temperature wrong: multiplied
# says: You multiply
def temperature_probabilities(logits, temperature):
    return (logits * temperature).softmax(-1)


# %% temperature wrong: softmax over the first axis
# says: another axis
def temperature_probabilities(logits, temperature):
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    return ((logits - logits.max()) / temperature).softmax(0)


# %% temperature wrong: the index instead of a distribution
# says: instead of [3]
def temperature_probabilities(logits, temperature):
    if temperature == 0:
        return logits.argmax(-1)
    return ((logits - logits.amax(-1, keepdim=True)) / temperature).softmax(-1)


# %% temperature wrong: subtracts in place
# says: changed its input
def temperature_probabilities(logits, temperature):
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    logits -= logits.amax(-1, keepdim=True)
    return (logits / temperature).softmax(-1)


# %% temperature wrong: softmax first
# says: Half the temperature
def temperature_probabilities(logits, temperature):
    return logits.softmax(-1) / temperature


# %% temperature wrong: a tiny number in place of 0
# says: Subtract the largest logit
def temperature_probabilities(logits, temperature):
    return (logits / (temperature or 1e-6)).softmax(-1)


# %% temperature wrong: logits, not probabilities
# says: softmax is missing
def temperature_probabilities(logits, temperature):
    return (logits - logits.amax(-1, keepdim=True)) / (temperature or 1)


# %% temperature wrong, hidden: every largest logit is 1
# says: The first of the largest
def temperature_probabilities(logits, temperature):
    if temperature == 0:
        return (logits == logits.amax(-1, keepdim=True)).float()
    return ((logits - logits.amax(-1, keepdim=True)) / temperature).softmax(-1)


# %% top_p right: sorted, cut, put back
def top_p(probabilities, p):
    ranked, order = torch.sort(probabilities, descending=True, dim=1)
    stays = ranked.cumsum(1) - ranked < p
    stays[:, 0] = True
    mask = torch.zeros_like(stays).scatter(1, order, stays)
    kept = probabilities * mask
    return kept / kept.sum(1, keepdim=True)


# %% top_p right: loops over rows and tokens
def top_p(rows, p):
    found = torch.zeros_like(rows)
    for r, row in enumerate(rows.tolist()):
        together = 0.0
        for i in sorted(range(len(row)), key=lambda i: row[i], reverse=True):
            found[r, i] = row[i]
            together += row[i]
            if together >= p:
                break
        found[r] /= found[r].sum()
    return found


# %% top_p right: how many, by counting
def top_p(probabilities, p):
    ranked, order = probabilities.sort(-1, descending=True)
    needed = (ranked.cumsum(-1) < p).sum(-1) + 1  # [batch]
    place = order.argsort(-1)  # each token's rank
    kept = torch.where(place < needed[:, None], probabilities, 0.0)
    return kept / kept.sum(-1, keepdim=True)


# %% top_p wrong: without the token that crosses
# says: The token that crosses p
def top_p(probabilities, p):
    ranked, order = probabilities.sort(-1, descending=True)
    ranked = torch.where(ranked.cumsum(-1) <= p, ranked, 0.0)
    kept = torch.zeros_like(probabilities).scatter(-1, order, ranked)
    return kept / kept.sum(-1, keepdim=True)


# %% top_p wrong: one too many
# says: one token too many
def top_p(probabilities, p):
    ranked, order = probabilities.sort(-1, descending=True)
    ranked = torch.where(ranked.cumsum(-1) - ranked <= p, ranked, 0.0)
    kept = torch.zeros_like(probabilities).scatter(-1, order, ranked)
    return kept / kept.sum(-1, keepdim=True)


# %% top_p wrong: each by itself
# says: own probability
def top_p(probabilities, p):
    best = probabilities.amax(-1, keepdim=True)
    kept = torch.where((probabilities >= p) | (probabilities == best), probabilities, 0.0)
    return kept / kept.sum(-1, keepdim=True)


# %% top_p wrong: threshold, nothing left
# says: no token was kept
def top_p(probabilities, p):
    kept = torch.where(probabilities >= p, probabilities, 0.0)
    return kept / kept.sum(-1, keepdim=True)


# %% top_p wrong: in sorted order
# says: put each back in its place
def top_p(probabilities, p):
    ranked = probabilities.sort(-1, descending=True).values
    ranked = torch.where(ranked.cumsum(-1) - ranked < p, ranked, 0.0)
    return ranked / ranked.sum(-1, keepdim=True)


# %% top_p wrong: not divided again
# says: does not sum to one
def top_p(probabilities, p):
    ranked, order = probabilities.sort(-1, descending=True)
    ranked = torch.where(ranked.cumsum(-1) - ranked < p, ranked, 0.0)
    return torch.zeros_like(probabilities).scatter(-1, order, ranked)


# %% top_p wrong: sorted along the batch
# says: each row for itself
def top_p(probabilities, p):
    ranked, order = probabilities.sort(0, descending=True)
    ranked = torch.where(ranked.cumsum(0) - ranked < p, ranked, 0.0)
    kept = torch.zeros_like(probabilities).scatter(0, order, ranked)
    return kept / kept.sum(-1, keepdim=True)


# %% top_p wrong: writes into the probabilities
# says: changed its input
def top_p(probabilities, p):
    ranked, order = probabilities.sort(-1, descending=True)
    cut = torch.zeros_like(probabilities, dtype=torch.bool).scatter(-1, order, ranked.cumsum(-1) - ranked >= p)
    probabilities[cut] = 0
    return probabilities / probabilities.sum(-1, keepdim=True)


# %% top_p wrong: the first row decides for all
# says: each row for itself
def top_p(probabilities, p):
    ranked, order = probabilities.sort(-1, descending=True)
    needed = (ranked.cumsum(-1) < p).sum(-1)[0] + 1
    ranked[:, needed:] = 0
    kept = torch.zeros_like(probabilities).scatter(-1, order, ranked)
    return kept / kept.sum(-1, keepdim=True)


# %% top_p wrong, hidden: no more than two tokens
# says: The fewest tokens that reach p
def top_p(probabilities, p):
    ranked, order = probabilities.sort(-1, descending=True)
    ranked = torch.where(ranked.cumsum(-1) - ranked < p, ranked, 0.0)
    ranked[:, 2:] = 0
    kept = torch.zeros_like(probabilities).scatter(-1, order, ranked)
    return kept / kept.sum(-1, keepdim=True)


# %% penalize right: loop over a set
def penalize(logits, ids, penalty):
    found = logits.clone()
    for i in set(ids):
        if found[i] > 0:
            found[i] /= penalty
        else:
            found[i] *= penalty
    return found


# %% penalize right: a mask
def penalize(logits, ids, penalty):
    seen = torch.zeros_like(logits, dtype=torch.bool)
    seen[torch.tensor(ids, dtype=torch.long)] = True
    lower = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, lower, logits)


# %% penalize right: the smaller of two
def penalize(x, previous, factor):
    return torch.stack([
        torch.minimum(value / factor, value * factor) if token in previous else value
        for token, value in enumerate(x)
    ])


# %% penalize wrong: always divided
# says: *more* likely
def penalize(logits, ids, penalty):
    found = logits.clone()
    for i in set(ids):
        found[i] /= penalty
    return found


# %% penalize wrong: always multiplied
# says: A positive logit that is multiplied
def penalize(logits, ids, penalty):
    found = logits.clone()
    found[list(set(ids))] *= penalty
    return found


# %% penalize wrong: once for each time
# says: more than once
def penalize(logits, ids, penalty):
    found = logits.clone()
    for i in ids:
        found[i] = found[i] / penalty if found[i] > 0 else found[i] * penalty
    return found


# %% penalize wrong: in place
# says: changed its input
def penalize(logits, ids, penalty):
    for i in set(ids):
        logits[i] = logits[i] / penalty if logits[i] > 0 else logits[i] * penalty
    return logits


# %% penalize wrong: subtracted
# says: a factor, not subtracted
def penalize(logits, ids, penalty):
    found = logits.clone()
    for i in set(ids):
        found[i] -= penalty
    return found


# %% penalize wrong: everybody pays
# says: also those that have not occurred
def penalize(logits, ids, penalty):
    return torch.where(logits > 0, logits / penalty, logits * penalty)


# %% penalize wrong: only the last one
# says: Only the last token
def penalize(logits, ids, penalty):
    found = logits.clone()
    for i in ids[-1:]:
        found[i] = found[i] / penalty if found[i] > 0 else found[i] * penalty
    return found


# %% penalize wrong: fails before there is a token
# says: failed with
def penalize(logits, ids, penalty):
    found = logits.clone()
    seen = torch.tensor(ids)
    found[seen] = torch.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
    return found


# %% penalize wrong: the wrong ones
# says: The others have paid
def penalize(logits, ids, penalty):
    found = logits.clone()
    for i in range(len(logits)):
        if i not in ids:
            found[i] = found[i] / penalty if found[i] > 0 else found[i] * penalty
    return found


# %% penalize wrong, hidden: the penalty is always 2
# says: Only tokens of ids change
def penalize(logits, ids, penalty):
    found = logits.clone()
    for i in set(ids):
        found[i] = found[i] / 2 if found[i] > 0 else found[i] * 2
    return found


# %% cache_mask right: a triangle moved to the right
def cache_mask(new, total):
    return torch.ones(new, total, dtype=torch.bool).tril(total - new)


# %% cache_mask right: the last rows of the square
def cache_mask(new, total):
    square = torch.tril(torch.ones(total, total)) == 1
    return square[-new:]


# %% cache_mask right: two loops
def cache_mask(new, total):
    rows = []
    for query in range(total - new, total):
        rows.append([key <= query for key in range(total)])
    return torch.tensor(rows)


# %% cache_mask wrong: top left, as is_causal has it
# says: begins at the top left
def cache_mask(new, total):
    return torch.ones(new, total, dtype=torch.bool).tril()


# %% cache_mask wrong: without itself
# says: does not see itself
def cache_mask(new, total):
    return torch.ones(new, total, dtype=torch.bool).tril(total - new - 1)


# %% cache_mask wrong: one too far
# says: sees the one after it
def cache_mask(new, total):
    return torch.ones(new, total, dtype=torch.bool).tril(total - new + 1)


# %% cache_mask wrong: keys as rows
# says: rows are queries
def cache_mask(new, total):
    return torch.ones(total, new, dtype=torch.bool).triu(new - total)


# %% cache_mask wrong: True means forbidden
# says: other way round
def cache_mask(new, total):
    return ~torch.ones(new, total, dtype=torch.bool).tril(total - new)


# %% cache_mask wrong: numbers
# says: should be booleans
def cache_mask(new, total):
    return torch.ones(new, total).tril(total - new)


# %% cache_mask wrong: no mask among the new ones
# says: which it should predict
def cache_mask(new, total):
    return torch.ones(new, total, dtype=torch.bool)


# %% cache_mask wrong: ahead instead of back
# says: query looks back
def cache_mask(new, total):
    return torch.ones(new, total, dtype=torch.bool).triu(total - new)


# %% cache_mask wrong: the square only
# says: instead of [1, 4]
def cache_mask(new, total):
    return torch.ones(new, new, dtype=torch.bool).tril()


# %% cache_mask wrong, hidden: the visible ones by heart
# says: which it should predict
def cache_mask(new, total):
    mask = torch.ones(new, total, dtype=torch.bool)
    if new == total:
        mask = mask.tril()
    elif new == 2:
        mask[0, 3] = False
    return mask


# %% next_logits right: the last real position is gathered
@torch.no_grad()
def next_logits(model, prompts):
    lengths = [len(p) for p in prompts]
    ids = torch.zeros(len(prompts), max(lengths), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    logits = model(ids)
    last = torch.tensor(lengths)[:, None, None].expand(-1, 1, logits.shape[-1]) - 1
    return logits.gather(1, last)[:, 0]


# %% next_logits right: padding on the left, in a segment of its own
@torch.no_grad()
def next_logits(model, prompts):
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    segments = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    return model(ids, segment_ids=segments)[:, -1]


# %% next_logits right: all in one row, each a segment
@torch.no_grad()
def next_logits(model, prompts):
    row = [token for prompt in prompts for token in prompt]
    segments = [i for i, prompt in enumerate(prompts) for _ in prompt]
    logits = model(torch.tensor([row]), segment_ids=torch.tensor([segments]))[0]
    ends, end = [], -1
    for prompt in prompts:
        end += len(prompt)
        ends.append(end)
    return logits[ends]


# %% next_logits right: a list of rows, stacked
@torch.no_grad()
def next_logits(model, prompts):
    most = max(len(p) for p in prompts)
    logits = model(torch.tensor([p + [7] * (most - len(p)) for p in prompts]))
    return torch.stack([row[len(p) - 1] for row, p in zip(logits, prompts)])


# %% next_logits wrong: as the service has it
# says: after the padding
@torch.no_grad()
def next_logits(model, prompts):
    longest = max(len(prompt) for prompt in prompts)
    padded = [prompt + [0] * (longest - len(prompt)) for prompt in prompts]
    return model(torch.tensor(padded))[:, -1]


# %% next_logits wrong: left, without a segment
# says: unless it has a segment
@torch.no_grad()
def next_logits(model, prompts):
    longest = max(len(prompt) for prompt in prompts)
    padded = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
    return model(torch.tensor(padded))[:, -1]


# %% next_logits wrong: one by one
# says: called the model 2 times
@torch.no_grad()
def next_logits(model, prompts):
    return torch.cat([model(torch.tensor([prompt]))[:, -1] for prompt in prompts])


# %% next_logits wrong: the length is found by value
# says: taken for padding
@torch.no_grad()
def next_logits(model, prompts):
    longest = max(len(prompt) for prompt in prompts)
    padded = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts])
    last = torch.where(padded != 0, torch.arange(longest), 0).amax(1)
    return model(padded)[torch.arange(len(prompts)), last]


# %% next_logits wrong: one position too early
# says: one position too early
@torch.no_grad()
def next_logits(model, prompts):
    longest = max(len(prompt) for prompt in prompts)
    padded = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts])
    last = torch.tensor([max(len(prompt) - 2, 0) for prompt in prompts])
    return model(padded)[torch.arange(len(prompts)), last]


# %% next_logits wrong: sorted by length, and left so
# says: order of the lengths
@torch.no_grad()
def next_logits(model, prompts):
    prompts = sorted(prompts, key=len)
    longest = len(prompts[-1])
    padded = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts])
    last = torch.tensor([len(prompt) - 1 for prompt in prompts])
    return model(padded)[torch.arange(len(prompts)), last]


# %% next_logits wrong: pads the caller's lists
# says: changed its input
@torch.no_grad()
def next_logits(model, prompts):
    last = torch.tensor([len(prompt) - 1 for prompt in prompts])
    for prompt in prompts:
        while len(prompt) < max(map(len, prompts)):
            prompt.append(0)
    return model(torch.tensor(prompts))[torch.arange(len(prompts)), last]


# %% next_logits wrong: the first prompt's length for all
# says: what the prompt gives alone
@torch.no_grad()
def next_logits(model, prompts):
    longest = max(len(prompt) for prompt in prompts)
    padded = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts])
    return model(padded)[:, len(prompts[0]) - 1]


# %% next_logits wrong: indexes all pairs
# says: instead of [1, 13]
@torch.no_grad()
def next_logits(model, prompts):
    longest = max(len(prompt) for prompt in prompts)
    padded = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts])
    return model(padded)[:, [len(prompt) - 1 for prompt in prompts]]


# %% next_logits wrong: only prompts of equal length
# says: failed with ValueError
@torch.no_grad()
def next_logits(model, prompts):
    return model(torch.tensor(prompts))[:, -1]


# %% next_logits wrong, hidden: zeros at the start are thrown away
# says: was taken for padding
@torch.no_grad()
def next_logits(model, prompts):
    last = [len(prompt) - 1 for prompt in prompts]
    for i, prompt in enumerate(prompts):
        if len(prompt) > 1 and prompt[0] == 0 or len(set(prompt[1:])) == 1 and len(prompt) > 3:
            stripped = [token for token in prompt if token != 0] or [0]
            prompts = [*prompts[:i], stripped, *prompts[i + 1 :]]
            last[i] = len(stripped) - 1
    longest = max(map(len, prompts))
    padded = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts])
    return model(padded)[torch.arange(len(prompts)), torch.tensor(last)]


# %% speculate right: zip until they differ
@torch.no_grad()
def speculate(model, ids, draft, new):
    found = []
    while len(found) < new:
        text = ids + found
        guess = draft(text)
        choices = model(torch.tensor([text + guess]))[0, len(text) - 1 :].argmax(-1).tolist()
        for choice, guessed in zip(choices, guess + [None]):
            found.append(choice)
            if choice != guessed:
                break
    return found[:new]


# %% speculate right: counted with cumprod
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = torch.tensor(ids)
    while len(text) - len(ids) < new:
        guess = torch.tensor(draft(text.tolist()), dtype=torch.long)
        logits = model(torch.cat((text, guess))[None])[0]
        choices = logits[-len(guess) - 1 :].argmax(-1)
        agreed = int((choices[: len(guess)] == guess).long().cumprod(0).sum())
        text = torch.cat((text, choices[: agreed + 1]))
    return text[len(ids) :][:new].tolist()


# %% speculate right: recursion
@torch.no_grad()
def speculate(model, ids, draft, new):
    if new <= 0:
        return []
    guess = draft(ids)[: new - 1]
    everywhere = model(torch.tensor([ids + guess])).argmax(-1)[0].tolist()
    chosen = everywhere[len(ids) - 1 :]
    n = next((i for i, token in enumerate(guess) if token != chosen[i]), len(guess))
    tokens = chosen[: n + 1]
    return tokens + speculate(model, ids + tokens, draft, new - len(tokens))


# %% speculate wrong: believes the draft
# says: Ask the model first
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    while len(text) < len(ids) + new:
        guess = draft(text)
        choices = model(torch.tensor([text + guess]))[0, len(text) - 1 :].argmax(-1).tolist()
        text += guess + choices[-1:]
    return text[len(ids) : len(ids) + new]


# %% speculate wrong: does not use the draft
# says: are enough
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    for _ in range(new):
        text.append(model(torch.tensor([text]))[0, -1].argmax().item())
    return text[len(ids) :]


# %% speculate wrong: one position too late
# says: is wrong
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    while len(text) < len(ids) + new:
        guess = draft(text)
        choices = model(torch.tensor([text + guess + [0]]))[0, len(text) :].argmax(-1).tolist()
        agreed = 0
        while agreed < len(guess) and guess[agreed] == choices[agreed]:
            agreed += 1
        text += choices[: agreed + 1]
    return text[len(ids) : len(ids) + new]


# %% speculate wrong: no own choice when all agree
# says: are enough
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    while len(text) < len(ids) + new:
        guess = draft(text)
        choices = model(torch.tensor([text + guess]))[0, len(text) - 1 :].argmax(-1).tolist()
        agreed = 0
        while agreed < len(guess) and guess[agreed] == choices[agreed]:
            agreed += 1
        text += choices[: max(1, min(agreed + 1, len(guess)))]
    return text[len(ids) : len(ids) + new]


# %% speculate wrong: takes what agrees later too
# says: nothing that follows counts
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    while len(text) < len(ids) + new:
        guess = draft(text)
        choices = model(torch.tensor([text + guess]))[0, len(text) - 1 :].argmax(-1).tolist()
        agreed = [c for c, g in zip(choices, guess) if c == g]
        text += agreed or choices[:1]
    return text[len(ids) : len(ids) + new]


# %% speculate wrong: more than was asked for
# says: cut at
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    while len(text) < len(ids) + new:
        guess = draft(text)
        choices = model(torch.tensor([text + guess]))[0, len(text) - 1 :].argmax(-1).tolist()
        agreed = 0
        while agreed < len(guess) and guess[agreed] == choices[agreed]:
            agreed += 1
        text += choices[: agreed + 1]
    return text[len(ids) :]


# %% speculate wrong: appends to the caller's list
# says: changed its input
@torch.no_grad()
def speculate(model, ids, draft, new):
    start = len(ids)
    while len(ids) < start + new:
        guess = draft(ids)
        choices = model(torch.tensor([ids + guess]))[0, len(ids) - 1 :].argmax(-1).tolist()
        agreed = 0
        while agreed < len(guess) and guess[agreed] == choices[agreed]:
            agreed += 1
        ids += choices[: agreed + 1]
    return ids[start : start + new]


# %% speculate wrong: the prompt is in the answer
# says: the prompt is in it
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    while len(text) < len(ids) + new:
        text.append(model(torch.tensor([text]))[0, -1].argmax().item())
    return text[:new]


# %% speculate wrong: throws a guess away that is partly wrong
# says: are enough
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    while len(text) < len(ids) + new:
        guess = draft(text)
        choices = model(torch.tensor([text + guess]))[0, len(text) - 1 :].argmax(-1).tolist()
        text += choices if choices[:-1] == guess else choices[:1]
    return text[len(ids) : len(ids) + new]


# %% speculate wrong, hidden: guesses of three tokens only
# says: are enough
@torch.no_grad()
def speculate(model, ids, draft, new):
    text = list(ids)
    while len(text) < len(ids) + new:
        guess = draft(text)
        guess = guess if len(guess) == 3 else []
        choices = model(torch.tensor([text + guess]))[0, len(text) - 1 :].argmax(-1).tolist()
        agreed = 0
        while agreed < len(guess) and guess[agreed] == choices[agreed]:
            agreed += 1
        text += choices[: agreed + 1]
    return text[len(ids) : len(ids) + new]
