"""What the checks of notebook 03 ask a student's function, and the reasons that they give."""

import copy
import json
from functools import cache

import tokenizers
import torch

from exercises.checks import expect, run, same, show, show_call
from minimind_lite.tokenizer import Tokenizer

WORDS = ["the fox found the red drum. the foxes had 12 drums, and where were we?\n"]


def files_of(tokenizer):
    """What the two files of a tokenizer hold, as tokenizer.json and as tokenizer_config.json."""
    return json.loads(tokenizer.backend.to_str()), {
        "add_prefix_space": False,
        "eos_token": "<|im_end|>",
    }


@cache
def small():
    """A tokenizer that has read WORDS and little else; its last id is a fourth special token, <|tool|>."""
    backend = Tokenizer.train(WORDS * 9, 300).backend
    backend.add_special_tokens(["<|tool|>"])
    return Tokenizer(backend)


def special_ids(tokenizer):
    """The ids that no text can have."""
    return set(tokenizer.backend.get_added_tokens_decoder())


def spaced_ids(text):
    """The same tokenizer with add_prefix_space: a text that has no space in front is given one."""
    return small().encode(text if text.startswith(" ") else " " + text)


def repaired(repaired, decoded, wanted, reason):
    mistakes = [
        (decoded, "The space in front is still there.") if decoded != wanted else (None, "")
    ]
    if decoded != " ":
        mistakes.append(
            (decoded.replace(" ", ""), "All spaces are gone; only the first one was added.")
        )
    if decoded.lstrip(" ") != wanted:
        mistakes.append(
            (decoded.lstrip(), "You took all white space in front; one space was added.")
        )
    mistakes.append((decoded.strip(), "The end of the text lost something too."))
    same(run(repaired, decoded), wanted, show_call(repaired, decoded), reason, mistakes)


def twins(twins):
    pair = run(twins)
    expect(
        isinstance(pair, (tuple, list))
        and len(pair) == 2
        and all(isinstance(text, str) for text in pair),
        f"twins() should return two texts; it returned {show(pair)}.",
    )
    first, second = pair
    expect(first != second, f"twins() returned {first!r} twice: the two texts must differ.")
    expect(
        spaced_ids(first) == spaced_ids(second),
        f"{first!r} and {second!r} have different ids: "
        f"{spaced_ids(first)[:9]} and {spaced_ids(second)[:9]}. What does spaced_ids add, and when?",
    )


def apart(chunks, errors):
    return [text for text in (chunk.decode("utf-8", errors) for chunk in chunks) if text]


def pieces(whole_characters, chunks, wanted, reason):
    mistakes = [
        (apart(chunks, "replace"), "Half a character became �: its bytes must wait."),
        (apart(chunks, "ignore"), "A character that was cut in two is gone."),
        (
            [b"".join(chunks).decode("utf-8", "replace")],
            "All came as one piece: don't wait for the end.",
        ),
        (
            [chunk.decode("latin-1") for chunk in chunks],
            "Each byte became a letter: the bytes are UTF-8.",
        ),
    ]
    got = run(whole_characters, chunks)
    expect(
        "" not in got, f"An empty piece came out for {show(chunks)}: yield only if there is text."
    )
    same(
        got,
        wanted,
        show_call(whole_characters, chunks),
        reason,
        mistakes if len(chunks) > 1 else (),
    )


def at_once(whole_characters):
    taken = []
    pieces = iter(whole_characters(taken.append(c) or c for c in [b"a", b"b", b"c"]))
    next(pieces)
    expect(
        len(taken) == 1,
        f"Your first piece came after {len(taken)} chunks instead of 1: don't wait.",
    )


def padding(padded, rows, pad_id, reason):
    width = max(map(len, rows))
    left = [[pad_id] * (width - len(row)) + row for row in rows]
    inputs = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    wanted = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    got = run(padded, rows, pad_id)
    expect(
        isinstance(got, (tuple, list)) and len(got) == 2,
        "padded should return input_ids and labels.",
    )
    call = show_call(padded, rows, pad_id)
    in_inputs = [
        (
            wanted,
            "There is a -100 in input_ids: the model would look up row -100 of its embedding.",
        ),
        (torch.tensor(left), "You padded on the left; fill up the right."),
    ]
    in_labels = [
        (
            inputs.masked_fill(inputs == pad_id, -100),
            f"You masked every {pad_id}, the ending of the text "
            "too. A model trained like this never stops. Mask by length.",
        ),
        (inputs, "The padding is a target here: the model would learn to write padding."),
        (
            torch.tensor(left).masked_fill(torch.tensor(left) == pad_id, -100),
            "You padded on the left.",
        ),
    ]
    same(got[0], inputs, f"input_ids of {call}", "Each row, then the padding.", in_inputs)
    same(got[1], wanted, f"labels of {call}", reason, in_labels)


