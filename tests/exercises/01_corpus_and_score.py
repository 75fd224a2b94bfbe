"""Right and wrong solutions of the exercises in 01_corpus_and_score, for test_exercises.py."""


# %% entropy right: the product of a plot's alternatives
def entropy(plots):
    total = math.log2(len(plots))
    for places in plots:
        total += math.log2(math.prod(places)) / len(plots)
    return total


# %% entropy right: in nats, changed at the end
def entropy(plots):
    mean = 0.0
    for places in plots:
        for alternatives in places:
            mean += math.log(alternatives)
    return (mean / len(plots) + math.log(len(plots))) / math.log(2)


# %% entropy right: from the probability of each story
def entropy(plots):
    bits = 0
    for places in plots:
        stories = math.prod(places)
        p = 1 / len(plots) / stories
        bits -= stories * p * math.log2(p)
    return bits


# %% entropy wrong: forgets the choice of the plot
# says: which of the two was told is a choice too
def entropy(plots):
    return sum(sum(math.log2(n) for n in places) for places in plots) / len(plots)


# %% entropy wrong: takes all stories as equally likely
# says: they are not equally likely
def entropy(plots):
    return math.log2(sum(math.prod(places) for places in plots))


# %% entropy wrong: natural logarithm
# says: in nats
def entropy(plots):
    return math.log(len(plots)) + sum(math.log(n) for places in plots for n in places) / len(plots)


# %% entropy wrong: adds the plots up
# says: only one of them is told
def entropy(plots):
    return math.log2(len(plots)) + sum(math.log2(n) for places in plots for n in places)


# %% entropy wrong: the visible example by heart
# says: 4 instead of 1
def entropy(plots):
    return 4.0


# %% entropy wrong: empties its input
# says: changed its input
def entropy(plots):
    count, bits = len(plots), math.log2(len(plots))
    while plots:
        bits += sum(math.log2(n) for n in plots.pop()) / count
    return bits


# %% entropy wrong: only the first plot
# says: 4 instead of 3
def entropy(plots):
    return math.log2(len(plots)) + sum(math.log2(n) for n in plots[0])


# %% score right: loops
def score(documents):
    bits = size = 0
    for text, probabilities in documents:
        for p in probabilities:
            bits += math.log2(1 / p)
        size += len(text.encode())
    return bits / size


# %% score right: tensors, and one joined text
def score(documents):
    joined = "".join(text for text, _ in documents)
    nats = torch.tensor([p for _, ps in documents for p in ps], dtype=torch.float64).log().sum()
    return -nats.item() / math.log(2) / len(bytes(joined, "utf-8"))


# %% score right: a list of surprises
def score(items):
    texts, probabilities = zip(*items)
    surprise = [sum(-math.log(p, 2) for p in ps) for ps in probabilities]
    return sum(surprise) / sum(map(len, (text.encode("utf-8") for text in texts)))


# %% score wrong: divides by characters
# says: You divided by characters
def score(documents):
    bits = -sum(math.log2(p) for _, ps in documents for p in ps)
    return bits / sum(len(text) for text, _ in documents)


# %% score wrong: per token
# says: two bits per token
def score(documents):
    ps = [p for _, ps in documents for p in ps]
    return -sum(math.log2(p) for p in ps) / len(ps)


# %% score wrong: natural logarithm
# says: in nats
def score(documents):
    nats = -sum(math.log(p) for _, ps in documents for p in ps)
    return nats / sum(len(text.encode()) for text, _ in documents)


# %% score wrong: sign forgotten
# says: surprise is minus that
def score(documents):
    bits = sum(math.log2(p) for _, ps in documents for p in ps)
    return bits / sum(len(text.encode()) for text, _ in documents)


# %% score wrong: mean of the documents' scores
# says: You averaged the documents' scores
def score(documents):
    scores = [-sum(map(math.log2, ps)) / len(text.encode()) for text, ps in documents]
    return sum(scores) / len(scores)


# %% score wrong, hidden: logarithm of a product
# says: failed with ValueError
def score(documents):
    bits = -sum(math.log2(math.prod(ps)) for _, ps in documents)
    return bits / sum(len(text.encode()) for text, _ in documents)


# %% score wrong, hidden: logarithm of a product, as a tensor
# says: add up logarithms
def score(documents):
    product = torch.tensor([p for _, ps in documents for p in ps], dtype=torch.float64).prod()
    return -product.log2().item() / sum(len(text.encode()) for text, _ in documents)


