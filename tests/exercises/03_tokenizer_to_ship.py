"""Right and wrong solutions of exercises/source/03_tokenizer_to_ship, for tests/test_exercises.py."""


# %% space right: asks whether there is one
def repaired(text):
    if text.startswith(" "):
        return text[1:]
    return text


def twins():
    return " the red drum", "the red drum"


# %% space right: a regular expression
def repaired(decoded):
    import re

    return re.sub(r"\A ", "", decoded)


def twins():
    return ["a", " a"]


# %% space right: two halves
def repaired(s):
    first, rest = s[:1], s[1:]
    return rest if first == " " else first + rest


def twins():
    text = "狐狸"
    return text, f" {text}"


# %% space wrong: takes all spaces in front
# says: You took all white space in front
def repaired(decoded):
    return decoded.lstrip()


def twins():
    return "a", " a"


# %% space wrong: takes every space
# says: All spaces are gone
def repaired(decoded):
    return decoded.replace(" ", "")


def twins():
    return "a", " a"


# %% space wrong: takes the end as well
# says: wanted 'ends in one '
def repaired(decoded):
    return decoded.removeprefix(" ").rstrip()


def twins():
    return "a", " a"


# %% space wrong: takes the first character of whatever there is
# says: failed with IndexError
def repaired(decoded):
    return decoded[1:] if decoded[0] == " " else decoded


def twins():
    return "a", " a"


# %% space wrong: changes nothing
# says: The space in front is still there
def repaired(decoded):
    return decoded


def twins():
    return "a", " a"


# %% space wrong: twins that are one
# says: the two texts must differ
def repaired(decoded):
    return decoded.removeprefix(" ")


def twins():
    return "fox", "fox"


# %% space wrong: twins with a space at the end
# says: have different ids
def repaired(decoded):
    return decoded.removeprefix(" ")


def twins():
    return "fox", "fox "


# %% space wrong: three of them
# says: twins() should return two texts
def repaired(decoded):
    return decoded.removeprefix(" ")


def twins():
    return "fox", " fox", "  fox"


# %% space wrong, hidden: takes the first character, space or not
# says: There is no space in front
def repaired(decoded):
    return decoded[1:]


def twins():
    return "a", " a"


# %% space wrong, hidden: every line loses a space
# says: instead of 'a\n b'
def repaired(decoded):
    return "\n".join(line.removeprefix(" ") for line in decoded.split("\n"))


def twins():
    return "a", " a"


# %% stream right: an incremental decoder, final on the last chunk
def whole_characters(chunks):
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    yield from filter(None, map(decode, chunks))
    yield from filter(None, [decode(b"", True)])


# %% stream right: by hand, trying to cut up to three bytes off the end
def whole_characters(pieces):
    waiting = b""
    for piece in pieces:
        waiting += piece
        held = 0
        for back in range(1, min(3, len(waiting)) + 1):
            byte = waiting[-back]
            if byte >= 0xC0:  # the first byte of a character says how many it has
                held = back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
            if byte < 0x80 or byte >= 0xC0:
                break
        text, waiting = waiting[: len(waiting) - held], waiting[len(waiting) - held :]
        if text:
            yield text.decode("utf-8", "replace")
    if waiting:
        yield waiting.decode("utf-8", "replace")


# %% stream right: the codec's own function, which says how much it used
def whole_characters(stream):
    rest = b""
    for some in stream:
        text, used = codecs.utf_8_decode(rest + some, "replace", False)
        rest = (rest + some)[used:]
        if text != "":
            yield text
    if len(rest) > 0:
        yield codecs.utf_8_decode(rest, "replace", True)[0]


# %% stream wrong: decodes every chunk by itself
# says: Half a character became �
def whole_characters(chunks):
    for chunk in chunks:
        yield chunk.decode("utf-8", "replace")


# %% stream wrong: throws away what is broken
# says: A character that was cut in two is gone
def whole_characters(chunks):
    for chunk in chunks:
        text = chunk.decode("utf-8", "ignore")
        if text:
            yield text


# %% stream wrong: waits for the end
# says: All came as one piece
def whole_characters(chunks):
    yield b"".join(chunks).decode("utf-8", "replace")


