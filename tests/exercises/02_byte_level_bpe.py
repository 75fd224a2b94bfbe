"""Right and wrong solutions of the exercises in 02_byte_level_bpe, for test_exercises.py."""


# %% count right: indices
def count_pairs(items):
    result = {}
    for word, n in items:
        for i in range(len(word) - 1):
            key = (word[i], word[i + 1])
            result[key] = result.get(key, 0) + n
    return result


# %% count right: one counter a word, scaled
def count_pairs(words):
    total = defaultdict(int)
    for tokens, times in words:
        for pair, n in Counter(zip(tokens[:-1], tokens[1:])).items():
            total[pair] += n * times
    return dict(total)


# %% count right: a comprehension
def count_pairs(words):
    pairs = [((l, r), n) for w, n in words for l, r in zip(w, w[1:])]
    return {pair: sum(n for other, n in pairs if other == pair) for pair, _ in pairs}


# %% count wrong: weight forgotten
# says: The weight was forgotten
def count_pairs(words):
    return dict(Counter(pair for word, _ in words for pair in zip(word, word[1:])))


# %% count wrong: last pair missing
# says: The last pair is missing
def count_pairs(words):
    counts = Counter()
    for word, n in words:
        for i in range(len(word) - 2):
            counts[word[i], word[i + 1]] += n
    return dict(counts)


# %% count wrong: pairs without an order
# says: are different pairs
def count_pairs(words):
    counts = Counter()
    for word, n in words:
        for pair in zip(word, word[1:]):
            counts[tuple(sorted(pair))] += n
    return dict(counts)


# %% count wrong: overwrites instead of adding
# says: took the place of the first one's
def count_pairs(words):
    counts = {}
    for word, n in words:
        for pair in zip(word, word[1:]):
            counts[pair] = n
    return counts


# %% count wrong: each pair once a word
# says: at the first and at the second place
def count_pairs(words):
    counts = Counter()
    for word, n in words:
        for pair in set(zip(word, word[1:])):
            counts[pair] += n
    return dict(counts)


# %% count wrong: takes the words apart
# says: changed its input
def count_pairs(words):
    counts = Counter()
    for word, n in words:
        while len(word) > 1:
            counts[word[-2], word[-1]] += n
            word.pop()
    return dict(counts)


# %% count wrong, hidden: only the first two words
# says: Forty words
def count_pairs(words):
    counts = Counter()
    for word, n in words[:2]:
        for pair in zip(word, word[1:]):
            counts[pair] += n
    return dict(counts)


# %% encode right: every merge in turn
def encode_word(tokens, ranks):
    word = tuple(tokens)
    for left, right_ in sorted(ranks, key=ranks.get):
        out = []
        for token in word:
            if out and out[-1] == left and token == right_:
                out[-1] = left + token
            else:
                out.append(token)
        word = tuple(out)
    return list(word)


# %% encode right: one place at a time
def encode_word(tokens, ranks):
    word = tokens[:]
    while True:
        best = min(
            range(len(word) - 1),
            key=lambda i: (ranks.get((word[i], word[i + 1]), 10**9), i),
            default=None,
        )
        if best is None or (word[best], word[best + 1]) not in ranks:
            return word
        word[best : best + 2] = [word[best] + word[best + 1]]


# %% encode right: recursion
def encode_word(tokens, ranks):
    known = {pair: ranks[pair] for pair in zip(tokens, tokens[1:]) if pair in ranks}
    if not known:
        return list(tokens)
    pair = sorted(known, key=known.get)[0]
    i = list(zip(tokens, tokens[1:])).index(pair)
    return encode_word([*tokens[:i], b"".join(pair), *tokens[i + 2 :]], ranks)


# %% encode wrong: 0 is taken for no rank
# says: 0 is a rank
def encode_word(tokens, ranks):
    word = list(tokens)
    while known := [i for i in range(len(word) - 1) if ranks.get((word[i], word[i + 1]))]:
        i = min(known, key=lambda i: ranks[word[i], word[i + 1]])
        word[i : i + 2] = [word[i] + word[i + 1]]
    return word


# %% encode wrong: from the left, whatever fits
# says: b+c was learned before it
def encode_word(tokens, ranks):
    word, i = list(tokens), 0
    while i < len(word) - 1:
        if (word[i], word[i + 1]) in ranks:
            word[i : i + 2] = [word[i] + word[i + 1]]
            i = 0
        else:
            i += 1
    return word