# %% score wrong: only the first document
# says: Only the first document
def score(documents):
    text, ps = documents[0]
    return -sum(map(math.log2, ps)) / len(text.encode())


# %% score wrong: perplexity
# says: That is the perplexity
def score(documents):
    ps = [p for _, ps in documents for p in ps]
    return 2 ** (-sum(map(math.log2, ps)) / len(ps))


# %% score wrong: by heart
# says: 1 instead of 0.25
def score(documents):
    return 1.0


# %% split right: groups of conversations, shuffled
def split(conversations, held_out, seed):
    groups = {}
    for c in conversations:
        groups.setdefault(str(c[:-1]), []).append(c)
    names = list(groups)
    Random64(seed).shuffle(names)
    valid = [c for name in names[:held_out] for c in groups[name]]
    train = [c for name in names[held_out:] for c in groups[name]]
    return train, valid


# %% split right: tuples as keys
def split(chats, n, seed):
    keys = [tuple((m["role"], m["content"]) for m in chat[:-1]) for chat in chats]
    unique = []
    for key in keys:
        if key not in unique:
            unique.append(key)
    chosen = Random64(seed).sample(unique, n)
    parts = [], []
    for key, chat in zip(keys, chats):
        parts[key in chosen].append(chat)
    return parts


# %% split right: draws until there are enough
def split(conversations, held_out, seed):
    rng, prompts = Random64(seed), sorted({json.dumps(c[:-1]) for c in conversations})
    chosen = set()
    while len(chosen) < held_out:
        chosen.add(rng.choice(prompts))
    kept, exam = [], []
    for c in conversations:
        (exam if json.dumps(c[:-1]) in chosen else kept).append(c)
    return [kept, exam]


# %% split wrong: shuffles conversations
# says: The split leaks
def split(conversations, held_out, seed):
    shuffled = list(conversations)
    Random64(seed).shuffle(shuffled)
    return shuffled[held_out:], shuffled[:held_out]


# %% split wrong: keys with the reply in them
# says: The split leaks: the prompt 'Hi!'
def split(conversations, held_out, seed):
    chosen = Random64(seed).sample(sorted({json.dumps(c) for c in conversations}), held_out)
    return [c for c in conversations if json.dumps(c) not in chosen], [
        c for c in conversations if json.dumps(c) in chosen
    ]


# %% split wrong: only the last question as the prompt
# says: different prompts, not 2
def split(conversations, held_out, seed):
    last = sorted({c[-2]["content"] for c in conversations})
    chosen = Random64(seed).sample(last, held_out)
    return [c for c in conversations if c[-2]["content"] not in chosen], [
        c for c in conversations if c[-2]["content"] in chosen
    ]


# %% split wrong: the first prompts in the alphabet
# says: drew the same prompts
def split(conversations, held_out, seed):
    chosen = sorted({json.dumps(c[:-1]) for c in conversations})[:held_out]
    return [c for c in conversations if json.dumps(c[:-1]) not in chosen], [
        c for c in conversations if json.dumps(c[:-1]) in chosen
    ]


# %% split wrong: always the same seed
# says: drew the same prompts
def split(conversations, held_out, seed):
    chosen = Random64(0).sample(sorted({json.dumps(c[:-1]) for c in conversations}), held_out)
    return [c for c in conversations if json.dumps(c[:-1]) not in chosen], [
        c for c in conversations if json.dumps(c[:-1]) in chosen
    ]


# %% split wrong: shuffles its input
# says: changed its input
def split(conversations, held_out, seed):
    Random64(seed).shuffle(conversations)
    prompts = list(dict.fromkeys(json.dumps(c[:-1]) for c in conversations))[:held_out]
    return [c for c in conversations if json.dumps(c[:-1]) not in prompts], [
        c for c in conversations if json.dumps(c[:-1]) in prompts
    ]


# %% split wrong: one conversation a prompt
# says: A conversation was lost
def split(conversations, held_out, seed):
    by_prompt = {json.dumps(c[:-1]): c for c in conversations}
    chosen = Random64(seed).sample(sorted(by_prompt), held_out)
    return [c for p, c in by_prompt.items() if p not in chosen], [
        c for p, c in by_prompt.items() if p in chosen
    ]


