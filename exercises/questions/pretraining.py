"""What the checks of notebook 05 ask a student's function, and the reasons that they give.

The tables hold what a question is asked with: arguments, what is wanted, why, and known mistakes.
"""

import math

import torch
import torch.nn.functional as F

from exercises.checks import expect, run, same, show_call
from minimind_lite.model import ModelConfig, Transformer

ROWS = [
    (
        [3],
        10,
        [[0]],
        "One sample, one row; rows hold indices.",
        ([[3]], "Rows hold indices, not lengths."),
    ),
    (
        [6, 4],
        10,
        [[0, 1]],
        "6 and 4 fill the row exactly.",
        (
            [[0], [1]],
            "4 fits into the 4 positions that are free: a row may be filled to its last position.",
        ),
    ),
    (
        [6, 5, 4],
        10,
        [[0, 2], [1]],
        "Row 0 still has room for 4, and it comes first.",
        (
            [[0], [1, 2]],
            "You looked only at the last row, or at the emptiest: row 0 has room for 4.",
        ),
    ),
    (
        [3, 6, 7],
        10,
        [[0, 1], [2]],
        "In the order given: 3 and 6, then 7.",
        ([[0, 2], [1]], "You sorted the samples; here they come in the order given."),
        ([[2, 0], [1]], "You sorted the samples; here they come in the order given."),
    ),
    (
        [5, 7, 2, 3],
        10,
        [[0, 2, 3], [1]],
        "Row 0 is the first with room for 2, and again for 3.",
        ([[0, 3], [1, 2]], "You took the fullest row that has room: here it is the first one."),
    ),
]


def fit(first_fit, lengths, capacity, wanted, reason, *mistakes):
    call = show_call(first_fit, lengths, capacity)
    same(run(first_fit, lengths, capacity), wanted, call, reason, mistakes)


def too_long(first_fit):
    """Whether a sample that fits into no row is an error."""
    try:
        rows = first_fit([3, 11], 10)
    except ValueError:
        return
    expect(False, f"first_fit([3, 11], 10) gave {rows}, but 11 fits into no row: raise ValueError.")


LABELS = [
    (
        [[0, 7, 0]],
        [[0, 0, 0]],
        [[7, 0, -100]],
        "0 is followed by 7, 7 by 0, and the last 0 by nothing.",
        ([[0, 7, 0]], "The labels are the inputs: a model learns to copy. Shift them by one."),
        (
            [[7, 0, 0]],
            "After the last token nothing comes, but your label is the row's first token.",
        ),
        ([[0, -100, -100]], "Shifted twice: the label is the next token, not the one after it."),
        (
            [[-100, 0, 7]],
            "Shifted the wrong way: the label is the token after, not the one before.",
        ),
        (
            [[7, -100, -100]],
            "The end of the document is a target too: without it a model never stops.",
        ),
    ),
    (
        [[0, 7, 0, 0, 9, 0]],
        [[0, 0, 0, 1, 1, 1]],
        [[7, 0, -100, 9, 0, -100]],
        "Two documents.",
        (
            [[7, 0, 0, 9, 0, -100]],
            "The last token of the first document has the second one's first "
            "token as its label: nothing leads from one document into the next.",
        ),
    ),
    (
        [[0, 7, 0, 0, 0]],
        [[0, 0, 0, -1, -1]],
        [[7, 0, -100, -100, -100]],
        "Padding is no target.",
        ([[7, 0, -100, 0, -100]], "Padding became a target: its segment is -1."),
        ([[7, 0, 0, 0, -100]], "Padding became a target: its segment is -1."),
        (
            [[7, -100, -100, -100, -100]],
            "A target was left out because its id is that of padding. The "
            "end of a document is one: go by segments, not by ids.",
        ),
    ),
]


def labels(make_labels, ids, segments, wanted, reason, *mistakes):
    ids, segments = torch.tensor(ids), torch.tensor(segments)
    known = [(torch.tensor(value), why) for value, why in mistakes]
    call = show_call(make_labels, ids, segments)
    same(run(make_labels, ids, segments), torch.tensor(wanted), call, reason, known)


def small_model(**fields):
    torch.manual_seed(0)
    return Transformer(ModelConfig(num_hidden_layers=2, num_attention_heads=2, **fields))


