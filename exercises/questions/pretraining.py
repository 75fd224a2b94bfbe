"""What the checks of notebook 05 ask a student's function, and the reasons that they give."""

import torch

from exercises.checks import expect, run, same, show_call


def fit(first_fit, lengths, capacity, wanted, reason, *mistakes):
    call = show_call(first_fit, lengths, capacity)
    same(run(first_fit, lengths, capacity), wanted, call, reason, mistakes)


def labels(make_labels, ids, segments, wanted, reason, *mistakes):
    ids, segments = torch.tensor(ids), torch.tensor(segments)
    known = [(torch.tensor(value), why) for value, why in mistakes]
    call = show_call(make_labels, ids, segments)
    same(run(make_labels, ids, segments), torch.tensor(wanted), call, reason, known)


def vectors(numbers):
    return [None if g is None else torch.tensor(g) for g in numbers]


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


def guessing(ids):
    """A model that knows nothing: four tokens, all equally likely, two bits each."""
    return torch.zeros(*ids.shape, 4)


def letters(text):
    """A tokenizer with three tokens besides 0: a, b, c."""
    return [" abc".index(letter) for letter in text]


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