# %% split wrong: one prompt too many
# says: different prompts, not 1
def split(conversations, held_out, seed):
    prompts = sorted({json.dumps(c[:-1]) for c in conversations})
    Random64(seed).shuffle(prompts)
    chosen = prompts[: held_out + 1]
    return [c for c in conversations if json.dumps(c[:-1]) not in chosen], [
        c for c in conversations if json.dumps(c[:-1]) in chosen
    ]


# %% split wrong: validation doubled
# says: came twice
def split(conversations, held_out, seed):
    chosen = Random64(seed).sample(sorted({json.dumps(c[:-1]) for c in conversations}), held_out)
    valid = [c for p in chosen for c in conversations if json.dumps(c[:-1]) == p]
    return [c for c in conversations if json.dumps(c[:-1]) not in chosen], valid + valid


# %% split wrong, hidden: a seed of its own
# says: One seed gave two splits
_calls = []


def split(conversations, held_out, seed):
    _calls.append(0)
    chosen = Random64(len(_calls)).sample(
        sorted({json.dumps(c[:-1]) for c in conversations}), held_out
    )
    return [c for c in conversations if json.dumps(c[:-1]) not in chosen], [
        c for c in conversations if json.dumps(c[:-1]) in chosen
    ]


# %% noise right: a table for each context
def adaptive_bits(data, order):
    follow, bits = {}, 0.0
    for i in range(len(data)):
        context = data[max(0, i - order) : i]
        table = follow.setdefault(context, [0] * 256)
        p = (table[data[i]] + 1 / 256) / (sum(table) + 1)
        table[data[i]] += 1
        bits += -math.log2(p)
    return bits


# %% noise right: pairs as keys
def adaptive_bits(data, order):
    counts, totals, bits = Counter(), Counter(), 0.0
    for i, byte in enumerate(data):
        context = bytes(data[max(i - order, 0) : i])
        bits += math.log2((totals[context] + 1) / (counts[context, byte] + 1 / 256))
        counts[context, byte] += 1
        totals[context] += 1
    return bits


# %% noise right: searches the past
def adaptive_bits(data, order):
    def surprise(i):
        context = data[max(0, i - order) : i]
        before = [data[j] for j in range(i) if data[max(0, j - order) : j] == context]
        return -math.log2((before.count(data[i]) + 1 / 256) / (len(before) + 1))

    return sum(map(surprise, range(len(data))), 0.0)


# %% noise wrong: the colleague's version
# says: It had been counted before it was asked for
def adaptive_bits(data, order):
    return colleague_bits(data, order)


# %% noise wrong: takes one from the count, not from the total
# says: all 256 are equally likely
def adaptive_bits(data, order):
    counts, bits = defaultdict(Counter), 0.0
    for i, byte in enumerate(data):
        seen = counts[data[max(0, i - order) : i]]
        seen[byte] += 1
        bits -= math.log2((seen[byte] - 1 + 1 / 256) / (seen.total() + 1))
    return bits


# %% noise wrong: clamped at eight bits
# says: what was read must count
def adaptive_bits(data, order):
    return max(colleague_bits(data, order), 8.0 * len(data))


# %% noise wrong: eight bits for every byte
# says: what was read must count
def adaptive_bits(data, order):
    return 8.0 * len(data)


# %% noise wrong: counts the file first
# says: It had been counted before it was asked for
def adaptive_bits(data, order):
    counts, bits = defaultdict(Counter), 0.0
    for i, byte in enumerate(data):
        counts[data[max(0, i - order) : i]][byte] += 1
    for i, byte in enumerate(data):
        seen = counts[data[max(0, i - order) : i]]
        bits -= math.log2((seen[byte] + 1 / 256) / (seen.total() + 1))
    return bits


# %% noise wrong: context one byte short
# says: its context is the one before it
def adaptive_bits(data, order):
    counts, bits = defaultdict(Counter), 0.0
    for i, byte in enumerate(data):
        seen = counts[data[max(0, i - order + 1) : i]]
        bits -= math.log2((seen[byte] + 1 / 256) / (seen.total() + 1))
        seen[byte] += 1
    return bits


# %% noise wrong: context lost at the beginning
# says: Three different contexts
def adaptive_bits(data, order):
    counts, bits = defaultdict(Counter), 0.0
    for i, byte in enumerate(data):
        seen = counts[data[i - order : i]]
        bits -= math.log2((seen[byte] + 1 / 256) / (seen.total() + 1))
        seen[byte] += 1
    return bits


