"""What the checks of notebook 08 ask a student's function, and the reasons that they give."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.checks import expect, run, same, show
from minimind_lite import recipe
from minimind_lite.corpus import read_jsonl
from minimind_lite.data import IGNORE, collate
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer


class Model(Transformer):
    def __repr__(self):
        return "model"  # short, for messages


def tiny_model(seed: int = 0) -> Model:
    """Random weights, in double precision, a vocabulary of 13."""
    torch.manual_seed(seed)
    shape = ModelConfig(vocab_size=13, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    return Model(shape).double().eval()


class ToyTokenizer(Tokenizer):
    """A tokenizer of 320 tokens; `<|endoftext|>`, id 0, both ends a turn and pads."""

    def __repr__(self):
        return "tokenizer"


def toy_tokenizer() -> ToyTokenizer:
    texts = [
        "user: Hi. assistant: Hello! user: Who are you? assistant: I am a model.",
        "system: Be kind. 你好",
    ] * 4
    return ToyTokenizer(Tokenizer.train(texts, 320).backend)


def spans(spans, picture: str, wanted: list[tuple[int, int]]) -> None:
    mask = [mark == "x" for mark in picture]
    at_end = picture.endswith("x")
    mistakes = [
        (
            [(start, end - 1) for start, end in wanted],
            "The end is not included: mask[start:end] has to hold the whole run.",
        ),
        (
            wanted[:-1],
            (
                "The last run goes up to the end of the list, and no False follows that would"
                " close it."
                if at_end
                else "The last run is missing."
            ),
        ),
        (wanted[1:], "The first run is missing."),
        (
            [(wanted[0][0], wanted[-1][1])] if wanted else [(0, 0)],
            "There are several runs, with a gap between: each is a pair.",
        ),
        ([(i, i + 1) for i, lit in enumerate(mask) if lit], "Neighbours belong to one run."),
        ([(start, end - start) for start, end in wanted], "Second comes the end, not the length."),
        (spans_of([not lit for lit in mask]), "These are the runs of False."),
    ]
    got = run(spans, mask)
    same(
        got,
        wanted,
        f"spans of {picture!r} (x is True)",
        "Each run of True is one pair (start, end).",
        mistakes,
    )


def spans_of(mask: list[bool]) -> list[tuple[int, int]]:
    text = "".join("x" if lit else "-" for lit in mask)
    runs, place = [], 0
    for piece in text.replace("x-", "x -").replace("-x", "- x").split():
        runs += [(place, place + len(piece))] if "x" in piece else []
        place += len(piece)
    return runs


def encode(encode_dialogue, *turns: tuple[str, str]) -> None:
    tokenizer, messages = (
        toy_tokenizer(),
        [{"role": role, "content": words} for role, words in turns],
    )
    told = f"For {[f'{role}: {words}' for role, words in turns]}, "
    got = run(encode_dialogue, tokenizer, messages)
    expect(
        isinstance(got, tuple) and len(got) == 2,
        f"{told}you gave {show(got)}; two lists should come back: ids, supervised.",
    )
    ids, supervised = map(list, got)
    expect(
        len(ids) == len(supervised),
        f"{told}there are {len(ids)} ids and {len(supervised)} marks; each id needs one.",
    )
    ends = ids.count(tokenizer.end_id)
    spelled = "<|endoftext|>" in "".join(words for _, words in turns)
    expect(
        ends == len(turns),
        f"{told}{ends} end tokens are in the ids, but there are {len(turns)} turns. "
        + (
            "A user's words must never become one."
            if spelled and ends > len(turns)
            else (
                "encode never writes a special id, so the end has to be put there as"
                " tokenizer.end_id."
            )
        ),
    )
    text, wanted = (
        tokenizer.decode(ids),
        "".join(f"{role}: {words}<|endoftext|>" for role, words in turns),
    )
    same(
        text, wanted, "the ids, decoded", "The ids should spell the format, all of it and in order."
    )
    lit = tokenizer.decode([i for i, mark in zip(ids, supervised) if mark])
    replies = [words for role, words in turns if role == "assistant"]
    every = "".join(words + "<|endoftext|>" for _, words in turns)
    same(
        lit,
        "".join(words + "<|endoftext|>" for words in replies),
        f"{told}the supervised ids, decoded",
        "Only the assistant's words and their ends are supervised.",
        [
            (
                "".join(replies),
                (
                    "The end token after each reply is not supervised: this model will never learn"
                    " to stop."
                ),
            ),
            (every, "The user's words are supervised, too: the model will learn to ask."),
            (wanted, "Everything is supervised: there is no mask."),
            (
                "".join(f"assistant: {words}<|endoftext|>" for words in replies),
                "The header is supervised, too.",
            ),
            ("", "Nothing is supervised."),
        ],
    )
    pieces = [
        piece
        for role, words in turns
        for piece in (tokenizer.encode(role + ": "), tokenizer.encode(words), [0])
    ]
    same(
        ids,
        sum(pieces, []),
        f"{told}the ids",
        "The text is right, but header and words were not encoded apart.",
    )


ROLE = {"s": "system", "u": "user", "a": "assistant"}


def fit(turns_that_fit, short: str, lengths: list[int], room: int, wanted: int) -> None:
    roles, call = (
        [ROLE[letter] for letter in short],
        f"turns_that_fit({list(short)}, {lengths}, {room})",
    )
    got = run(turns_that_fit, roles, lengths, room)
    expect(
        isinstance(got, int) and 0 <= got <= len(roles),
        f"{call} gave {show(got)}; it should be a number from 0 to {len(roles)}.",
    )
    if got == wanted:
        return
    taken = sum(lengths[:got])
    expect(
        taken <= room,
        f"{call} gave {got}: the first {got} messages have {taken} tokens, and {room} fit.",
    )
    expect(
        got == 0 or roles[got - 1] == "assistant",
        f"{call} gave {got}: then the {roles[got - 1]} has the last "
        "word, and nobody answers. What is left should end with the assistant.",
    )
    total = sum(lengths[:wanted])
    full = (
        f", {total} of {room}: a row may be full"
        if total == room
        else f" ({total} of {room} tokens)"
    )
    expect(False, f"{call} gave {got}, but {wanted} messages fit{full}.")


def draw_what_stays(rooms: range, kept: list[float]) -> None:
    """The part of all turns that is kept, against the tokens in a row."""
    import matplotlib.pyplot as plt  # here, since no check draws

    figure, axis = plt.subplots(figsize=(5.5, 2.6), layout="constrained")
    axis.plot(rooms, [100 * share for share in kept], "o-")
    axis.set(xlabel="tokens in a row", ylabel="turns that stay (%)", ylim=(0, 105))
    plt.show()


def batch(make_batch, *samples: tuple[list[int], str]) -> None:
    given = [(ids, [mark == "x" for mark in marks]) for ids, marks in samples]
    told = "make_batch of " + ", ".join(f"{ids} (supervised: {marks})" for ids, marks in samples)
    got = run(make_batch, given)
    pair = (
        isinstance(got, (tuple, list))
        and len(got) == 2
        and all(isinstance(part, Tensor) for part in got)
    )
    expect(pair, f"{told} gave {show(got)}; it should be two tensors, input_ids and labels.")
    width = max(len(ids) for ids, _ in given) - 1
    for part, name in zip(got, ("input_ids", "labels")):
        expect(
            list(part.shape) == [len(given), width],
            f"{told}: {name} has the shape {list(part.shape)}, not {[len(given), width]}. "
            "The last token is never an input, and the first is never a label.",
        )
    for row, (ids, lit) in enumerate(given):
        n = len(ids) - 1
        same(
            got[0][row].tolist(),
            ids[:-1] + [0] * (width - n),
            f"{told}\n  row {row} of input_ids",
            "Inputs are all tokens but the last, then padding with 0 to the right.",
        )
        labels = got[1][row].tolist()
        pad = labels[n:]
        expect(
            all(label == IGNORE for label in pad),
            f"{told}\n  row {row} of labels: {labels}: padding has a label, and "
            f"the model would learn to end after the end. Its label is {IGNORE}.",
        )
        for i in range(n):
            token, label, seen = ids[i + 1], labels[i], f"{told}\n  row {row} of labels: {labels}"
            if lit[i + 1] and label == IGNORE and token == 0:
                expect(
                    False,
                    f"{seen}: at position {i} the end token should be the label. It was masked"
                    " because of its value: 0 also pads. This model never learns to stop.",
                )
            if lit[i + 1] and label == IGNORE:
                expect(
                    False,
                    f"{seen}: token {token} is supervised, so it is the label at position {i}, but"
                    " the mask has not been shifted along with the tokens: the first word of a"
                    " reply is never learned.",
                )
            expect(
                label == IGNORE or lit[i + 1],
                f"{seen}: the label at position {i} is {label}, but token {token} after it is not"
                " supervised.",
            )
            expect(
                label in (IGNORE, token),
                f"{seen}: after position {i} comes {token}, so that is its label, and not {label}.",
            )


def learned(make: Callable) -> list[str]:
    """What a model says to five questions, after 150 steps on batches from `make`."""
    model, letters = tiny_model().float(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    # after the end a sample goes on with a next question, which is not supervised
    marks = [False, False, True, True, True, False, False]
    for _ in range(150):
        words = torch.randint(4, 12, (16,), generator=letters).tolist()
        input_ids, labels = make([([w, 3, 12, w, 0, w, 3], marks) for w in words])
        logits = model(input_ids).flatten(0, 1)
        loss = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [reply_to(model, word) for word in range(4, 9)]


def reply_to(model: Model, word: int) -> str:
    """The model's greedy reply to a word and a question mark, spelled with letters."""
    ids = [word, 3]
    while len(ids) < 10 and ids[-1] != 0:
        ids.append(model(torch.tensor([ids]))[0, -1].argmax().item())
    return " ".join({0: "(end)", 3: "?"}.get(i, "abcdefghi"[i - 4]) for i in ids[2:])