def expected_turns(turns, tool=True):
    ids, supervised = [], []
    for speaker, content in turns:
        is_tool = tool and speaker not in ("system", "user", "assistant")
        start = small().vocab_size - 1 if is_tool else 1
        for part, target in (
            ([start, *small().encode(speaker + "\n")], False),
            ([*small().encode(content), 2], speaker == "assistant"),
            (small().encode("\n"), False),
        ):
            ids += part
            supervised += [target] * len(part)
    return ids, supervised


def tool(encode_turns, turns, reason):
    got = run(encode_turns, small(), turns)
    expect(
        isinstance(got, (tuple, list)) and len(got) == 2,
        "encode_turns should return ids and supervised.",
    )
    ids, supervised = (list(part) for part in got)
    wanted, marks = expected_turns(turns)
    call = show_call(encode_turns, small(), turns)
    start = dict.fromkeys(("system", "user", "assistant"), "<|im_start|>")
    text = "".join(f"{start.get(s, '<|tool|>')}{s}\n{c}<|im_end|>\n" for s, c in turns)
    backend = tokenizers.Tokenizer.from_str(small().backend.to_str())
    known = [
        (
            backend.encode(text).ids,
            "You made one string of the chat and encoded it: what a user typed became "
            "special tokens, or neighbours merged. Encode the pieces apart.",
        ),
        (
            small().encode(text),
            "<|im_start|> and its kin were encoded as text; you write them, as ids.",
        ),
        (
            expected_turns(turns, tool=False)[0],
            "A tool's turn begins with <|tool|>, not with <|im_start|>.",
        ),
        ([i for i in wanted if i != 2], "The turns have no <|im_end|>."),
    ]
    same(ids, wanted, f"ids of {call}", reason, known)
    expect(
        len(supervised) == len(ids),
        f"{len(ids)} ids but {len(supervised)} marks for {show(turns)}.",
    )
    lit, should = (
        small().decode([i for i, m in zip(ids, which) if m]) for which in (supervised, marks)
    )
    expect(
        lit == should,
        f"Supervised is {lit!r}, but it should be {should!r}, for {show(turns)}: "
        "the assistant's content and the <|im_end|> after it.",
    )
    same(
        supervised,
        marks,
        f"supervised of {call}",
        "The marks stand at other places than the reply.",
    )


def tidied(fast, config, prefix=True, normalizer=True, ending=True):
    """What the colleague did, in copies."""
    fast, config = copy.deepcopy((fast, config))
    for step in fast["pre_tokenizer"].get("pretokenizers", [fast["pre_tokenizer"]]):
        if prefix and step["type"] == "ByteLevel":
            step["add_prefix_space"] = config["add_prefix_space"] = True
    if normalizer:
        fast["normalizer"] = {"type": "NFC"}
    if ending:
        end = "<|im_end|>"
        piece = [
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": end, "type_id": 0}},
        ]
        ends = {end: {"id": end, "ids": [2], "tokens": [end]}}
        fast["post_processor"] = {
            "type": "TemplateProcessing",
            "single": piece,
            "pair": piece,
            "special_tokens": ends,
        }
    return fast, config


def ids_by(fast, text):
    """The ids that a reader of tokenizer.json gets."""
    return tokenizers.Tokenizer.from_str(json.dumps(fast)).encode(text).ids


def symptoms(fast):
    """What a user notices; a line each."""
    reader = tokenizers.Tokenizer.from_str(json.dumps(fast))
    print("'fox' and ' fox' have the same ids:", ids_by(fast, "fox") == ids_by(fast, " fox"))
    back = reader.decode(ids_by(fast, "cafe\u0301"))
    print("'cafe\u0301', 5 code points, comes back with", len(back.strip()))
    print("'fox' ends in the id", ids_by(fast, "fox")[-1], "(2 is <|im_end|>)")


