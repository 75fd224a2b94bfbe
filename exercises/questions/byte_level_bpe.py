"""What the checks of notebook 02 ask a student's function, and the reasons that they give.

The tables hold what a question is asked with: arguments, what is wanted, why, and known mistakes.
"""

import time
from random import Random

from exercises.checks import expect, run, same, show_call
from minimind_lite.bpe import train_bpe

COUNTS = [
    (
        [("lo", 1)],
        {("l", "o"): 1},
        "Two letters are one pair.",
        ({}, "The last pair is missing: a word of two tokens has one."),
    ),
    (
        [("low", 2)],
        {("l", "o"): 2, ("o", "w"): 2},
        "A word that occurs twice has each pair twice.",
        ({("l", "o"): 1, ("o", "w"): 1}, "The weight was forgotten: this word occurs twice."),
        ({("l", "o"): 2}, "The last pair is missing: a word of three tokens has two."),
    ),
    (
        [("ab", 1), ("ba", 1)],
        {("a", "b"): 1, ("b", "a"): 1},
        "A pair has an order.",
        (
            {("a", "b"): 2},
            "(a, b) and (b, a) are different pairs: a merge writes down one of them.",
        ),
        (
            {("a", "b"): 1, ("b", "b"): 1, ("b", "a"): 1},
            "A pair reaches from one word into the next.",
        ),
    ),
    (
        [("low", 2), ("lo", 3)],
        {("l", "o"): 5, ("o", "w"): 2},
        "Both words hold l, o: two and three.",
        (
            {("l", "o"): 3, ("o", "w"): 2},
            "The second word's count took the place of the first one's.",
        ),
    ),
    (
        [("aaa", 1)],
        {("a", "a"): 2},
        "a, a stands at two places.",
        (
            {("a", "a"): 1},
            "a, a stands at the first and at the second place, as zip sees it: twice.",
        ),
    ),
    ([("a", 7), ("", 1)], {}, "No neighbours, no pairs."),
]


def count(count_pairs, words, wanted, reason, *mistakes):
    words = [(list(word), weight) for word, weight in words]
    same(run(count_pairs, words), wanted, show_call(count_pairs, words), reason, mistakes)


def merged(word, pair):
    """The word, a list of tokens, with every occurrence of the pair merged, from left to right."""
    tokens = []
    for token in word:
        fits = tokens and (tokens[-1], token) == pair
        tokens[-1:] = [tokens[-1] + token] if fits else [*tokens[-1:], token]
    return tokens


ENCODINGS = [
    ("ab", [], "a b", "Nothing was learned, so nothing merges."),
    (
        "ab",
        ["a+b"],
        "ab",
        "The only merge that was learned fits.",
        ("a b", "Nothing was merged, but the rank of a+b is 0, and 0 is a rank."),
    ),
    (
        "abab",
        ["a+b"],
        "ab ab",
        "The pair stands at two places.",
        ("ab a b", "Only the first place was merged: the pair stands at two."),
    ),
    (
        "abc",
        ["b+c", "a+b"],
        "a bc",
        "b+c was learned first, so it is merged first.",
        (
            "ab c",
            "You merged a+b first, or took the longest token that fits from the left; but b+c was "
            "learned before it.",
        ),
    ),
    ("abc", ["b+c", "a+b", "ab+c"], "a bc", "b+c is merged first, and a+bc was never learned."),
    (
        "aaa",
        ["a+a"],
        "aa a",
        "From left to right, each a is used once.",
        ("a aa", "That is from right to left."),
        ("aa aa", "The a in the middle was used twice."),
    ),
    (
        "abcd",
        ["a+b", "ab+c", "c+d"],
        "abc d",
        "What a merge makes can be merged again.",
        ("ab cd", "ab+c was learned before c+d, but your list of neighbours was out of date."),
        ("ab c d", "You stopped after one merge: what it made can be merged again."),
    ),
]


def encode(encode_word, text, merges, wanted, reason, *mistakes):
    tokens = [bytes([byte]) for byte in text.encode()]
    ranks = {tuple(part.encode() for part in merge.split("+")): i for i, merge in enumerate(merges)}
    call, wanted = show_call(encode_word, tokens, ranks), [part.encode() for part in wanted.split()]
    known = [([part.encode() for part in value.split()], why) for value, why in mistakes]
    same(run(encode_word, tokens, ranks), wanted, call, reason, known)


AB, BC, CD = (b"a", b"b"), (b"b", b"c"), (b"c", b"d")
ORDERS = [
    (["ab"], 1, "There is one pair."),
    (["ab"], 5, "There is one pair, and then none is left: fewer merges than asked for."),
    (
        ["ba", "ba"],
        2,
        "b, a is merged; then each text is one token.",
        (
            [(b"b", b"a"), (b"ba", b"ba")],
            "You learned baba, which no text holds: a merge reached from one text into the next.",
        ),
    ),
    (
        ["cd", "ab"],
        1,
        "Both pairs occur once, and a has a smaller id than c.",
        (
            [CD],
            "You took the pair that was met first, so the order of the texts decides. Let the ids.",
        ),
    ),
    (
        ["ab", "cd", "cd"],
        1,
        "c, d occurs twice, a, b once.",
        ([AB], "c, d is more frequent: the same text twice counts twice."),
    ),
    (
        [" ab"],
        1,
        "Each pair occurs once, and in byte_order the space comes after the letters.",
        (
            [(b" ", b"a")],
            "You compared byte strings; the ids decide, and the space has a large one.",
        ),
    ),
    (
        ["ab ab", "xy"],
        3,
        "a, b twice; then the ids of x and of the space decide, in byte_order.",
        ([AB, (b" ", b"ab"), (b"x", b"y")], "x has a smaller id than the space."),
    ),
]