def model_that_says(*probabilities: list[float]):
    """A model with the same probabilities after every token."""
    table = torch.tensor(probabilities, dtype=torch.float64)
    return lambda input_ids: table.log().expand(*input_ids.shape, -1)


HALF = model_that_says([0.5, 0.25, 0.125, 0.125])
SCORES = [  # labels, the probabilities of the targets, the example in words
    ([[0]], [[0.5]], "A model that says 0.5, 0.25, 0.125, 0.125 for tokens 0 to 3"),
    ([[0, 1]], [[0.5, 0.25]], "The same model"),
    ([[IGNORE, 1, 0, IGNORE]], [[0, 0.25, 0.5, 0]], "The same model"),
    (
        [[0, 1, 2], [IGNORE, 0, IGNORE]],
        [[0.5, 0.25, 0.125], [0, 0.5, 0]],
        "The same model",
    ),
]


def scores(reply_scores, model, labels: list[list[int]], probabilities, told: str) -> None:
    """probabilities: for each row those of its targets (0 for a position without one), [seq] or more."""
    labels = torch.tensor(labels)
    input_ids = torch.ones_like(labels)
    p = torch.tensor(probabilities, dtype=torch.float64)
    mask, logs = labels != IGNORE, p.clamp(min=1e-300).log()
    wanted = (logs * mask).sum(1)
    count = mask.sum(1).clamp(min=1)
    got = run(reply_scores, model, input_ids, labels)
    same(
        got,
        wanted,
        f"{told}, labels {labels.tolist()}",
        "Add up ln p over the targets of each row.",
        [
            (
                wanted.sum(),
                "All rows were added up to one number; each row has a score of its own.",
            ),
            (
                -wanted,
                (
                    "The sign is wrong: ln of a probability is at most 0. (Cross-entropy is minus"
                    " that.)"
                ),
            ),
            (
                wanted / count,
                (
                    "This is the mean over a row's targets. A long reply would seem as probable as"
                    " a short one."
                ),
            ),
            (
                wanted.exp(),
                "These are probabilities, not their logarithms; for a long reply they are all 0.",
            ),
            (
                (p * mask).sum(1),
                "Probabilities multiply, so it is their *logarithms* that are added.",
            ),
            (
                (logs * mask).sum(0),
                "These are sums over the rows, and not over the positions of a row.",
            ),
        ],
        tolerance=1e-7,
    )