# %% stream wrong: returns a list, so that nothing comes before all is there
# says: Your first piece came after 3 chunks instead of 1
def whole_characters(chunks):
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    return [text for text in [*map(decode, chunks), decode(b"", True)] if text]


# %% stream wrong: no flush, so that the end is lost
# says: What is unfinished at the end becomes one �
def whole_characters(chunks):
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        text = decoder.decode(chunk)
        if text:
            yield text


# %% stream wrong: yields empty strings
# says: An empty piece came out
def whole_characters(chunks):
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


# %% stream wrong: the strict decoder fails where a stream ends early
# says: failed with UnicodeDecodeError
def whole_characters(chunks):
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in chunks:
        text = decoder.decode(chunk)
        if text:
            yield text
    decoder.decode(b"", True)


# %% stream wrong, hidden: waits until all that waits is valid, which may be never
# says: A broken byte must not hold up all that follows
def whole_characters(chunks):
    decoder = codecs.getincrementaldecoder("utf-8")()
    waiting = b""
    for chunk in chunks:
        waiting += chunk
        try:
            text = decoder.decode(waiting)
            waiting = b""
        except UnicodeDecodeError:
            decoder.reset()
            continue
        if text:
            yield text
    if decoder.getstate()[0]:
        yield "�"


# %% stream wrong, hidden: the answers of the visible examples
# says: wanted ['🙂']
def whole_characters(chunks):
    for chunk in chunks:
        table = {
            b"\xe4\xbd": None,
            b"\xa0": "你",
            b"a\xe4": "a",
            b"\xbd\xa0b": "你b",
            b"a\xe4\xbd": "a",
        }
        text = table.get(chunk, chunk.decode("utf-8", "replace"))
        if text:
            yield text
        if chunk == b"a\xe4\xbd":
            yield "�"


# %% padding right: plain lists first
def padded(rows, pad_id):
    width = max(map(len, rows))
    filled = [row + [pad_id] * (width - len(row)) for row in rows]
    targets = [row + [-100] * (width - len(row)) for row in rows]
    return torch.tensor(filled), torch.tensor(targets)


# %% padding right: torch's own padding
def padded(batch, pad):
    from torch.nn.utils.rnn import pad_sequence

    tensors = [torch.tensor(ids) for ids in batch]
    return pad_sequence(tensors, batch_first=True, padding_value=pad), pad_sequence(
        tensors, batch_first=True, padding_value=-100
    )


# %% padding right: a mask from lengths
def padded(rows, pad_id):
    lengths = torch.tensor([len(row) for row in rows])
    there = torch.arange(int(lengths.max())) < lengths[:, None]
    input_ids = torch.full(there.shape, pad_id)
    input_ids[there] = torch.tensor([index for row in rows for index in row])
    return [input_ids, torch.where(there, input_ids, -100)]


# %% padding wrong: masked by value, and the end of the text with it
# says: You masked every 0, the ending of the text too
def padded(rows, pad_id):
    width = max(map(len, rows))
    input_ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    return input_ids, input_ids.masked_fill(input_ids == pad_id, -100)


# %% padding wrong: one tensor under two names
# says: There is a -100 in input_ids
def padded(rows, pad_id):
    width = max(map(len, rows))
    input_ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    labels = input_ids
    for index, row in enumerate(rows):
        labels[index, len(row) :] = -100
    return input_ids, labels


# %% padding wrong: left padding
# says: You padded on the left
def padded(rows, pad_id):
    width = max(map(len, rows))
    return (
        torch.tensor([[pad_id] * (width - len(row)) + row for row in rows]),
        torch.tensor([[-100] * (width - len(row)) + row for row in rows]),
    )


# %% padding wrong: the padding is learned
# says: The padding is a target here
def padded(rows, pad_id):
    width = max(map(len, rows))
    input_ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    return input_ids, input_ids.clone()


# %% padding wrong: fills up the caller's own rows
# says: changed its input
def padded(rows, pad_id):
    lengths = [len(row) for row in rows]
    for row in rows:
        row += [pad_id] * (max(lengths) - len(row))
    labels = [row[:length] + [-100] * (len(row) - length) for row, length in zip(rows, lengths)]
    return torch.tensor(rows), torch.tensor(labels)