def learned(inputs, labels):
    """A small model after 30 steps of four rows each, and the loss at each step."""
    small = small_model(hidden_size=64)
    optimizer, losses = torch.optim.AdamW(small.parameters(), lr=5e-3), []
    for step in range(30):
        rows = torch.arange(4) + 4 * step % (len(inputs) - 4)
        loss = F.cross_entropy(small(inputs[rows]).flatten(0, 1), labels[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return small, losses


def vectors(numbers):
    return [None if g is None else torch.tensor(g) for g in numbers]


CLIPPINGS = [
    (
        [[3.0, 4.0]],
        10.0,
        [[3.0, 4.0]],
        5.0,
        "5 is shorter than 10: nothing changes.",
        ([[6.0, 8.0]], "You made a short gradient longer: clipping only ever shortens."),
    ),
    (
        [[3.0], [4.0]],
        1.0,
        [[0.6], [0.8]],
        5.0,
        "Together they are 5 long: each is divided by 5.",
        (
            [[1.0], [1.0]],
            "Each tensor was clipped by itself, or each number: that changes the "
            "direction. There is one length, of all gradients together.",
        ),
        (
            [[3 / 7], [4 / 7]],
            "Lengths of vectors do not add up; the squares of all their numbers do.",
        ),
        ([[3 / 25], [4 / 25]], "You divided by the square of the length."),
        ([[3.0], [4.0]], "5 is longer than 1, but nothing was clipped."),
    ),
    (
        [[6.0], None, [8.0]],
        5.0,
        [[3.0], None, [4.0]],
        10.0,
        "None stays None.",
        ([[0.6], None, [0.8]], "You scaled to length 1, not to max_norm."),
        ([[3.0], [4.0]], "None is missing: the list must match the parameters."),
    ),
    (
        [[0.0, 0.0]],
        1.0,
        [[0.0, 0.0]],
        0.0,
        "Nothing to clip.",
        (
            [[math.nan] * 2],
            "0 / 0 is nan, and an optimizer spreads it: a length of 0 needs no division.",
        ),
    ),
]


def clip(clip, numbers, max_norm, wanted, norm, reason, *mistakes):
    given = vectors(numbers)
    result, call = run(clip, given, max_norm), show_call(clip, given, max_norm)
    expect(
        isinstance(result, tuple) and len(result) == 2,
        f"Return (gradients, norm), not {result}: {call}",
    )
    known = [(vectors(value), why) for value, why in mistakes]
    same(result[0], vectors(wanted), call, reason, known)
    lengths = [(min(norm, max_norm), "The second result is the length before clipping, not after."),
               (norm**2, "That is the square of the length."),
               (sum(abs(x) for g in numbers if g for x in g), "Lengths of vectors do not add up; "
                                                              "the "
                "squares of all their numbers do.")]  # fmt: skip
    same(float(result[1]), norm, call, "The second result is the length before clipping.", lengths)


def tiny():
    """A tiny model with a vocabulary of 16."""
    return small_model(vocab_size=16, hidden_size=32)


def pairs_of_tokens():
    """40 batches in which every token comes twice, which can be learned: [40, batch, seq]."""
    batches = torch.randint(16, (40, 16, 9), generator=torch.Generator().manual_seed(0))
    batches[..., 1::2] = batches[..., :-1:2]
    return batches


def loss_of(model, ids):
    """The mean loss of a model in nats over all next tokens; ids: [batch, seq]."""
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def guessing(ids):
    """A model that knows nothing: four tokens, all equally likely, two bits each."""
    return torch.zeros(*ids.shape, 4)


def letters(text):
    """A tokenizer with three tokens besides 0: a, b, c."""
    return [" abc".index(letter) for letter in text]


BELOW = [
    (
        ["abc"],
        4,
        8 / 3,
        "Three letters and the end: four tokens of two bits, for three bytes.",
        (
            2.0,
            "That is per token, or without the end of the text: four tokens are predicted, three "
            "bytes are divided by.",
        ),
        (8 / 3 * math.log(2), "That is in nats."),
    ),
    (
        ["a", "abcabcabc"],
        4,
        24 / 10,
        "Two and ten tokens of two bits, for ten bytes together.",
        (
            12 / 10,
            "Of the long text only the first four tokens were predicted, but all nine bytes are "
            "divided by: the rest was stored for nothing.",
        ),
        (
            20 / 10,
            "A token was never predicted: the first of a piece. Let the next piece begin with "
            "the last token of the one before.",
        ),
        (28 / 10, "A token was predicted twice: the pieces overlap by more than one token."),
        (8 / 10, "Only the last piece of a text was counted."),
        (4.0, "The long text was left out."),
        (
            (4 + 20 / 9) / 2,
            "You averaged the texts' scores: add up bits and bytes, and divide once.",
        ),
    ),
    (
        ["abcabcabcabc"],
        4,
        26 / 12,
        "Thirteen tokens of two bits, for twelve bytes.",
        (2.0, "Only what was read is divided by, so the rest of the text is not scored at all."),
    ),
]


def below(score, texts, positions, wanted, reason, *mistakes, model=guessing):
    lengths = []

    def watched(ids):
        lengths.append(ids.shape[1])
        return model(ids)

    call = f"score(model, encode, {texts}, {positions})"
    got = run(score, watched, letters, texts, positions)
    expect(
        max(lengths, default=0) <= positions,
        f"The model was given {max(lengths, default=0)} "
        f"tokens at "
        f"once; it reads at most {positions}. {call}",
    )
    same(got, wanted, call, reason, mistakes)


def reference(batch, rate, make, last=12):
    model = make()
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95)), []
    for step in range(last):
        losses.append(model(batch(step)))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.param_groups[0]["lr"] = rate(step)
        optimizer.step()
    return [loss.item() for loss in losses]


def part(run_steps, batch, make, until, state=None):
    result = run(run_steps, make, batch, until, state)
    good = isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], list)
    expect(good, "Return (list of losses, state).")
    return result


def resume(run_steps, batch, rate, name, make, cuts=(7,)):
    wanted, state, start = reference(batch, rate, make), None, 0
    for until in (*cuts, 12):
        losses, state = part(run_steps, batch, make, until, state)
        torch.manual_seed(99)  # between two parts, other programs draw random numbers too
        call = f"Steps {start} to {until - 1} of a run of 12, with {name}"
        expect(
            len(losses) == until - start,
            f"{call}: {len(losses)} losses came back, not "
            f"{until - start}, one for each of these steps.",
        )
        for step, (got, loss) in enumerate(zip(losses, wanted[start:]), start):
            found = f"{call}: step {step} has the loss {got:.6f}, without a stop {loss:.6f}."
            more = (
                (
                    " The weights are right, for the first step after the stop is; something else "
                    "that a step depends on was lost."
                )
                if step > start > 0
                else ""
            )
            expect(got == loss, found + more)
        start = until


class Reading(Transformer):
    """A model of the package that returns the loss of what it reads."""

    def forward(self, ids):
        return F.cross_entropy(super().forward(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def reading():
    torch.manual_seed(0)
    return Reading(ModelConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=2))


def show_losses(name, losses):
    print(f"{name:<13}", " ".join(f"{loss:.3f}" for loss in losses))
