"""What the checks of notebook 01 ask a student's function, and the reasons that they give.

The tables hold what a question is asked with: arguments, what is wanted, why, and known mistakes.
"""

import math
import tempfile
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path
from random import Random

from exercises.checks import expect, run, same, show_call
from minimind_lite.grammar import Grammar


def entropy(entropy, plots, wanted, reason, *mistakes):
    same(run(entropy, plots), wanted, show_call(entropy, plots), reason, mistakes)


def grammar_of(plots):
    """A grammar file of that shape, read by the package; plots: as `entropy` takes them."""
    lines = []
    for number, places in enumerate(plots):
        sentence = " ".join("{" + "|".join(f"word{i}" for i in range(n)) + "}" for n in places)
        lines.append(f"plot number{number}\n  Story {number}: {sentence}.\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.txt"
        path.write_text("".join(lines), encoding="utf-8")
        return Grammar(path)


SCORES = [
    (
        [("ab", [0.25])],
        1.0,
        "A token of probability 1/4 costs two bits; the text has two bytes.",
        (2.0, "That is two bits per token. Divide by bytes, which no tokenizer can change."),
        (-1.0, "The logarithm of a probability is negative; its surprise is minus that."),
        (math.log(2), "That is in nats: bits need the logarithm to base 2."),
        (4.0, "That is the perplexity, which depends on how the text was cut into tokens."),
    ),
    (
        [("你", [0.125])],
        1.0,
        "Three bits, and the character has three bytes in UTF-8.",
        (3.0, "You divided by characters. 你 is one character but three bytes in UTF-8."),
    ),
    (
        [("a", [0.5]), ("abcdefg", [0.5])],
        0.25,
        "Two bits for eight bytes.",
        (
            4 / 7,
            "You averaged the documents' scores, so a byte of the short one weighs seven times as "
            "much as a byte of the long one. Add up bits and bytes first, and divide once.",
        ),
        (1.0, "Only the first document was counted: there are two."),
    ),
]


def score(score, documents, wanted, reason, *mistakes):
    same(run(score, documents), wanted, show_call(score, documents), reason, mistakes)


def chat(*contents):
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


def said(conversation):
    return " / ".join(message["content"] for message in conversation)


def split(split, conversations, held_out, seed):
    result = run(split, conversations, held_out, seed)
    call = f"\n  split({[said(c) for c in conversations]}, {held_out}, {seed})"
    pair = isinstance(result, (list, tuple)) and len(result) == 2
    expect(pair, f"Return two lists, training and validation.{call}")
    asked = [{said(c[:-1]) for c in part} for part in result]
    both = min(asked[0] & asked[1], default=None)
    expect(both is None, f"The split leaks: the prompt {both!r} is in both lists.{call}")
    before, after = Counter(map(said, conversations)), Counter(map(said, [*result[0], *result[1]]))
    for lost in before - after:
        expect(False, f"A conversation was lost: {lost!r}.{call}")
    for twice in after - before:
        expect(False, f"A conversation came twice: {twice!r}.{call}")
    found = f"The validation list has {len(asked[1])} different prompts, not {held_out}."
    expect(len(asked[1]) == held_out, found + call)
    return sorted(map(said, result[1]))


NOISE = [
    (
        b"a",
        0,
        8.0,
        "Nothing was counted before the first byte: all 256 are equally likely.",
        (
            -math.log2((1 + 1 / 256) / 2),
            "The first byte costs less than one bit, but nothing was known of "
            "it. It had been counted before it was asked for.",
        ),
    ),
    (
        b"ab",
        0,
        17.0,
        "8 bits for a; then b has probability (0 + 1/256) / (1 + 1), which is 9 bits.",
        (16.0, "After an a, a b is less likely than 1 in 256: what was read must count."),
    ),
    (
        b"aa",
        1,
        16.0,
        "The second a is the first byte after an a, so it costs 8 bits again.",
        (
            8 - math.log2((1 + 1 / 256) / 2),
            "The second a was predicted from the wrong bytes: with "
            "order 1 its context is the one before it.",
        ),
    ),
    (
        b"aaa",
        2,
        24.0,
        "Three different contexts, nothing, a and aa: each is met for the first time.",
    ),
]
FROM_THE_PAST = "Each byte is predicted from those before it."


def noise(adaptive_bits, data, order, wanted, reason=FROM_THE_PAST, *mistakes):
    call = show_call(adaptive_bits, data, order)
    same(run(adaptive_bits, data, order), wanted, call, reason, mistakes)


def noise_adds_up(adaptive_bits, data, order):
    """Whether the 256 bytes that may follow the data share a probability of one."""
    bits = run(adaptive_bits, data, order)
    more = [run(adaptive_bits, data + bytes([byte]), order) for byte in range(256)]
    total = sum(2 ** (bits - after) for after in more)
    expect(
        abs(total - 1) < 1e-6,
        f"After {data!r} with order {order}, the probabilities of all "
        f"256 next bytes add up to {total:.3f}, not to one.",
    )


def bounded(bounded, probabilities, most_bits, wanted, *mistakes):
    got, call = run(bounded, probabilities, most_bits), show_call(bounded, probabilities, most_bits)
    expect(
        isinstance(got, (list, tuple)) and len(got) == len(probabilities),
        f"Return a list with one probability for each symbol.\n  {call}\n  gave {got}",
    )
    shown, total = f"\n  {call}\n  gave {[round(p, 4) for p in got[:8]]}", sum(got)
    expect(
        abs(total - 1) < 1e-9,
        f"The probabilities add up to {total:.4g}, not to one: who gives "
        f"away more than there is cheats.{shown}",
    )
    expect(min(got) > 0, f"A probability of {min(got):.4g} costs infinitely many bits.{shown}")
    dear = -math.log2(min(got))
    expect(dear <= most_bits + 1e-9, f"A symbol costs {dear:.3f} bits, over {most_bits}.{shown}")
    reason = "Every symbol gets the same small part, and the old probabilities share what is left."
    same(list(got), wanted, call, reason, mistakes)


def count_contexts(texts, order):
    """How often each byte followed each context of up to `order` bytes: {context: Counter}."""
    counts = defaultdict(Counter)
    for data in map(str.encode, texts):
        for i, byte in enumerate(data):
            for k in range(order + 1):
                counts[data[max(0, i - k) : i]][byte] += 1
    return counts


def distribution(counts, past, order):
    """The probabilities of the 256 bytes that may follow the past; all lengths of context count."""
    p = [1 / 256] * 256
    for k in range(order + 1):
        if seen := counts.get(past[max(0, len(past) - k) :]):
            n, kinds = seen.total(), len(seen)
            p = [(seen.get(byte, 0) + kinds * p[byte]) / (n + kinds) for byte in range(256)]
    return p


HALF, THIRD, QUARTER = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)
INTERVALS = [  # steps, low, high, digits
    ([], 0, 1, 0),
    ([(0, 1, 2)], 0, HALF, 1),
    ([(1, 2, 2)], HALF, 1, 1),
    ([(0, 1, 4)], 0, QUARTER, 2),
    ([(1, 3, 4)], QUARTER, 3 * QUARTER, 2),
    ([(2, 3, 3)], 2 * THIRD, 1, 2),
    ([(1, 2, 2), (0, 1, 2)], HALF, 3 * QUARTER, 2),
    ([(0, 1, 2), (1, 2, 2)], QUARTER, HALF, 2),
    (
        [(1, 2, 3)] * 100,
        (1 - THIRD**100) / 2,
        (1 + THIRD**100) / 2,
        160,
        "encode([(1, 2, 3)] * 100)",
    ),
]