# %% padding wrong: everything after the first ending is masked
# says: A 0 inside a row ends a document
def padded(rows, pad_id):
    width = max(map(len, rows))
    input_ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    before = (input_ids == pad_id).cumsum(1) - (input_ids == pad_id).long()
    lengths = torch.tensor([len(row) for row in rows])
    there = torch.arange(width) < lengths[:, None]
    return input_ids, input_ids.masked_fill((before > 0) | ~there, -100)


# %% padding wrong: one column too many
# says: the shape is [1, 2] instead of [1, 1]
def padded(rows, pad_id):
    width = max(map(len, rows)) + 1
    filled = [row + [pad_id] * (width - len(row)) for row in rows]
    targets = [row + [-100] * (width - len(row)) for row in rows]
    return torch.tensor(filled), torch.tensor(targets)


# %% padding wrong: lists instead of tensors
# says: a value of type list instead of a tensor
def padded(rows, pad_id):
    width = max(map(len, rows))
    return [row + [pad_id] * (width - len(row)) for row in rows], [
        row + [-100] * (width - len(row)) for row in rows
    ]


# %% padding wrong, hidden: the padding is always 0
# says: Each row, then the padding
def padded(rows, pad_id):
    width = max(map(len, rows))
    filled = [row + [0] * (width - len(row)) for row in rows]
    targets = [row + [-100] * (width - len(row)) for row in rows]
    return torch.tensor(filled), torch.tensor(targets)


# %% padding wrong, hidden: only for two rows
# says: the shape is [2, 3] instead of [3, 3]
def padded(rows, pad_id):
    rows = rows[:2]
    width = max(map(len, rows))
    filled = [row + [pad_id] * (width - len(row)) for row in rows]
    targets = [row + [-100] * (width - len(row)) for row in rows]
    return torch.tensor(filled), torch.tensor(targets)


# %% tool right: a table of starts
def encode_turns(tok, turns):
    tool = tok.special_id("<|tool|>")
    starts = dict.fromkeys(("system", "user", "assistant"), tok.im_start_id)
    ids, marks = [], []
    for who, what in turns:
        for piece, lit in (
            ([starts.get(who, tool)], False), (tok.encode(who + "\n"), False),
            (tok.encode(what), who == "assistant"), ([tok.im_end_id], who == "assistant"),
            (tok.encode("\n"), False),
        ):  # fmt: skip
            ids.extend(piece)
            marks.extend(lit for _ in piece)
    return ids, marks


# %% tool right: pairs first, then two lists
def encode_turns(tokenizer, turns):
    pairs = []
    for speaker, content in turns:
        if speaker in {"user", "system", "assistant"}:
            pairs.append((tokenizer.im_start_id, False))
        else:
            pairs.append((tokenizer.special_id("<|tool|>"), False))
        pairs += [(i, False) for i in tokenizer.encode(f"{speaker}\n")]
        target = speaker == "assistant"
        pairs += [(i, target) for i in tokenizer.encode(content)]
        pairs += [(tokenizer.im_end_id, target)] + [(i, False) for i in tokenizer.encode("\n")]
    return [i for i, _ in pairs], [m for _, m in pairs]


# %% tool right: encode_chat for the usual turns
def encode_turns(tokenizer, turns):
    all_ids, all_marks = [], []
    for speaker, content in turns:
        if speaker in ("system", "user", "assistant"):
            ids, marks = tokenizer.encode_chat([{"role": speaker, "content": content}])
        else:
            ids = [
                tokenizer.special_id("<|tool|>"),
                *tokenizer.encode(speaker + "\n"),
                *tokenizer.encode(content),
                tokenizer.im_end_id,
                *tokenizer.encode("\n"),
            ]
            marks = [False] * len(ids)
        all_ids, all_marks = all_ids + ids, all_marks + marks
    return all_ids, all_marks


# %% tool wrong: one string, read with special tokens
# says: You made one string of the chat
def encode_turns(tokenizer, turns):
    reader = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    text = ""
    for speaker, content in turns:
        start = "<|im_start|>" if speaker in ("system", "user", "assistant") else "<|tool|>"
        text += f"{start}{speaker}\n{content}<|im_end|>\n"
    ids = reader.encode(text).ids
    reply = reader.encode("assistant\n").ids
    starts = [i for i in range(len(ids)) if ids[i - len(reply) : i] == reply]
    return ids, [any(s <= i <= ids.index(2, s) for s in starts) for i in range(len(ids))]