# %% encode wrong: the merge learned last goes first
# says: b+c was learned before it
def encode_word(tokens, ranks):
    word = list(tokens)
    while known := [i for i in range(len(word) - 1) if (word[i], word[i + 1]) in ranks]:
        i = max(known, key=lambda i: (ranks[word[i], word[i + 1]], -i))
        word[i : i + 2] = [word[i] + word[i + 1]]
    return word


# %% encode wrong: only the first place
# says: Only the first place was merged
def encode_word(tokens, ranks):
    word = list(tokens)
    for pair in sorted(ranks, key=ranks.get):
        places = [i for i in range(len(word) - 1) if (word[i], word[i + 1]) == pair]
        if places:
            word[places[0] : places[0] + 2] = [pair[0] + pair[1]]
    return word


# %% encode wrong: stops after one merge
# says: You stopped after one merge
def encode_word(tokens, ranks):
    known = [pair for pair in zip(tokens, tokens[1:]) if pair in ranks]
    if not known:
        return list(tokens)
    pair, merged, i = min(known, key=ranks.get), [], 0
    while i < len(tokens):
        fits = tuple(tokens[i : i + 2]) == pair
        merged.append(pair[0] + pair[1] if fits else tokens[i])
        i += 1 + fits
    return merged


# %% encode wrong: from right to left
# says: from right to left
def encode_word(tokens, ranks):
    word = list(tokens)
    while known := [i for i in range(len(word) - 1) if (word[i], word[i + 1]) in ranks]:
        i = min(known, key=lambda i: (ranks[word[i], word[i + 1]], -i))
        word[i : i + 2] = [word[i] + word[i + 1]]
    return word


# %% encode wrong: merges in the list it was given
# says: changed its input
def encode_word(tokens, ranks):
    while known := [i for i in range(len(tokens) - 1) if (tokens[i], tokens[i + 1]) in ranks]:
        i = min(known, key=lambda i: ranks[tokens[i], tokens[i + 1]])
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
    return tokens


# %% encode wrong, hidden: gives up after four merges
# says: Merge by rank
def encode_word(tokens, ranks):
    word = list(tokens)
    for _ in range(4):
        known = [i for i in range(len(word) - 1) if (word[i], word[i + 1]) in ranks]
        if known:
            i = min(known, key=lambda i: ranks[word[i], word[i + 1]])
            word[i : i + 2] = [word[i] + word[i + 1]]
    return word


# %% order right: ids instead of bytes
def train(texts, count):
    tokens = [bytes([byte]) for byte in byte_order()]
    place = {token: i for i, token in enumerate(tokens)}
    words = []
    for text in texts:
        for word in split_words(text):
            words.append([place[bytes([b])] for b in word.encode("utf-8")])
    merges = []
    for new in range(256, 256 + count):
        counts = Counter()
        for word in words:
            counts.update(zip(word, word[1:]))
        if not counts:
            break
        most = max(counts.values())
        left, right_ = min(pair for pair, n in counts.items() if n == most)
        tokens.append(tokens[left] + tokens[right_])
        merges.append((tokens[left], tokens[right_]))
        for j, word in enumerate(words):
            i = 0
            while i < len(word) - 1:
                if word[i] == left and word[i + 1] == right_:
                    word[i : i + 2] = [new]
                i += 1
    return merges


# %% order right: distinct words with weights
def train(documents, n):
    weights = Counter(word for text in documents for word in split_words(text))
    pieces = {word: [bytes([b]) for b in word.encode()] for word in weights}
    ids, merges = [bytes([byte]) for byte in byte_order()], []
    while len(merges) < n:
        counts = Counter()
        for word, weight in weights.items():
            for pair in zip(pieces[word], pieces[word][1:]):
                counts[pair] += weight
        if not counts:
            return merges
        best = sorted(counts, key=lambda p: (-counts[p], ids.index(p[0]), ids.index(p[1])))[0]
        pieces = {word: merge_pair(tokens, best) for word, tokens in pieces.items()}
        ids.append(b"".join(best))
        merges.append(best)
    return merges


# %% order right: sorted by id before most_common
def train(texts, count):
    words = [[bytes([b]) for b in word.encode()] for text in texts for word in split_words(text)]
    ids, merges = {bytes([byte]): i for i, byte in enumerate(byte_order())}, []
    for _ in range(count):
        pairs = [pair for word in words for pair in zip(word, word[1:])]
        pairs.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        if pairs:
            best = Counter(pairs).most_common(1)[0][0]
            ids[best[0] + best[1]] = len(ids)
            merges.append(best)
            words = [merge_pair(word, best) for word in words]
    return merges