def drawn_steps(drawn: Random, length):
    """So many steps (start, end, total), each of them possible."""
    totals = [drawn.randrange(2, 1000) for _ in range(length)]
    starts = [drawn.randrange(total) for total in totals]
    return [(s, drawn.randrange(s + 1, t + 1), t) for s, t in zip(starts, totals)]


def steps_of(symbols, frequencies):
    """The steps for symbols, of which frequencies(symbols so far) gives how likely each one is."""
    steps = []
    for i, symbol in enumerate(symbols):
        counts = frequencies(symbols[:i])
        steps.append((sum(counts[:symbol]), sum(counts[: symbol + 1]), sum(counts)))
    return steps


def comes_back(encode, decode, counts, symbols, name):
    """Whether symbols, each as likely as its count says, can be read again."""
    bits = run(encode, steps_of(symbols, lambda _: counts))
    back = decode(bits, lambda _: counts, lambda found: len(found) == len(symbols))
    expect(back == symbols, f"{name} did not come back.")


def compress(encode, steps, low, high, digits, name=None):
    bits, call = run(encode, steps), name or show_call(encode, steps)
    expect(
        isinstance(bits, str) and not set(bits) - {"0", "1"},
        f"Return a string of 0s and 1s, not {bits!r}.\n  {call}",
    )
    k, n = int(bits or "0", 2), len(bits)
    shown = (
        f"\n  {call}\n  gave   {bits[:60]!r}, that is {k / 2**n:.6g} to {(k + 1) / 2**n:.6g}"
        f"\n  wanted something inside {float(low):.6g} up to {float(high):.6g}"
    )
    first, after = Fraction(k, 2**n), Fraction(k + 1, 2**n)
    expect(first >= low, f"The string's first number lies before the interval.{shown}")
    expect(first < high, f"The string's first number lies past the interval.{shown}")
    expect(
        after <= high,
        f"It begins inside the interval, but what follows the digits can lead past its end.{shown}",
    )
    expect(n == digits, f"{digits} digits would do, you wrote {n}.{shown}")