# %% tool wrong: special tokens as text
# says: were encoded as text
def encode_turns(tokenizer, turns):
    text = "".join(f"<|im_start|>{speaker}\n{content}<|im_end|>\n" for speaker, content in turns)
    ids = tokenizer.encode(text)
    return ids, [False] * len(ids)


# %% tool wrong: a tool begins as everyone does
# says: A tool's turn begins with <|tool|>
def encode_turns(tokenizer, turns):
    ids, marks = [], []
    for speaker, content in turns:
        head = [tokenizer.im_start_id, *tokenizer.encode(speaker + "\n")]
        body = [*tokenizer.encode(content), tokenizer.im_end_id]
        ids += head + body + tokenizer.encode("\n")
        marks += [False] * len(head) + [speaker == "assistant"] * len(body) + [False]
    return ids, marks


# %% tool wrong: the end of a reply is not a target
# says: Supervised is 'we were', but it should be 'we were<|im_end|>'
def encode_turns(tokenizer, turns):
    ids, marks = [], []
    for speaker, content in turns:
        start = (
            1 if speaker in ("system", "user", "assistant") else tokenizer.special_id("<|tool|>")
        )
        head, body = [start, *tokenizer.encode(speaker + "\n")], tokenizer.encode(content)
        tail = [tokenizer.im_end_id, *tokenizer.encode("\n")]
        ids += head + body + tail
        marks += [False] * len(head) + [speaker == "assistant"] * len(body) + [False] * len(tail)
    return ids, marks


# %% tool wrong: the header of a reply is a target
# says: but it should be 'we were<|im_end|>'
def encode_turns(tokenizer, turns):
    ids, marks = [], []
    for speaker, content in turns:
        start = (
            1 if speaker in ("system", "user", "assistant") else tokenizer.special_id("<|tool|>")
        )
        turn = [
            start,
            *tokenizer.encode(speaker + "\n"),
            *tokenizer.encode(content),
            tokenizer.im_end_id,
        ]
        ids += turn + tokenizer.encode("\n")
        marks += [speaker == "assistant"] * len(turn) + [False]
    return ids, marks


# %% tool wrong: the tool's answer is a target
# says: Supervised is 'red<|im_end|>', but it should be ''
def encode_turns(tokenizer, turns):
    ids, marks = [], []
    for speaker, content in turns:
        start = (
            1 if speaker in ("system", "user", "assistant") else tokenizer.special_id("<|tool|>")
        )
        head = [start, *tokenizer.encode(speaker + "\n")]
        body = [*tokenizer.encode(content), tokenizer.im_end_id]
        ids += head + body + tokenizer.encode("\n")
        marks += [False] * len(head) + [speaker not in ("system", "user")] * len(body) + [False]
    return ids, marks


# %% tool wrong: no end of a turn
# says: The turns have no <|im_end|>
def encode_turns(tokenizer, turns):
    ids, marks = [], []
    for speaker, content in turns:
        start = (
            1 if speaker in ("system", "user", "assistant") else tokenizer.special_id("<|tool|>")
        )
        turn = [
            start,
            *tokenizer.encode(speaker + "\n"),
            *tokenizer.encode(content),
            *tokenizer.encode("\n"),
        ]
        ids += turn
        marks += [False] * len(turn)
    return ids, marks


# %% tool wrong: the marks are forgotten for a line break
# says: ids but
def encode_turns(tokenizer, turns):
    ids, marks = [], []
    for speaker, content in turns:
        start = (
            1 if speaker in ("system", "user", "assistant") else tokenizer.special_id("<|tool|>")
        )
        head = [start, *tokenizer.encode(speaker + "\n")]
        body = [*tokenizer.encode(content), tokenizer.im_end_id]
        ids += head + body + tokenizer.encode("\n")
        marks += [False] * len(head) + [speaker == "assistant"] * len(body)
    return ids, marks