# %% order wrong: the colleague's program
# says: a merge reached from one text into the next
def train(texts, count):
    return colleague_train(texts, count)


# %% order wrong: texts apart, ties as they come
# says: You took the pair that was met first
def train(texts, count):
    words = [[bytes([b]) for b in word.encode()] for text in texts for word in split_words(text)]
    merges = []
    while len(merges) < count:
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not counts:
            break
        best, _ = counts.most_common(1)[0]
        merges.append(best)
        words = [merge_pair(word, best) for word in words]
    return merges


# %% order wrong: ties by id, texts still joined
# says: a merge reached from one text into the next
def train(texts, count):
    return train_bpe(["".join(texts)], 256 + count)[1]


# %% order wrong: joined with a space
# says: 2 items instead of 1
def train(texts, count):
    return train_bpe([" ".join(texts)], 256 + count)[1]


# %% order wrong: sorts the texts first
# says: a merge reached from one text into the next
def train(texts, count):
    return colleague_train(sorted(texts), count)


# %% order wrong: ties by the bytes themselves
# says: You compared byte strings
def train(texts, count):
    words = [[bytes([b]) for b in word.encode()] for text in texts for word in split_words(text)]
    merges = []
    while len(merges) < count:
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        words = [merge_pair(word, best) for word in words]
    return merges


# %% order wrong: each text counted once
# says: the same text twice counts twice
def train(texts, count):
    return train_bpe(sorted(set(texts)), 256 + count)[1]


# %% order wrong: stops one merge early
# says: 0 items instead of 1
def train(texts, count):
    return train_bpe(texts, 256 + count)[1][:-1]


# %% order wrong: fails when no pair is left
# says: failed with ValueError
def train(texts, count):
    words = [[bytes([b]) for b in word.encode()] for text in texts for word in split_words(text)]
    ids, merges = {bytes([byte]): i for i, byte in enumerate(byte_order())}, []
    for _ in range(count):
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        best = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        ids[best[0] + best[1]] = len(ids)
        merges.append(best)
        words = [merge_pair(word, best) for word in words]
    return merges


# %% order wrong, hidden: only the first four texts
# says: Ids decide
def train(texts, count):
    return train_bpe(texts[:4], 256 + count)[1]


# %% digits right: character by character
def split_digits(text):
    pieces = []
    for word in split_words(text):
        part = ""
        for character in word:
            if character.isdecimal() and part in ("", " "):
                pieces.append(part + character)
                part = ""
            elif character.isdecimal():
                pieces += [part, character]
                part = ""
            else:
                part += character
        if part:
            pieces.append(part)
    return pieces


# %% digits right: re.split with a group
def split_digits(text):
    return [p for word in split_words(text) for p in re.split(r"( ?\d)", word) if p]


# %% digits right: marks the cuts first
def split_digits(string):
    out = []
    for word in split_words(string):
        cuts = {0, len(word)}
        for i, c in enumerate(word):
            if c.isdecimal():
                cuts |= {i + 1, 0 if word[:i] == " " else i}
        ends = sorted(cuts)
        out.extend(word[a:b] for a, b in zip(ends, ends[1:]))
    return out


# %% digits wrong: nothing changed
# says: 17 is still one piece
def split_digits(text):
    return split_words(text)


# %% digits wrong: the space apart
# says: The space became a piece of its own
def split_digits(text):
    return [p for word in split_words(text) for p in re.findall(r"\d|[^\d]+", word)]


# %% digits wrong: the space lost
# says: The space is gone
def split_digits(text):
    out = []
    for word in split_words(text):
        out += list(word.strip()) if word.strip().isdecimal() else [word]
    return out


# %% digits wrong: isnumeric
# says: no decimal digit: ask str.isdecimal
def split_digits(text):
    out = []
    for word in split_words(text):
        part = ""
        for c in word:
            if c.isnumeric():
                out += [part + c] if part in ("", " ") else [part, c]
                part = ""
            else:
                part += c
        out += [part] if part else []
    return out


# %% digits wrong: only the first digit
# says: Only one digit was cut off
def split_digits(text):
    out = []
    for word in split_words(text):
        match = re.match(r" ?\d", word)
        out += [match[0], word[match.end() :]] if match and word[match.end() :] else [word]
    return out


# %% digits wrong: drops white space
# says: some is lost or added
def split_digits(text):
    return [p for p in re.findall(r" ?\d|[^\d\s]+| [^\d\s]+", " ".join(split_words(text)))]


# %% digits wrong, hidden: only 0 to 9
# says: digits are decimal too
def split_digits(text):
    return [p for word in split_words(text) for p in re.findall(r" ?[0-9]|[^0-9]+", word)]