def bug(undo, sound, **faults):
    wanted, config = sound, {"add_prefix_space": False, "eos_token": "<|im_end|>"}
    given = tidied(wanted, config, **faults)
    got = run(undo, *given)
    expect(
        isinstance(got, (tuple, list))
        and len(got) == 2
        and all(isinstance(file, dict) for file in got),
        "undo should return the contents of both files, as two dictionaries.",
    )
    fast, mended = got
    expect(
        fast.get("model") == wanted["model"],
        "The vocabulary or the merges are others now, and the "
        "weights know the old ids: leave fast['model'] as it is.",
    )

    def reads(text, reason):
        try:
            ids = ids_by(fast, text)
        except Exception as error:
            expect(False, f"Nobody can open this tokenizer.json any more: {error}.")
        same(ids, ids_by(wanted, text), f"ids of {text!r} after undo", reason)

    expect(
        fast.get("pre_tokenizer"),
        "tokenizer.json has no pre_tokenizer now: spaces and Chinese are lost, "
        "since nothing turns them into bytes. Mend the step, don't remove it.",
    )
    expect(
        ids_by(fast, "fox") != ids_by(fast, " fox"),
        "'fox' and ' fox' still have the same ids. Which step of tokenizer.json adds a space?",
    )
    expect(
        ids_by(fast, "fox")[-1] != 2,
        "'fox' still ends in the id 2. Which part of tokenizer.json adds tokens after encoding?",
    )
    reads(
        "cafe\u0301",
        "e and its accent are still made one letter before the text is cut. Which part of "
        "tokenizer.json changes characters?",
    )
    reads("the fox found 12 drums", "A text has other ids than the model was trained with.")
    expect(
        mended.get("add_prefix_space") is False,
        "tokenizer_config.json still says add_prefix_space: a "
        "reader that follows the config puts the space back.",
    )
    same(mended, config, "the config after undo", "Something else of the config is changed.")
    for text in ("the fox", "cafe\u0301 狐狸 12\n"):
        back = tokenizers.Tokenizer.from_str(json.dumps(fast)).decode(ids_by(fast, text))
        same(
            back,
            text,
            f"{text!r}, encoded and decoded after undo",
            "A text does not come back as it was.",
        )


def longest(allowed):
    return max(allowed, key=lambda index: (len(small().token_bytes(index)), -index))


def shortest(allowed):
    return min(allowed, key=lambda index: (len(small().token_bytes(index)), index))


def check_allowed(allowed, pending, call):
    for index in range(small().vocab_size):
        piece, there = small().token_bytes(index), index in allowed
        if index in special_ids(small()):
            expect(
                not there,
                f"You allow {piece.decode()}, a special token, which stands for no text, in {call}.",
            )
        elif piece.startswith(pending):
            expect(
                there,
                f"Pending is {pending!r}, and the token {piece!r} begins with it, but you do "
                f"not allow it in {call}.",
            )
        elif pending.startswith(piece):
            expect(
                there,
                f"The token {piece!r} is a beginning of {pending!r}, which is pending, but you "
                f"do not allow it in {call}.",
            )
        else:
            expect(
                not there,
                f"You allow the token {piece!r}, which does not agree with what is pending, "
                f"{pending!r}, in {call}.",
            )
    same(
        list(allowed),
        sorted(set(allowed)),
        f"allowed in {call}",
        "The allowed ids should be sorted.",
    )


def complete(complete, prompt, pick, back):
    log = []

    def choose(ids, allowed):
        log.append((list(ids), list(allowed)))
        expect(
            allowed, f"There is nothing to choose from: allowed is empty. The ids so far are {ids}."
        )
        expect(len(log) < 50, "choose was called 50 times: does what is pending get shorter?")
        return pick(allowed)

    call = show_call(complete, small(), prompt, choose, back)
    got = run(complete, small(), prompt, choose, back)
    encoded = small().encode(prompt)
    wanted = encoded[: max(len(encoded) - back, 0)]
    pending = prompt.encode()[sum(len(small().token_bytes(i)) for i in wanted) :]
    for ids, allowed in log:
        expect(pending, f"Nothing is pending any more, but choose is called once more, in {call}.")
        same(
            ids,
            wanted,
            f"the ids that choose is given in {call}",
            f"{back} tokens should be taken back.",
            [(encoded, "Nothing was taken back: the prompt's last tokens are still there.")],
        )
        check_allowed(allowed, pending, call)
        wanted.append(pick(allowed))
        pending = pending[len(small().token_bytes(wanted[-1])) :]
    expect(
        not pending,
        f"{pending!r} is still pending, but choose is not called any more, in {call}: the "
        "text of the result does not begin with the prompt.",
    )
    same(got, wanted, call, "The result is what was kept and what was chosen.")