# %% tool wrong, hidden: what a tool says is read with special tokens
# says: Encode the pieces apart
def encode_turns(tokenizer, turns):
    reader = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    ids, marks = [], []
    for speaker, content in turns:
        usual = speaker in ("system", "user", "assistant")
        start = 1 if usual else tokenizer.special_id("<|tool|>")
        head = [start, *tokenizer.encode(speaker + "\n")]
        body = [
            *(tokenizer.encode(content) if usual else reader.encode(content).ids),
            tokenizer.im_end_id,
        ]
        ids += head + body + tokenizer.encode("\n")
        marks += [False] * len(head) + [speaker == "assistant"] * len(body) + [False]
    return ids, marks


# %% tool wrong, hidden: knows the one tool of the examples
# says: A tool's turn begins with <|tool|>
def encode_turns(tokenizer, turns):
    ids, marks = [], []
    for speaker, content in turns:
        start = tokenizer.special_id("<|tool|>") if speaker == "drum" else 1
        head = [start, *tokenizer.encode(speaker + "\n")]
        body = [*tokenizer.encode(content), tokenizer.im_end_id]
        ids += head + body + tokenizer.encode("\n")
        marks += [False] * len(head) + [speaker == "assistant"] * len(body) + [False]
    return ids, marks


# %% bug right: new dictionaries
def undo(fast, config):
    def calm(step):
        if "pretokenizers" in step:
            return step | {"pretokenizers": [calm(inner) for inner in step["pretokenizers"]]}
        return step | {"add_prefix_space": False} if "add_prefix_space" in step else step

    fast = fast | {
        "normalizer": None,
        "post_processor": None,
        "pre_tokenizer": calm(fast["pre_tokenizer"]),
    }
    return fast, config | {"add_prefix_space": False}


# %% bug right: by way of text
def undo(fast, config):
    fast = json.loads(
        json.dumps(fast).replace('"add_prefix_space": true', '"add_prefix_space": false')
    )
    fast["normalizer"] = None
    fast["post_processor"] = None
    return fast, {**config, "add_prefix_space": False}


# %% bug right: a stack of steps
def undo(a, b):
    a, b = copy.deepcopy(a), copy.deepcopy(b)
    a.update(normalizer=None, post_processor=None)
    stack = [a["pre_tokenizer"]]
    while stack:
        step = stack.pop()
        stack.extend(step.get("pretokenizers", ()))
        if step.get("add_prefix_space"):
            step["add_prefix_space"] = False
    b.update(add_prefix_space=False)
    return a, b


# %% bug wrong: only the config
# says: Which step of tokenizer.json adds a space
def undo(fast, config):
    return fast, config | {"add_prefix_space": False}


# %% bug wrong: only tokenizer.json's flag; the other faults stay
# says: adds tokens after encoding
def undo(fast, config):
    fast = copy.deepcopy(fast)
    fast["pre_tokenizer"]["add_prefix_space"] = False
    return fast, config | {"add_prefix_space": False}


# %% bug wrong: the normalizer stays
# says: e and its accent are still made one letter
def undo(fast, config):
    fast = copy.deepcopy(fast)
    fast["pre_tokenizer"]["add_prefix_space"] = False
    fast["post_processor"] = None
    return fast, config | {"add_prefix_space": False}


# %% bug wrong: the config stays
# says: a reader that follows the config puts the space back
def undo(fast, config):
    fast = copy.deepcopy(fast)
    fast["pre_tokenizer"]["add_prefix_space"] = False
    fast["post_processor"] = fast["normalizer"] = None
    return fast, config


# %% bug wrong: mends the colleague's own dictionaries
# says: changed its input
def undo(fast, config):
    fast["pre_tokenizer"]["add_prefix_space"] = False
    fast["post_processor"] = fast["normalizer"] = None
    config["add_prefix_space"] = False
    return fast, config


# %% bug wrong: a copy that is not deep
# says: changed its input
def undo(fast, config):
    fast, config = dict(fast), dict(config)
    fast["pre_tokenizer"]["add_prefix_space"] = False
    fast["post_processor"] = fast["normalizer"] = None
    config["add_prefix_space"] = False
    return fast, config


# %% bug wrong: the pre-tokenizer goes, and the alphabet with it
# says: Which step of tokenizer.json adds a space
def undo(fast, config):
    fast = fast | {
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "normalizer": None,
        "post_processor": None,
    }
    return fast, config | {"add_prefix_space": False}