# %% digits wrong, hidden: isdigit
# says: are numbers but no decimal digits
def split_digits(text):
    out = []
    for word in split_words(text):
        part = ""
        for c in word:
            if c.isdigit():
                out += [part + c] if part in ("", " ") else [part, c]
                part = ""
            else:
                part += c
        out += [part] if part else []
    return out


# %% fast right: a heap of promises
def train_fast(word_counts, count):
    tokens = [bytes([byte]) for byte in byte_order()]
    number = {token: i for i, token in enumerate(tokens)}
    words = [[number[bytes([b])] for b in word.encode()] for word in word_counts]
    weights = list(word_counts.values())
    counts, places = defaultdict(int), defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            counts[pair] += weights[i]
            places[pair].add(i)
    heap, merges = [(-n, pair) for pair, n in counts.items()], []
    heapify(heap)
    while heap and len(merges) < count:
        promised, pair = heappop(heap)
        if counts[pair] != -promised:
            if counts[pair] > 0:
                heappush(heap, (-counts[pair], pair))
            continue
        changed = set()
        for i in places.pop(pair):
            for old in zip(words[i], words[i][1:]):
                counts[old] -= weights[i]
            words[i] = merge_ids(words[i], pair, len(tokens))
            for new in zip(words[i], words[i][1:]):
                counts[new] += weights[i]
                places[new].add(i)
                changed.add(new)
        merges.append((tokens[pair[0]], tokens[pair[1]]))
        tokens.append(b"".join(merges[-1]))
        for new in changed:
            heappush(heap, (-counts[new], new))
    return merges


# %% fast right: byte strings, and counters of words
def train_fast(word_counts, count):
    order = {bytes([byte]): i for i, byte in enumerate(byte_order())}
    words = {w: [bytes([b]) for b in w.encode()] for w in word_counts}
    where = defaultdict(dict)  # pair -> word -> how often in it

    def enter(w):
        for pair in zip(words[w], words[w][1:]):
            where[pair][w] = where[pair].get(w, 0) + 1

    for w in words:
        enter(w)
    total = {pair: sum(n * word_counts[w] for w, n in held.items()) for pair, held in where.items()}
    merges = []
    while total and len(merges) < count:
        best = min(total, key=lambda p: (-total[p], order[p[0]], order[p[1]]))
        touched = set()
        for w in list(where[best]):
            for pair in set(zip(words[w], words[w][1:])):
                del where[pair][w]
                touched.add(pair)
            words[w] = merge_ids(words[w], best, best[0] + best[1])
            enter(w)
            touched |= set(zip(words[w], words[w][1:]))
        for pair in touched:
            total[pair] = sum(n * word_counts[w] for w, n in where[pair].items())
            if not total[pair]:
                del total[pair]
        order[best[0] + best[1]] = len(order)
        merges.append(best)
    return merges


# %% fast right: words that hold the pair, found by a search for its bytes
def train_fast(word_counts, count):
    tokens = [bytes([byte]) for byte in byte_order()]
    ids = {token: i for i, token in enumerate(tokens)}
    words = [tuple(ids[bytes([b])] for b in w.encode()) for w in word_counts]
    weights, counts, merges = [*word_counts.values()], Counter(), []
    for word, n in zip(words, weights):
        for i in range(len(word) - 1):
            counts[word[i : i + 2]] += n
    where = defaultdict(list)
    for i, word in enumerate(words):
        for pair in dict.fromkeys(zip(word, word[1:])):
            where[pair].append(i)
    for new in range(256, 256 + count):
        most = max(counts.values(), default=0)
        if most == 0:
            break
        pair = min(p for p, n in counts.items() if n == most)
        for i in where[pair]:
            word, out = words[i], tuple(merge_ids(list(words[i]), pair, new))
            if out != word:
                counts.subtract({p: 0 for p in zip(word, word[1:])})
                for p in zip(word, word[1:]):
                    counts[p] -= weights[i]
                for p in zip(out, out[1:]):
                    counts[p] += weights[i]
                    if new in p:
                        where[p].append(i)
                words[i] = out
        merges.append((tokens[pair[0]], tokens[pair[1]]))
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
    return merges


# %% fast wrong: the naive trainer
# says: read only words that hold its pair
def train_fast(word_counts, count):
    return naive_train(word_counts, count)


# %% fast wrong: weights forgotten
# says: The words' weights were forgotten
def train_fast(word_counts, count):
    return naive_train(dict.fromkeys(word_counts, 1), count)


