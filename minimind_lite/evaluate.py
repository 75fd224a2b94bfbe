"""How good is a model: bits per byte on text, and a table of skills in chat."""

import math
from collections.abc import Iterable

import torch
from tqdm import tqdm

from minimind_lite.chat import in_language, is_correct
from minimind_lite.data import collate, document_samples, pack
from minimind_lite.generate import generate_batch
from minimind_lite.train import summed_cross_entropy


@torch.no_grad()
def bits_per_byte(model, tokenizer, texts: Iterable[str], batch_size: int = 16) -> float:
    """What the model would need to store the texts, in bits per UTF-8 byte.

    Each text is one document: it begins after an end-of-text token, and its own end counts.
    Unlike loss per token or perplexity, this can be compared between tokenizers.
    Raises ValueError if there is no text.
    """
    texts = list(texts)
    size = sum(len(text.encode("utf-8")) for text in texts)
    if size == 0:
        raise ValueError("bits per byte need at least one byte of text.")
    device = next(model.parameters()).device
    length = min(model.config.max_position_embeddings, 512)
    samples = list(document_samples(tokenizer, texts, length))
    rows = pack([len(ids) - 1 for ids, _ in samples], length)
    rows.sort(key=lambda row: sum(len(samples[i][0]) for i in row))  # little padding in a batch
    nats = 0.0
    for start in range(0, len(rows), batch_size):
        batch = collate([[samples[i] for i in row] for row in rows[start : start + batch_size]])
        nats += summed_cross_entropy(model, batch, device).item()
    return nats / math.log(2) / size


def answer(
    model, tokenizer, conversations: list[list[dict]], *, max_new_tokens: int = 200,
    batch_size: int = 64, **sampling,
) -> list[tuple[str, bool]]:  # fmt: skip
    """The model's reply to each conversation, and whether it ended by itself. Greedy unless told.

    Prompts of similar length are answered together; the order of the result is that of the input.
    """
    prompts = [tokenizer.encode_chat(messages, add_generation_prompt=True)[0] for messages in conversations]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    replies = {}
    with tqdm(total=len(prompts), desc="answering", unit=" prompts", leave=False) as progress:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = generate_batch(
                model, [prompts[i] for i in chosen], max_new_tokens=max_new_tokens,
                eos_id=tokenizer.im_end_id, **({"temperature": 0} | sampling),
            )  # fmt: skip
            for i, ids in zip(chosen, batch):
                stopped = ids[-1:] == [tokenizer.im_end_id]
                replies[i] = tokenizer.decode(ids[:-1] if stopped else ids), stopped
            progress.update(len(chosen))
    return [replies[i] for i in range(len(prompts))]


def skill_table(model, tokenizer, items: list[dict], **sampling) -> list[dict]:
    """How often the model does what it was asked, by skill and language.

    items: lines of the corpus's evaluation file. Rows have skill, language, prompts (a count) and
    the fractions correct, stopped (ended by itself) and in_language (answered in the language
    of the question); the last row, skill "all", is over all prompts.
    """
    replies = answer(model, tokenizer, [item["messages"] for item in items], **sampling)
    marks = [
        (item["skill"], item["language"], is_correct(item, reply), stopped, in_language(item, reply))
        for item, (reply, stopped) in zip(items, replies, strict=True)
    ]
    rows = []
    for skill, language in [*dict.fromkeys(mark[:2] for mark in marks), ("all", "both")]:
        chosen = [m[2:] for m in marks if skill == "all" or m[:2] == (skill, language)]
        correct, stopped, spoken = (sum(column) / len(chosen) for column in zip(*chosen))
        rows.append({
            "skill": skill, "language": language, "prompts": len(chosen),
            "correct": correct, "stopped": stopped, "in_language": spoken,
        })  # fmt: skip
    return rows