# %% bug wrong: trains a new tokenizer
# says: the weights know the old ids
def undo(fast, config):
    fresh = Tokenizer.train(["the colleague's own words"] * 9, 280)
    return json.loads(fresh.backend.to_str()), config | {"add_prefix_space": False}


# %% bug wrong: without a pre-tokenizer
# says: has no pre_tokenizer now
def undo(fast, config):
    fast = fast | {"pre_tokenizer": None, "normalizer": None, "post_processor": None}
    return fast, config | {"add_prefix_space": False}


# %% bug wrong, hidden: puts a pre-tokenizer of its own in the place
# says: A text has other ids than the model was trained with
def undo(fast, config):
    plain = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    fast = fast | {"pre_tokenizer": plain, "normalizer": None, "post_processor": None}
    return fast, config | {"add_prefix_space": False}


# %% bug wrong, hidden: looks at the outermost step only
# says: Which step of tokenizer.json adds a space
def undo(fast, config):
    fast = copy.deepcopy(fast)
    fast["normalizer"] = fast["post_processor"] = None
    fast["pre_tokenizer"]["add_prefix_space"] = False
    return fast, config | {"add_prefix_space": False}


# %% heal right: a list of allowed ids built by a loop
def complete(tok, prompt, choose, back):
    ids = tok.encode(prompt)
    pending = b""
    for _ in range(min(back, len(ids))):
        pending = tok.token_bytes(ids.pop()) + pending
    while len(pending) > 0:
        allowed = []
        for index in range(tok.vocab_size):
            piece = tok.token_bytes(index)
            shorter = min(len(piece), len(pending))
            if index not in special_ids(tok) and piece[:shorter] == pending[:shorter]:
                allowed.append(index)
        chosen = choose(ids, allowed)
        ids = ids + [chosen]
        pending = pending[len(tok.token_bytes(chosen)) :]
    return ids


# %% heal right: recursion on what is pending
def complete(tokenizer, prompt, choose, back):
    every = {i: tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)}
    every = {i: piece for i, piece in every.items() if i not in special_ids(tokenizer)}

    def go_on(ids, pending):
        if not pending:
            return ids
        fit = sorted(
            i
            for i, piece in every.items()
            if pending.startswith(piece) or piece.startswith(pending)
        )
        new = choose(ids, fit)
        return go_on([*ids, new], pending[len(every[new]) :])

    encoded = tokenizer.encode(prompt)
    kept = encoded[: max(0, len(encoded) - back)]
    return go_on(kept, prompt.encode()[len(b"".join(every[i] for i in kept)) :])


# %% heal right: counts the bytes that are written
def complete(t, prompt, choose, back):
    whole = prompt.encode("utf-8")
    ids = t.encode(prompt)
    ids = ids[: len(ids) - back] if back < len(ids) else []
    written = sum(len(t.token_bytes(i)) for i in ids)
    while written < len(whole):
        rest = whole[written:]
        usual = (i for i in range(t.vocab_size) if i not in special_ids(t))
        allowed = [
            i for i in usual if (t.token_bytes(i) + rest[len(t.token_bytes(i)) :]).startswith(rest)
        ]
        ids.append(choose(ids, allowed))
        written += len(t.token_bytes(ids[-1]))
    return ids


# %% heal wrong: takes nothing back
# says: is still pending, but choose is not called any more
def complete(tokenizer, prompt, choose, back):
    return tokenizer.encode(prompt)[:-back]


# %% heal wrong: asks without taking back
# says: Nothing was taken back
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    pending = b"".join(tokenizer.token_bytes(i) for i in ids[-back:])
    usual = [i for i in range(tokenizer.vocab_size) if i not in special_ids(tokenizer)]
    allowed = [i for i in usual if tokenizer.token_bytes(i).startswith(pending)]
    return [*ids, choose(ids, allowed)]


# %% heal wrong: only tokens that cover all that is pending
# says: is a beginning of
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    ids, taken = ids[:-back], ids[-back:]
    pending = b"".join(map(tokenizer.token_bytes, taken))
    usual = [i for i in range(tokenizer.vocab_size) if i not in special_ids(tokenizer)]
    allowed = [i for i in usual if tokenizer.token_bytes(i).startswith(pending)]
    return [*ids, choose(ids, allowed)]


