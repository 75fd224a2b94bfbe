"""The built-in corpus: documents whose entropy is known, the files that are made, the readers.

A document is a story, a few facts or a few memory games, in English or Chinese. Every draw has a known probability,
so the corpus has an exact entropy: no model can be better than `entropy_bits_per_byte()`.
All of it follows from integers (`Random64`), so it is the same on every platform.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from minimind_lite.chat import conversations, evaluation_items, preferences
from minimind_lite.chat import in_language, is_correct  # noqa: F401  (part of this module's names)
from minimind_lite.facts import LANGUAGES, TEXT, facts
from minimind_lite.files import replacing
from minimind_lite.grammar import Grammar, Random64

KINDS = {"story": 3, "fact": 4, "game": 3}  # how often a document is of a kind, out of the sum
LANGUAGE_SHARES = {"en": 1, "zh": 1}
FACTS = 4  # facts in a document of facts, each with two sentences about it
ROUNDS = 2  # rounds in a document of memory games
JOIN = {"en": " ", "zh": ""}  # between two sentences

FILES = {
    name: f"{name}.jsonl"
    for name in ("pretrain", "pretrain_valid", "sft", "sft_valid", "preference", "evaluation")
}


@dataclass(frozen=True)
class Document:
    """A text and its surprise in bits, -log2 of its probability, kind and language included."""

    text: str
    bits: float
    kind: str
    language: str


@dataclass
class CorpusConfig:
    """How much of everything."""

    seed: int = 0
    documents: int = 45_000
    validation_documents: int = 1000
    conversations: int = 14_000
    validation_conversations: int = 500
    preference_pairs: int = 1000
    items_per_skill: int = 40  # evaluation prompts of a skill and language, where there are enough


def about_a_fact(rng: Random64, language: str) -> tuple[str, float]:
    """Two sentences about one fact, and their surprise in bits.

    Somebody wonders and it is said, or it is said in two ways; each has a chance of one half.
    """
    fact = rng.choice(facts(language))
    wonder, say = fact.sentences("wonder"), fact.sentences("say")
    if rng.below(2):
        pair, ways = (rng.choice(wonder), rng.choice(say)), len(wonder) * len(say)
    else:
        pair, ways = rng.sample(say, 2), len(say) * (len(say) - 1)
    return JOIN[language].join(pair), math.log2(len(facts(language)) * 2 * ways)


@cache
def grammar(language: str, of: str = "stories") -> Grammar:
    """The stories or the games of a language."""
    return Grammar.load(language, of)


def documents(seed: int | str, count: int) -> Iterator[Document]:
    """Random documents, independent of each other."""
    rng = Random64(f"documents/{seed}")
    kinds, languages = _urn(KINDS), _urn(LANGUAGE_SHARES)
    for _ in range(count):
        kind, language = rng.choice(kinds), rng.choice(languages)
        bits = -math.log2(_share(KINDS, kind) * _share(LANGUAGE_SHARES, language))
        if kind == "story":
            story = grammar(language).sample(rng)
            yield Document(story.text, bits + story.bits, kind, language)
        elif kind == "game":
            rounds = [grammar(language, "games").sample(rng) for _ in range(ROUNDS)]
            text = JOIN[language].join(game.text for game in rounds)
            yield Document(text, bits + sum(game.bits for game in rounds), kind, language)
        else:
            said = [about_a_fact(rng, language) for _ in range(FACTS)]
            text = JOIN[language].join(text for text, _ in said)
            yield Document(text, bits + sum(more for _, more in said), kind, language)


def entropy_bits_per_byte(kind: str | None = None, language: str | None = None) -> float:
    """The exact entropy of a document over its mean length in UTF-8 bytes (Shannon 1948).

    With a kind ("story", "fact") or a language ("en", "zh") named, of those documents alone;
    what is left open costs the bits of choosing it.
    """
    bits = size = 0.0
    for k in [kind] if kind else KINDS:
        for lang in [language] if language else LANGUAGES:
            p = (1 if kind else _share(KINDS, k)) * (1 if language else _share(LANGUAGE_SHARES, lang))
            h, length = _entropy_and_length(k, lang)
            bits += p * (h - math.log2(p))
            size += p * length
    return bits / size


def _entropy_and_length(kind: str, language: str) -> tuple[float, float]:
    """Bits and mean bytes of a document of one kind and language."""
    if kind == "story":
        return grammar(language).entropy_bits(), grammar(language).expected_bytes()
    if kind == "game":
        games, joins = grammar(language, "games"), (ROUNDS - 1) * len(JOIN[language])
        return ROUNDS * games.entropy_bits(), ROUNDS * games.expected_bytes() + joins
    every, bits, size = facts(language), 0.0, 0.0
    for fact in every:
        wonder, say = fact.sentences("wonder"), fact.sentences("say")
        ways = len(wonder) * len(say), len(say) * (len(say) - 1)
        bits += math.log2(len(every) * 2) + sum(map(math.log2, ways)) / 2
        size += (_mean_bytes(wonder) + 3 * _mean_bytes(say)) / 2
    joins = (2 * FACTS - 1) * len(JOIN[language])
    return FACTS * bits / len(every), FACTS * size / len(every) + joins


def _mean_bytes(texts: tuple[str, ...]) -> float:
    return sum(len(text.encode("utf-8")) for text in texts) / len(texts)


def _urn(shares: dict[str, int]) -> list[str]:
    return [name for name, share in shares.items() for _ in range(share)]


def _share(shares: dict[str, int], name: str) -> float:
    return shares[name] / sum(shares.values())


def fingerprint() -> str:
    """A hash of all that the corpus is made of: the texts and the code that draws from them."""
    code = [Path(__file__).with_name(f"{name}.py") for name in ("corpus", "chat", "facts", "grammar")]
    digest = hashlib.sha256()
    for path in [*code, *sorted(TEXT.glob("*.t*"))]:
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def write_corpus(directory: str | Path, config: CorpusConfig) -> dict[str, Path]:
    """Writes the files of FILES into a directory and returns their paths.

    A validation document never occurs in training, and no prompt of the evaluation or of the
    chat validation does.
    """
    directory = Path(directory)
    training = set()

    def pretrain() -> Iterator[dict]:
        for document in documents(config.seed, config.documents):
            training.add(document.text)
            yield {"text": document.text}

    def pretrain_valid() -> Iterator[dict]:
        for document in documents(f"{config.seed}/valid", config.validation_documents):
            if document.text not in training:
                yield {"text": document.text, "bits": round(document.bits, 3), "kind": document.kind}

    def chat(split: str, count: int) -> Iterator[dict]:
        return ({"conversations": c} for c in conversations(config.seed, count, split))

    contents = {
        "pretrain": pretrain(),
        "pretrain_valid": pretrain_valid(),
        "sft": chat("train", config.conversations),
        "sft_valid": chat("valid", config.validation_conversations),
        "preference": preferences(config.seed, config.preference_pairs),
        "evaluation": evaluation_items(config.seed, config.items_per_skill),
    }
    return {name: _write_jsonl(directory / FILES[name], rows) for name, rows in contents.items()}


def _write_jsonl(path: Path, rows: Iterable[dict]) -> Path:
    """One object a line; the file appears only when it is whole."""
    with replacing(path) as unfinished, open(unfinished, "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict]]:
    """(line number, object) of each line of a JSONL file, one line in memory at a time.

    Blank lines are skipped. ValueError with file and line for anything but an object a line.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                _refuse(path, number, f"byte {error.start + 1} is not UTF-8; save the file as UTF-8")
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (json.JSONDecodeError, RecursionError) as error:
                _refuse(path, number, f"this is not JSON ({error}); correct or delete the line")
            if not isinstance(row, dict):
                _refuse(path, number, f"a JSON object is needed, in braces, not {_kind(row)}")
            yield number, row