# %% noise wrong: no share for the unseen
# says: failed with ZeroDivisionError
def adaptive_bits(data, order):
    counts, bits = defaultdict(Counter), 0.0
    for i, byte in enumerate(data):
        seen = counts[data[max(0, i - order) : i]]
        bits -= math.log2((seen[byte] + 1 / 256) / seen.total())
        seen[byte] += 1
    return bits


# %% bounded right: by its share
def bounded(probabilities, most_bits):
    share = len(probabilities) / 2**most_bits
    return [(1 - share) * p + share / len(probabilities) for p in probabilities]


# %% bounded right: one expression
def bounded(ps, most):
    mixed = []
    for p in ps:
        mixed.append(p + (1 / len(ps) - p) * len(ps) * 0.5**most)
    return mixed


# %% bounded right: lerp
def bounded(probabilities, most_bits):
    p = torch.tensor(probabilities, dtype=torch.float64)
    uniform = torch.full_like(p, 1 / len(p))
    return torch.lerp(p, uniform, len(p) * 2.0**-most_bits).tolist()


# %% bounded wrong: clips from below
# says: add up to 1.375
def bounded(probabilities, most_bits):
    return [max(p, 2.0**-most_bits) for p in probabilities]


# %% bounded wrong: clips and divides
# says: A symbol costs 3.459 bits
def bounded(probabilities, most_bits):
    raised = [max(p, 2.0**-most_bits) for p in probabilities]
    return [p / sum(raised) for p in raised]


# %% bounded wrong: adds without taking
# says: add up to 1.5
def bounded(probabilities, most_bits):
    return [p + 2.0**-most_bits for p in probabilities]


# %% bounded wrong: 256 symbols whatever comes
# says: add up to
def bounded(probabilities, most_bits):
    share = 256 * 2.0**-most_bits
    return [(1 - share) * p + share / 256 for p in probabilities]


# %% bounded wrong: uniform alone
# says: the uniform distribution alone
def bounded(probabilities, most_bits):
    return [1 / len(probabilities)] * len(probabilities)


# %% bounded wrong: in place
# says: changed its input
def bounded(probabilities, most_bits):
    least = 2.0**-most_bits
    kept = 1 - len(probabilities) * least
    for i, p in enumerate(probabilities):
        probabilities[i] = kept * p + least
    return probabilities


# %% bounded wrong: by heart
# says: with one probability for each symbol
def bounded(probabilities, most_bits):
    return [0.625, 0.125, 0.125, 0.125]


# %% bounded wrong: share not multiplied by the number of symbols
# says: A symbol costs
def bounded(probabilities, most_bits):
    share = 2.0**-most_bits
    return [(1 - share) * p + share / len(probabilities) for p in probabilities]


# %% compress right: low and high
def encode(steps):
    low, high = Fraction(0), Fraction(1)
    for start, end, total in steps:
        low, high = low + (high - low) * Fraction(start, total), low + (high - low) * Fraction(
            end, total
        )
    n = 0
    while Fraction(math.ceil(low * 2**n) + 1, 2**n) > high:
        n += 1
    return f"{math.ceil(low * 2**n):0{n}b}" if n else ""