# %% heal wrong: never past the prompt's end
# says: begins with it, but you do not allow it
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    ids, taken = ids[:-back], ids[-back:]
    pending = b"".join(map(tokenizer.token_bytes, taken))
    while pending:
        usual = [i for i in range(tokenizer.vocab_size) if i not in special_ids(tokenizer)]
        allowed = [i for i in usual if pending.startswith(tokenizer.token_bytes(i))]
        ids.append(choose(ids, allowed))
        pending = pending[len(tokenizer.token_bytes(ids[-1])) :]
    return ids


# %% heal wrong: any token that shares the first byte
# says: which does not agree with what is pending
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    ids, taken = ids[:-back], ids[-back:]
    pending = b"".join(map(tokenizer.token_bytes, taken))
    usual = [i for i in range(tokenizer.vocab_size) if i not in special_ids(tokenizer)]
    allowed = [i for i in usual if tokenizer.token_bytes(i)[:1] == pending[:1]]
    return [*ids, choose(ids, allowed)]


# %% heal wrong: what is pending never gets shorter
# says: choose was called 50 times
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    ids, taken = ids[:-back], ids[-back:]
    pending = b"".join(map(tokenizer.token_bytes, taken))
    while pending:
        usual = [i for i in range(tokenizer.vocab_size) if i not in special_ids(tokenizer)]
        pieces = {i: tokenizer.token_bytes(i) for i in usual}
        ids.append(
            choose(
                ids,
                [i for i, b in pieces.items() if b.startswith(pending) or pending.startswith(b)],
            )
        )
    return ids


# %% heal wrong: stops after one choice
# says: is still pending, but choose is not called any more
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    ids, taken = ids[:-back], ids[-back:]
    pending = b"".join(map(tokenizer.token_bytes, taken))
    usual = [i for i in range(tokenizer.vocab_size) if i not in special_ids(tokenizer)]
    pieces = {i: tokenizer.token_bytes(i) for i in usual}
    return [
        *ids,
        choose(
            ids, [i for i, b in pieces.items() if b.startswith(pending) or pending.startswith(b)]
        ),
    ]


# %% heal wrong, hidden: a special token may be written
# says: which stands for no text
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    keep = max(len(ids) - back, 0)
    ids, taken = ids[:keep], ids[keep:]
    pending = b"".join(map(tokenizer.token_bytes, taken))
    pieces = {i: tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)}
    while pending:
        ids.append(
            choose(
                ids,
                [i for i, b in pieces.items() if b.startswith(pending) or pending.startswith(b)],
            )
        )
        pending = pending[len(pieces[ids[-1]]) :]
    return ids


# %% heal wrong, hidden: a slice that means everything when back is 0
# says: Nothing is pending any more
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    ids, taken = ids[:-back], ids[-back:]
    pending = b"".join(map(tokenizer.token_bytes, taken))
    usual = [i for i in range(tokenizer.vocab_size) if i not in special_ids(tokenizer)]
    pieces = {i: tokenizer.token_bytes(i) for i in usual}
    while pending:
        ids.append(
            choose(
                ids,
                [i for i, b in pieces.items() if b.startswith(pending) or pending.startswith(b)],
            )
        )
        pending = pending[len(pieces[ids[-1]]) :]
    return ids


# %% heal wrong, hidden: characters instead of bytes
# says: failed with UnicodeDecodeError
def complete(tokenizer, prompt, choose, back):
    ids = tokenizer.encode(prompt)
    keep = max(len(ids) - back, 0)
    ids, taken = ids[:keep], ids[keep:]
    pending = b"".join(map(tokenizer.token_bytes, taken)).decode()
    usual = [i for i in range(tokenizer.vocab_size) if i not in special_ids(tokenizer)]
    pieces = {i: tokenizer.token_bytes(i) for i in usual}
    while pending:
        start = pending.encode()
        ids.append(
            choose(
                ids, [i for i, b in pieces.items() if b.startswith(start) or start.startswith(b)]
            )
        )
        pending = start[len(pieces[ids[-1]]) :].decode()
    return ids