def order(train, texts, count, reason, *mistakes):
    wanted = train_bpe(texts, 256 + count)[1]
    same(run(train, texts, count), wanted, show_call(train, texts, count), reason, mistakes)


def any_order(train, texts):
    """Whether the texts read from the last to the first give the same merges."""
    one, two = run(train, texts, 4), run(train, texts[::-1], 4)
    same(two, one, show_call(train, texts[::-1], 4), f"In the order {texts} the result is another.")


DIGITS = [
    ("owl", ["owl"], "No digit, nothing to cut."),
    ("17", ["1", "7"], "Each digit is a piece.", (["17"], "17 is still one piece.")),
    (
        "It is 17.",
        ["It", " is", " 1", "7", "."],
        "The space stays with the first digit.",
        (
            ["It", " is", " ", "1", "7", "."],
            "The space became a piece of its own: it stays with 1.",
        ),
        (["It", " is", "1", "7", "."], "The space is gone."),
        (["It is ", "1", "7", "."], "Words were not cut: begin with the pieces of split_words."),
        (["It", " is", " 17", "."], "17 is still one piece."),
    ),
    (
        "3 owls",
        ["3", " owls"],
        "Only the number changes.",
        (["3", " ", "owls"], "The space belongs to the word after it, as in split_words."),
        (["3", " ", "o", "w", "l", "s"], "Letters were cut as well."),
    ),
    (
        "100",
        ["1", "0", "0"],
        "Three digits, three pieces.",
        (["1", "00"], "Only one digit was cut off."),
    ),
    (
        "一只猫",
        ["一只猫"],
        "一 is a word that means one, and no decimal digit.",
        (["一", "只猫"], "You cut 一, which is numeric but no decimal digit: ask str.isdecimal."),
    ),
]


def digits(split_digits, text, wanted, reason, *mistakes):
    got, call = run(split_digits, text), show_call(split_digits, text)
    expect(all(isinstance(piece, str) for piece in got), f"Return a list of str: {call}")
    if all(list(got) != value for value, _ in mistakes):
        joined = "".join(got)
        expect(joined == text, f"Joined, your pieces are {joined!r}: some is lost or added. {call}")
    same(list(got), wanted, call, reason, mistakes)


FASTS = [
    ({"ab": 1}, 1, "There is one pair."),
    ({"ab": 1}, 3, "One merge, then no pair is left."),
    (
        {"cd": 1, "ab": 1},
        2,
        "Equally frequent: the pair with the least ids first.",
        ([CD, AB], "You took the pair that was met first; of equals the ids decide."),
    ),
    (
        {"ab": 1, "cd": 3},
        1,
        "c, d occurs three times.",
        ([AB], "The words' weights were forgotten: cd occurs three times."),
    ),
    (
        {"abc": 2, "bcd": 1},
        3,
        "b, c; then a, bc twice; then bc, d.",
        ([BC, AB, (b"a", b"bc")], "After the merge of b, c, the old pair a, b still counted."),
        ([BC], "The pairs that a merge makes, a+bc and bc+d, were not counted."),
    ),
    ({"aaa": 1, "ab": 1, "aab": 1}, 4, "aaa holds a, a at two places, but only one merge fits."),
    ({"banana": 1, "bandana": 2, "an": 1}, 5, "After each merge, counts are as if counted anew."),
]


def fast(train_fast, naive_train, words, count, reason, *mistakes):
    call, wanted = show_call(train_fast, words, count), naive_train(words, count)
    same(run(train_fast, words, count), wanted, call, reason, mistakes)


def seconds(trainer, words, count):
    start = time.process_time()
    merges = run(trainer, words, count)
    return time.process_time() - start, merges


def faster(train_fast, naive_train):
    """Whether 40 merges of 600 words take less than half of the naive trainer's time."""
    drawn, letters = Random(4), "abcdefghijklmnop"
    words = {
        "".join(drawn.choices(letters, k=drawn.randrange(3, 9))): drawn.randrange(1, 50)
        for _ in range(600)
    }
    (slow, wanted), (fast, merges) = (seconds(t, words, 40) for t in (naive_train, train_fast))
    same(
        merges, wanted, "train_fast(600 words, 40)", "After a merge, counts are as if counted anew."
    )
    expect(
        2 * fast < slow,
        f"All 40 merges are right, but you needed {fast / slow:.0%} of the naive "
        "trainer's time. After a merge, read only words that hold its pair.",
    )