# %% compress right: integers
def encode(steps):
    low, width, whole = 0, 1, 1
    for start, end, total in steps:
        low, width, whole = low * total + width * start, width * (end - start), whole * total
    n = 0
    while True:
        k = -(-(low << n) // whole)
        if (k + 1) * whole <= (low + width) << n:
            return bin(k)[2:].zfill(n) if n else ""
        n += 1


# %% compress right: tries two candidates
def encode(steps):
    low, width = Fraction(0), Fraction(1)
    for start, end, total in steps:
        part = width / total
        low, width = low + start * part, (end - start) * part
    for n in range(10**6):
        candidates = [math.floor(low * 2**n), math.floor(low * 2**n) + 1]
        for k in candidates:
            if low <= Fraction(k, 2**n) and Fraction(k + 1, 2**n) <= low + width:
                return "".join(str(k >> i & 1) for i in range(n - 1, -1, -1))


# %% compress wrong: narrows before it moves
# says: the interval
def encode(steps):
    low, width = Fraction(0), Fraction(1)
    for start, end, total in steps:
        width *= Fraction(end - start, total)
        low += width * Fraction(start, total)
    n = 0
    while Fraction(math.ceil(low * 2**n) + 1, 2**n) > low + width:
        n += 1
    return format(math.ceil(low * 2**n), f"0{n}b") if n else ""


# %% compress wrong: only the beginning inside
# says: can lead past its end
def encode(steps):
    low, width = Fraction(0), Fraction(1)
    for start, end, total in steps:
        low += width * Fraction(start, total)
        width *= Fraction(end - start, total)
    n = 0
    while Fraction(math.ceil(low * 2**n), 2**n) >= low + width:
        n += 1
    return format(math.ceil(low * 2**n), f"0{n}b") if n else ""


# %% compress wrong: rounds down
# says: lies before the interval
def encode(steps):
    low, width = Fraction(0), Fraction(1)
    for start, end, total in steps:
        low += width * Fraction(start, total)
        width *= Fraction(end - start, total)
    n = 0
    while Fraction(int(low * 2**n) + 1, 2**n) > low + width:
        n += 1
    return format(int(low * 2**n), f"0{n}b") if n else ""


# %% compress wrong: zeros at the front lost
# says: the interval
def encode(steps):
    low, width = Fraction(0), Fraction(1)
    for start, end, total in steps:
        low += width * Fraction(start, total)
        width *= Fraction(end - start, total)
    n = 0
    while Fraction(math.ceil(low * 2**n) + 1, 2**n) > low + width:
        n += 1
    return bin(math.ceil(low * 2**n))[2:] if n else ""


# %% compress wrong: floats
# says: encode([(1, 2, 3)] * 100)
def encode(steps):
    low, width = 0.0, 1.0
    for start, end, total in steps:
        low += width * start / total
        width *= (end - start) / total
    n = 0
    while math.ceil(low * 2**n) + 1 > (low + width) * 2**n and n < 900:
        n += 1
    return format(math.ceil(low * 2**n), f"0{n}b") if n else ""


# %% compress wrong: whole bytes
# says: digits would do, you wrote
def encode(steps):
    low, width = Fraction(0), Fraction(1)
    for start, end, total in steps:
        low += width * Fraction(start, total)
        width *= Fraction(end - start, total)
    n = 8
    while Fraction(math.ceil(low * 2**n) + 1, 2**n) > low + width:
        n += 8
    return format(math.ceil(low * 2**n), f"0{n}b")


# %% compress wrong: steps in the wrong order
# says: the interval
def encode(steps):
    low, width = Fraction(0), Fraction(1)
    for start, end, total in reversed(steps):
        low += width * Fraction(start, total)
        width *= Fraction(end - start, total)
    n = 0
    while Fraction(math.ceil(low * 2**n) + 1, 2**n) > low + width:
        n += 1
    return format(math.ceil(low * 2**n), f"0{n}b") if n else ""


# %% compress wrong: one bit a step
# says: the interval
def encode(steps):
    return "".join("1" if 2 * start >= total else "0" for start, end, total in steps)


# %% entropy wrong, hidden: the visible examples by heart
# says: A place with n alternatives
def entropy(plots):
    return {1: 1.0, 4: 4.0}.get(sum(map(len, plots)), 3.0)


# %% noise wrong, hidden: never looks back more than two bytes
# says: Each byte is predicted from those before it
def adaptive_bits(data, order):
    counts, bits = defaultdict(Counter), 0.0
    for i, byte in enumerate(data):
        seen = counts[data[max(0, i - min(order, 2)) : i]]
        bits -= math.log2((seen[byte] + 1 / 256) / (seen.total() + 1))
        seen[byte] += 1
    return bits


# %% bounded wrong, hidden: right for few symbols only
# says: A symbol costs
def bounded(probabilities, most_bits):
    least = 2.0**-most_bits
    kept = 1 - len(probabilities) * least
    if len(probabilities) > 100:
        kept, least = 1 - least, least / len(probabilities)
    return [kept * p + least for p in probabilities]


# %% compress wrong, hidden: fractions of limited size
# says: returned None
def encode(steps):
    low, width = Fraction(0), Fraction(1)
    for start, end, total in steps:
        low = (low + width * Fraction(start, total)).limit_denominator(2**300)
        width = (width * Fraction(end - start, total)).limit_denominator(2**300)
    for n in range(1200):
        k = math.ceil(low * 2**n)
        if Fraction(k + 1, 2**n) <= low + width:
            return format(k, f"0{n}b") if n else ""