# %% fast wrong: ties as they come
# says: You took the pair that was met first
def train_fast(word_counts, count):
    words = [([bytes([b]) for b in word.encode()], n) for word, n in word_counts.items()]
    merges = []
    while len(merges) < count:
        counts = Counter()
        for word, n in words:
            for pair in zip(word, word[1:]):
                counts[pair] += n
        if not counts:
            break
        best = max(counts, key=counts.get)
        words = [(merge_ids(word, best, best[0] + best[1]), n) for word, n in words]
        merges.append(best)
    return merges


# %% fast wrong: old pairs still count
# says: the old pair a, b still counted
def train_fast(word_counts, count):
    tokens = [bytes([byte]) for byte in byte_order()]
    ids = {token: i for i, token in enumerate(tokens)}
    words = [[ids[bytes([b])] for b in word.encode()] for word in word_counts]
    weights, counts, merges = list(word_counts.values()), Counter(), []
    for word, n in zip(words, weights):
        for pair in zip(word, word[1:]):
            counts[pair] += n
    while counts and len(merges) < count:
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        del counts[pair]
        for i, word in enumerate(words):
            words[i] = merge_ids(word, pair, len(tokens))
            for p in zip(words[i], words[i][1:]):
                counts[p] += weights[i] * (len(tokens) in p)
        merges.append((tokens[pair[0]], tokens[pair[1]]))
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
    return merges


# %% fast wrong: new pairs not counted
# says: were not counted
def train_fast(word_counts, count):
    tokens = [bytes([byte]) for byte in byte_order()]
    ids = {token: i for i, token in enumerate(tokens)}
    words = [[ids[bytes([b])] for b in word.encode()] for word in word_counts]
    weights, counts, merges = list(word_counts.values()), Counter(), []
    for word, n in zip(words, weights):
        for pair in zip(word, word[1:]):
            counts[pair] += n
    while len(merges) < count:
        pair = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if pair is None or counts[pair] <= 0:
            break
        for i, word in enumerate(words):
            words[i] = merge_ids(word, pair, len(tokens))
            if len(words[i]) < len(word):
                for p in zip(word, word[1:]):
                    counts[p] -= weights[i]
        merges.append((tokens[pair[0]], tokens[pair[1]]))
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
    return merges


# %% fast wrong: does not see that no pair is left
# says: instead of
def train_fast(word_counts, count):
    merges = naive_train(word_counts, count)
    return merges + merges[-1:] * (count - len(merges))


# %% fast wrong: empties its input
# says: changed its input
def train_fast(word_counts, count):
    merges = naive_train(word_counts, count)
    word_counts.clear()
    return merges


# %% fast wrong, hidden: Latin letters only
# says: failed with KeyError
def train_fast(word_counts, count):
    tokens = [bytes([byte]) for byte in byte_order()]
    ids = {chr(byte): i for i, byte in enumerate(byte_order()) if byte < 128}
    words = [[ids[c] for c in word] for word in word_counts]
    weights, counts, places, merges = list(word_counts.values()), Counter(), defaultdict(set), []

    def add(i, sign):
        for pair in zip(words[i], words[i][1:]):
            counts[pair] += sign * weights[i]
            places[pair].add(i)

    for i in range(len(words)):
        add(i, +1)
    while len(merges) < count:
        pair = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if pair is None or counts[pair] == 0:
            break
        for i in list(places[pair]):
            add(i, -1)
            words[i] = merge_ids(words[i], pair, len(tokens))
            add(i, +1)
        merges.append((tokens[pair[0]], tokens[pair[1]]))
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
    return merges


# %% count wrong: one long row of all words
# says: reaches from one word into the next
def count_pairs(words):
    row = [token for word, _ in words for token in word]
    weights = [n for word, n in words for _ in word]
    counts = Counter()
    for pair, n in zip(zip(row, row[1:]), weights):
        counts[pair] += n
    return dict(counts)


# %% encode wrong: the longest token that fits, from the left
# says: took the longest token
def encode_word(tokens, ranks):
    data, known, out = b"".join(tokens), {left + right_ for left, right_ in ranks}, []
    while data:
        size = max(n for n in range(1, len(data) + 1) if n == 1 or data[:n] in known)
        out.append(data[:size])
        data = data[size:]
    return out


# %% digits wrong: split_words not used
# says: begin with the pieces of split_words
def split_digits(text):
    return re.findall(r" ?\d|[^\d]+", text)


# %% digits wrong: everything in characters
# says: No digit, nothing to cut
def split_digits(text):
    return [character for word in split_words(text) for character in word]