def replies(targets: list[int], seed: int) -> tuple[Tensor, Tensor]:
    """A batch of random rows with so many targets in each: input_ids, labels, [rows, 6]."""
    ids = torch.randint(13, (len(targets), 7), generator=torch.Generator().manual_seed(seed))
    labels = ids[:, 1:].clone()
    for row, count in enumerate(targets):
        labels[row, : 6 - count] = IGNORE
    return ids[:, :-1], labels


Batch = tuple[Tensor, Tensor]  # input_ids, labels


def preference_batches(
    tokenizer: Tokenizer,
) -> tuple[list[tuple[Batch, Batch]], tuple[Batch, Batch]]:
    """Twelve batches of eight pairs, and one of 40 others: chosen and rejected replies of each."""
    pairs = [row for _, row in read_jsonl(recipe.corpus_files()["preference"])]

    def encoded(some: list[dict]) -> tuple[Batch, Batch]:
        return tuple(
            collate([[tokenizer.encode_chat(pair[kind])] for pair in some])[:2]
            for kind in ("chosen", "rejected")
        )

    return [encoded(pairs[8 * i : 8 * i + 8]) for i in range(12)], encoded(pairs[-40:])


@torch.no_grad()
def ahead(model: Transformer, chosen: Batch, rejected: Batch) -> float:
    """By how many nats the chosen reply is ahead of the rejected one, on average."""
    costs = [
        F.cross_entropy(model(ids).transpose(1, 2), labels, ignore_index=IGNORE, reduction="none")
        for ids, labels in (chosen, rejected)
    ]
    return (costs[1].sum(1) - costs[0].sum(1)).mean().item()