def read_texts(path: str | Path) -> Iterator[str]:
    """The "text" of each line, for pretraining. ValueError as `read_jsonl`, or if there is none."""
    empty = True
    for number, row in read_jsonl(path):
        if not isinstance(row.get("text"), str):
            found = _kind(row["text"]) if "text" in row else f"only {', '.join(row) or 'nothing'}"
            _refuse(path, number, f'a string under "text" is needed; found {found}')
        _refuse_surrogates(path, number, row["text"])
        empty = False
        yield row["text"]
    _refuse_empty(path, empty, '{"text": "…"}')


def read_conversations(path: str | Path) -> Iterator[list[dict]]:
    """The messages of each line's "conversations", as {"role", "content"}, for fine-tuning.

    A conversation may begin with a system message; then user and assistant take turns, and it
    ends with the assistant. MiniMind's extra keys are read over if they hold nothing.
    """
    empty = True
    for number, row in read_jsonl(path):
        messages = row.get("conversations")
        if not isinstance(messages, list) or not messages:
            _refuse(path, number, 'a list with messages is needed under "conversations"')
        yield [_message(path, number, i, message) for i, message in enumerate(messages, 1)]
        _check_order(path, number, [message["role"] for message in messages])
        empty = False
    _refuse_empty(path, empty, '{"conversations": [{"role": "user", "content": "…"}, …]}')


def _message(path, number: int, place: int, message) -> dict:
    """One message with only its role and content, or a ValueError."""
    if not isinstance(message, dict):
        _refuse(path, number, f"message {place} must be an object, not {_kind(message)}")
    role, content = message.get("role"), message.get("content")
    if role not in ("system", "user", "assistant"):
        _refuse(path, number, f"message {place} has the role {role!r}; use system, user or assistant")
    if not isinstance(content, str):
        _refuse(path, number, f'message {place} needs a string under "content", not {_kind(content)}')
    for key in ("reasoning_content", "tools", "tool_calls"):
        if message.get(key):
            _refuse(path, number, f"message {place} has {key}, which this model has no format "
                                  "for; remove the key or the line")  # fmt: skip
    _refuse_surrogates(path, number, content)
    return {"role": role, "content": content}


def _check_order(path, number: int, roles: list[str]) -> None:
    """An optional system message, then user and assistant in turn, ending with the assistant."""
    turns = roles[1:] if roles[0] == "system" else roles
    first = 1 + len(roles) - len(turns)
    for i, role in enumerate(turns):
        expected = ("user", "assistant")[i % 2]
        if role != expected:
            _refuse(path, number, f"message {first + i} is from the {role} where the {expected} "
                                  "must speak; put the turns in order")  # fmt: skip
    if len(turns) % 2 or not turns:
        _refuse(path, number, "the conversation ends without a reply; add one or delete the line")


def _refuse_surrogates(path, number: int, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        _refuse(path, number, f"character {error.start + 1} of a text is half of a surrogate pair "
                              "(\\ud800 to \\udfff alone); correct or delete it")  # fmt: skip


def _refuse_empty(path, empty: bool, shape: str) -> None:
    if empty:
        raise ValueError(f"{path} holds nothing to train on; it needs lines such as {shape}")


def _refuse(path, number: int, problem: str) -> None:
    raise ValueError(f"{path}, line {number}: {problem}.")


def _kind(value) -> str:
    """What JSON calls a value's type."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
