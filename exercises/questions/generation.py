"""What the checks of notebook 07 ask a student's function, and the reasons that they give."""

from collections.abc import Callable

import torch
from torch import Tensor

from exercises.checks import expect, run, same, show, show_call
from minimind_lite.generate import KVCache
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer


class Model(Transformer):
    """A tiny model with random weights, in double precision, that counts how often it is called."""

    calls = 0

    def forward(self, *arguments, **named):
        self.calls += 1
        return super().forward(*arguments, **named)

    def __repr__(self):
        return "model"


@torch.no_grad()
def tiny_model() -> Model:
    torch.manual_seed(0)
    shape = ModelConfig(vocab_size=13, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    return Model(shape).double().eval()


TEMPERATURES = [  # logits, temperature, reason
    ([1.0, 3.0, 2.0], 1.0, "With temperature 1 it is softmax."),
    ([1.0, 3.0, 2.0], 0.5, "Half the temperature is twice the distance of the logits."),
    ([1.0, 3.0, 2.0], 0, "0 / 0 is not greedy. Temperature 0 is a case of its own."),
    ([[1.0, 3.0, 2.0], [3.0, 1.0, 1.0]], 2.0, "Each row is a distribution of its own."),
    (
        [50.0, 60.0, 40.0],
        1e-45,
        "Logits over a tiny number are infinite, and inf - inf is NaN. "
        "Subtract the largest logit *before* you divide.",
    ),
]


def temperature(temperature_probabilities, values, temperature: float, reason: str) -> None:
    logits = torch.tensor(values)
    call = show_call(temperature_probabilities, logits, temperature)
    double = logits.double() - logits.double().amax(-1, keepdim=True)
    greedy = torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    wanted = (double / temperature).softmax(-1).float() if temperature else greedy
    got = run(temperature_probabilities, logits, temperature)
    expect(
        isinstance(got, Tensor), f"{call} gave {show(got)}, which is not a tensor of probabilities."
    )
    expect(not got.isnan().any(), f"{call} has NaN in it, and nothing complained: {reason}")
    mistakes = [
        ((logits * temperature).softmax(-1), "You multiply by the temperature."),
        (logits.softmax(0), "This softmax is taken over another axis than the last."),
        (logits.softmax(-1), "The temperature has no effect."),
        (double.float() / (temperature or 1), "These are logits still; softmax is missing."),
    ]
    if temperature:
        columns = (logits.double() / temperature).softmax(0)
        mistakes.append((columns.float(), "This softmax is taken over another axis than the last."))
    same(got, wanted, call, reason, mistakes)


def nucleus(row: list[float], p: float, stays: Callable) -> list[float]:
    """A row with the tokens for which stays(what the more likely have, with its own) is true."""
    order, kept, before = sorted(range(len(row)), key=lambda i: -row[i]), [0.0] * len(row), 0.0
    for i in order:
        kept[i] = row[i] if stays(before, before + row[i]) else 0.0
        before += row[i]
    total = sum(kept)
    return [value / total if total else float("nan") for value in kept]


def top_p(top_p, rows: list[list[float]], p: float) -> None:
    given, call = torch.tensor(rows), f"top_p({rows}, {p})"
    found = {
        "": [nucleus(row, p, lambda before, reached: before < p) for row in rows],
        "The token that crosses p belongs to it: those *before* it do not reach p yet.": [
            nucleus(row, p, lambda before, reached: reached <= p) for row in rows
        ],
        "That is one token too many: those before it reach p already.": [
            nucleus(row, p, lambda before, reached: before <= p) for row in rows
        ],
        "You keep the tokens whose own probability is at least p; it is their sum that counts.": [
            nucleus(row, p, lambda before, reached: before == 0 or reached - before >= p)
            for row in rows
        ],
    }
    right_one = torch.tensor(found.pop(""))
    mistakes = [(torch.tensor(value), reason) for reason, value in found.items()]
    mistakes.append(
        (
            right_one.sort(dim=-1, descending=True).values,
            "The tokens are in sorted order: put each back in its place.",
        )
    )
    mistakes.append(
        (
            torch.where(right_one > 0, given, 0.0),
            "The right tokens, but the row does not sum to one any more.",
        )
    )
    got = run(top_p, given, p)
    expect(
        not (isinstance(got, Tensor) and got.isnan().any()),
        f"{call} has NaN in it: no token was kept, and 0 / 0 is "
        "NaN. The most likely one always stays.",
    )
    same(got, right_one, call, "The fewest tokens that reach p, each row for itself.", mistakes)


def penalize(penalize, values: list[float], ids: list[int], penalty: float) -> None:
    logits = torch.tensor(values)
    lower = [v / penalty if v > 0 else v * penalty for v in values]
    wanted = [low if i in ids else v for i, (v, low) in enumerate(zip(values, lower))]
    twice = list(values)
    for i in ids:
        twice[i] = twice[i] / penalty if twice[i] > 0 else twice[i] * penalty
    mistakes = [
        (
            [v / penalty if i in ids else v for i, v in enumerate(values)],
            "A negative logit that is divided comes nearer to 0: the token becomes *more* likely.",
        ),
        (
            [v * penalty if i in ids else v for i, v in enumerate(values)],
            "A positive logit that is multiplied makes the token more likely.",
        ),
        (
            [v - penalty if i in ids else v for i, v in enumerate(values)],
            "Here the penalty is a factor, not subtracted.",
        ),
        (
            twice,
            (
                f"Token {max(ids, key=ids.count) if ids else None} has paid more than once: it"
                " occurs several times in ids."
            ),
        ),
        (lower, "All tokens have paid, also those that have not occurred."),
        (
            [v if i in ids else low for i, (v, low) in enumerate(zip(values, lower))],
            "The others have paid.",
        ),
        (
            [low if i in ids[-1:] else v for i, (v, low) in enumerate(zip(values, lower))],
            "Only the last token has paid.",
        ),
    ]
    mistakes = [(torch.tensor(value), reason) for value, reason in mistakes]
    got = run(penalize, logits, ids, penalty)
    same(
        got,
        torch.tensor(wanted),
        show_call(penalize, logits, ids, penalty),
        "Only tokens of ids change.",
        mistakes,
    )


def cache_mask(cache_mask, new: int, total: int, picture: str) -> None:
    call, square = show_call(cache_mask, new, total), torch.ones(total, total, dtype=torch.bool)
    wanted = torch.tensor([[mark == "x" for mark in row] for row in picture.split()])
    first = f"row 0 should end after {int(wanted[0].sum())} ones"
    mistakes = [
        (
            square[:new].tril(),
            (
                "This triangle begins at the top left, as is_causal=True has it: the last token"
                f" should see all {total} keys, and sees {new}."
            ),
        ),
        (~wanted, "True means *may look*; yours is the other way round."),
        (
            wanted & (wanted.sum(1, keepdim=True) > wanted.cumsum(1)),
            f"A token does not see itself: {first}.",
        ),
        (
            wanted | wanted.roll(1, 1),
            f"The first of the new tokens sees the one after it: {first}.",
        ),
        (
            wanted.flip(0, 1),
            (
                "The triangle lies on the other side: rows are queries, columns are keys, and a"
                " query looks back."
            ),
        ),
        (
            square.triu(total - new)[:new],
            (
                "The triangle lies on the other side: rows are queries, columns are keys, and a "
                "query looks back."
            ),
        ),
        (
            square[:new],
            f"The first of the new tokens sees those after it, which it should predict: {first}.",
        ),
    ]
    got = run(cache_mask, new, total)
    turned = isinstance(got, Tensor) and got.shape == wanted.T.shape != wanted.shape
    expect(
        not turned,
        f"{call}: rows are queries and columns are keys; the shape should be [{new}, {total}].",
    )
    floats = isinstance(got, Tensor) and got.dtype != torch.bool
    expect(
        not floats, f"{call}: the entries should be booleans; attention *adds* a mask of numbers."
    )
    same(
        got,
        wanted,
        call,
        f"The last row sees all {total} keys, each row above it one fewer.",
        mistakes,
    )


@torch.no_grad()
def off_in_pieces(model: Transformer, ids: list[int], size: int) -> float:
    """How far the logits are off if the text comes in pieces of so many tokens."""
    cache = KVCache(model, 1, len(ids))
    pieces = [ids[i : i + size] for i in range(0, len(ids), size)]
    in_pieces = torch.cat([model(torch.tensor([piece]), cache=cache)[0] for piece in pieces])
    return (in_pieces - model(torch.tensor([ids]))[0]).abs().max().item()


def answers(
    read: Callable, model: Transformer, tokenizer: Tokenizer, questions: list[str]
) -> list[str]:
    """Greedy answers to all questions at once, without a cache; read(model, texts): the logits."""
    chats = [[{"role": "user", "content": question}] for question in questions]
    prompts = [tokenizer.encode_chat(chat, add_generation_prompt=True)[0] for chat in chats]
    texts = [list(prompt) for prompt in prompts]
    for _ in range(14):
        for text, token in zip(texts, read(model, texts).argmax(-1).tolist()):
            text.append(token)
    replies = [text[len(prompt) :] for text, prompt in zip(texts, prompts)]
    replies = [reply[: reply.index(2)] if 2 in reply else reply for reply in replies]
    return [tokenizer.decode(reply, skip_special_tokens=True) for reply in replies]


@torch.no_grad()
def next_logits(next_logits, services_logits, prompts: list[list[int]]) -> None:
    model = tiny_model()
    wanted = torch.stack([model(torch.tensor([prompt]))[0, -1] for prompt in prompts])
    before_last = torch.stack(
        [model(torch.tensor([prompt]))[0, max(len(prompt) - 2, 0)] for prompt in prompts]
    )
    longest, call = max(map(len, prompts)), f"next_logits(model, {prompts})"
    by_value = [
        ([0] + [i + 1 for i, token in enumerate(prompt[:-1]) if prompt[i + 1] != 0])[-1]
        for prompt in prompts
    ]
    by_value = torch.stack([model(torch.tensor([p]))[0, i] for p, i in zip(prompts, by_value)])
    without_zeros = [[t for t in p if t != 0] or [0] for p in prompts]
    without_zeros = torch.stack([model(torch.tensor([p]))[0, -1] for p in without_zeros])
    left = torch.stack(
        [model(torch.tensor([[0] * (longest - len(p)) + p]))[0, -1] for p in prompts]
    )
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    model.calls = 0
    got = run(next_logits, model, prompts)
    shorter = next((p for p in prompts if len(p) < longest), prompts[0])
    expect(
        model.calls == 1,
        f"{call} called the model {model.calls} times; one call should do for all.",
    )
    same(
        got,
        wanted,
        call,
        "Each row should be what the prompt gives alone.",
        [
            (
                services_logits(model, prompts),
                (
                    f"For {shorter} this reads the prediction after the padding: its last token"
                    f" stands at {len(shorter) - 1}."
                ),
            ),
            (
                left,
                (
                    f"Padding on the left is seen by all tokens of {shorter}, unless it has a"
                    " segment of its own."
                ),
            ),
            (
                by_value,
                "A prompt's own 0 was taken for padding: lengths say where it ends, not values.",
            ),
            (without_zeros, "A prompt's own 0 was taken for padding, and left out."),
            (
                before_last,
                (
                    "These are the logits one position too early: they predict the prompt's own"
                    " last token."
                ),
            ),
            (wanted[order], "The rows are in the order of the lengths, not of the prompts."),
            (wanted[order[::-1]], "The rows are in the order of the lengths, not of the prompts."),
        ],
        tolerance=1e-9,
    )


class Rule:
    """Stands for a model: after tokens a, b, c it chooses (a + b + c + number of tokens) % 11."""

    def __init__(self):
        self.calls = 0

    def __repr__(self):
        return "model"

    def __call__(self, input_ids: Tensor) -> Tensor:
        self.calls += 1
        length = torch.arange(1, input_ids.shape[1] + 1)
        return torch.nn.functional.one_hot((input_ids.cumsum(1) + length) % 11, 11).float()


def greedy(ids: list[int], new: int) -> list[int]:
    text = list(ids)
    for _ in range(new):
        text.append((sum(text) + len(text)) % 11)
    return text[len(ids) :]


DRAFTS = {  # name: (what it guesses, how many tokens a call then gives)
    "that guesses nothing": (lambda ids: [], 1),
    "that is always wrong": (lambda ids: [(greedy(ids, 1)[0] + 1) % 11] * 3, 1),
    "that is right three times": (lambda ids: greedy(ids, 3), 4),
    "whose second token is wrong and whose third is right": (
        lambda ids: [t if i != 1 else (t + 1) % 11 for i, t in enumerate(greedy(ids, 3))],
        2,
    ),
}


def speculate(speculate, ids: list[int], new: int, name: str) -> None:
    (draft, a_call), model = DRAFTS[name], Rule()
    told = f"speculate(model, {ids}, draft, {new}) with a draft {name}"
    got, wanted = run(speculate, model, ids, draft, new), greedy(ids, new)
    expect(isinstance(got, list), f"{told} gave {show(got)}, not a list of ids.")
    expect(
        got[: len(ids)] != ids or got == wanted,
        f"{told} gave {got}: the prompt is in it; only new tokens should be.",
    )
    expect(
        len(got) == new,
        f"{told} gave {len(got)} tokens: {'cut' if len(got) > new else 'go on'} at {new}.",
    )
    differs = next((i for i, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1]), None)
    unchecked = draft(ids)[:new] == got[: len(draft(ids))] != wanted[: len(draft(ids))]
    expect(
        not unchecked,
        f"{told} took {got[: len(draft(ids))]}, as guessed; greedy is {wanted}. Ask the model"
        " first.",
    )
    expect(
        differs is None,
        f"{told} gave {got}, greedy is {wanted}: token {differs} is wrong. After the first "
        "guess that the model would not choose, nothing that follows counts.",
    )
    if a_call is not None:
        calls = -(-new // a_call)
        expect(
            model.calls <= calls,
            f"{told}: the tokens are right, but you called the model {model.calls} times; {calls}"
            f" {'is' if calls == 1 else 'are'} enough, since each call gives {a_call}: those agreed"
            " on, and the model's own choice.",
        )


def lookup(ids: list[int], most: int = 8) -> list[int]:
    """A draft without a model: what followed the last two tokens where they stood before."""
    for i in range(len(ids) - 3, 0, -1):
        if ids[i - 1 : i + 1] == ids[-2:]:
            return ids[i + 1 : i + 1 + most]
    return []
