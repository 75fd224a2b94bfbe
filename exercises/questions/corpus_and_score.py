"""What the checks of notebook 01 ask a student's function, and the reasons that they give."""

import math
from collections import Counter
from fractions import Fraction

from exercises.checks import expect, run, same, show_call


def entropy(entropy, plots, wanted, reason, *mistakes):
    same(run(entropy, plots), wanted, show_call(entropy, plots), reason, mistakes)


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


def noise(adaptive_bits, data, order, wanted, reason, *mistakes):
    call = show_call(adaptive_bits, data, order)
    same(run(adaptive_bits, data, order), wanted, call, reason, mistakes)


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