def preference(preference_loss, good: list[int], bad: list[int], beta: float) -> None:
    model, reference, chosen, rejected = (
        tiny_model(1),
        tiny_model(2),
        replies(good, 3),
        replies(bad, 4),
    )
    told = f"{len(good)} pair{'s' * (len(good) > 1)}, {good} and {bad} targets, beta {beta:g}"
    scores, means, every = {}, {}, {}
    with torch.no_grad():
        for name, scored in (("model", model), ("reference", reference)):
            for kind, (ids, labels) in (("chosen", chosen), ("rejected", rejected)):
                p = scored(ids).softmax(-1).gather(2, labels.clamp(min=0)[..., None])[..., 0].log()
                scores[name, kind] = (p * (labels != IGNORE)).sum(1)
                means[name, kind] = scores[name, kind] / (labels != IGNORE).sum(1)
                every[name, kind] = p.sum(1)

    def of(s: dict, sign: int = 1, scale: float = beta, with_reference: int = 1) -> Tensor:
        m, r = (s[name, "chosen"] - s[name, "rejected"] for name in ("model", "reference"))
        return F.softplus(-sign * scale * (m - with_reference * r))

    wanted = of(scores)
    got = run(preference_loss, model, reference, chosen, rejected, beta)
    expect(
        isinstance(got, Tensor), f"{told}: the loss is {show(got)}, and backward() needs a tensor."
    )
    expect(
        bool(got.isfinite().all()),
        f"{told}: the loss is {got.item() if got.numel() == 1 else show(got)}: sigmoid of a large"
        " negative number is 0, and its logarithm is infinite. F.logsigmoid knows a way round.",
    )
    same(
        got,
        wanted.mean(),
        told,
        "It should be the mean of -ln sigmoid(beta · (m - r)).",
        [
            (wanted, "These are the losses of the pairs; it should be their mean."),
            (wanted.sum(), "It is the sum over the pairs; it should be their mean."),
            (
                of(scores, sign=-1).mean(),
                (
                    "Chosen and rejected are exchanged (or model and reference): it learns to"
                    " prefer the worse reply."
                ),
            ),
            (
                of(scores, with_reference=0).mean(),
                "The reference is missing: m should be compared with r.",
            ),
            (of(scores, scale=1.0).mean(), "beta has no effect."),
            (of(means).mean(), "A reply's score is a sum over its targets, not their mean."),
            (of(every).mean(), "Positions without a target were counted, too."),
            (-wanted.mean(), "The sign is wrong: a loss of this kind is never negative."),
        ],
        tolerance=1e-7,
    )
    expect(
        got.requires_grad,
        f"{told}: the value is right, but the model gets no gradient: torch.no_grad is for the"
        " reference alone.",
    )
    got.backward()
    touched = any(p.grad is not None for p in reference.parameters())
    expect(
        not touched,
        f"{told}: the value is right, but the reference got a gradient: compute its scores under"
        " torch.no_grad.",
    )
    expect(
        any(p.grad is not None and p.grad.any() for p in model.parameters()),
        f"{told}: the gradient of the model is 0.",
    )
