"""The corpus: the same bytes everywhere, exact entropy, clean splits; and readers that name lines."""

import hashlib
import json
import math
import re
from collections import Counter
from itertools import permutations, product

import pytest

from minimind_lite import corpus
from minimind_lite.corpus import CorpusConfig, documents, entropy_bits_per_byte
from minimind_lite.facts import facts, phrasings

SMALL = CorpusConfig(
    documents=400, validation_documents=40, conversations=600, validation_conversations=40,
    preference_pairs=30, items_per_skill=6,
)  # fmt: skip
CHECKSUM = "7878b81098aff830"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return corpus.write_corpus(tmp_path_factory.mktemp("corpus"), SMALL)


def rows(path):
    return [row for _, row in corpus.read_jsonl(path)]


def test_writing_twice_gives_the_same_bytes(files, tmp_path):
    again = corpus.write_corpus(tmp_path, SMALL)
    for name, path in files.items():
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(again[name].read_bytes()).digest()


def test_the_corpus_is_the_same_everywhere(files):
    """One checksum for every platform and Python version; a change of the corpus changes it on purpose."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(files[name].read_bytes())
    assert digest.hexdigest()[:16] == CHECKSUM


def test_the_files_have_minimind_s_shapes(files):
    assert set(rows(files["pretrain"])[0]) == {"text"}
    for conversation in corpus.read_conversations(files["sft"]):
        assert conversation[-1]["role"] == "assistant"
    assert set(rows(files["preference"])[0]) == {"chosen", "rejected"}


def test_a_text_that_training_has_is_not_held_out(tmp_path, monkeypatch):
    drawn = corpus.documents
    monkeypatch.setattr(corpus, "documents", lambda seed, count: drawn(str(seed).removesuffix("/valid"), count))
    files = corpus.write_corpus(tmp_path, SMALL)  # the same documents are drawn for both
    assert len(rows(files["pretrain"])) == SMALL.documents and rows(files["pretrain_valid"]) == []


@pytest.mark.parametrize("language", corpus.LANGUAGES)
def test_the_entropy_of_facts_is_that_of_every_pair_of_sentences_there_is(language):
    chances = []
    for fact in facts(language):
        wonder, say = fact.sentences("wonder"), fact.sentences("say")
        for pairs in (list(product(wonder, say)), list(permutations(say, 2))):
            assert len(set(pairs)) == len(pairs)
            chances += [1 / (len(facts(language)) * 2 * len(pairs))] * len(pairs)
    exact = -sum(p * math.log2(p) for p in chances)
    bits, _ = corpus._entropy_and_length("fact", language)
    assert sum(chances) == pytest.approx(1) and bits == pytest.approx(corpus.FACTS * exact, rel=1e-12)


def test_held_out_texts_and_prompts_never_occur_in_training(files):
    training = set(corpus.read_texts(files["pretrain"]))
    assert not training & set(corpus.read_texts(files["pretrain_valid"]))
    prompts = set()
    for conversation in corpus.read_conversations(files["sft"]):
        for end, message in enumerate(conversation):
            if message["role"] == "assistant":
                prompts.add(json.dumps(conversation[:end]))
    for item in rows(files["evaluation"]):
        assert json.dumps(item["messages"]) not in prompts


@pytest.mark.parametrize("kind", [*corpus.KINDS, None])
@pytest.mark.parametrize("language", ["en", "zh", None])
def test_the_entropy_is_that_of_the_documents(kind, language):
    chosen = [d for d in documents("test", 6000) if kind in (None, d.kind) and language in (None, d.language)]
    fixed = -math.log2(corpus._share(corpus.KINDS, kind) if kind else 1)
    fixed -= math.log2(corpus._share(corpus.LANGUAGE_SHARES, language) if language else 1)
    bits = sum(d.bits - fixed for d in chosen) / sum(len(d.text.encode()) for d in chosen)
    assert bits == pytest.approx(entropy_bits_per_byte(kind, language), rel=0.03)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_statement_is_a_question_and_none_occurs_twice(language):
    every = [text for fact in facts(language) for use in ("wonder", "say") for text in fact.sentences(use)]
    assert len(set(every)) == len(every)
    assert not any("?" in text or "？" in text for text in every)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_two_sentences_about_a_fact_have_the_surprise_of_their_choices(language):
    """A count of 60,000 draws of one fact agrees with the probability that the bits claim."""
    rng, counts, bits = corpus.Random64("pairs"), Counter(), {}
    for _ in range(60_000):
        text, bits_of_it = corpus.about_a_fact(rng, language)
        counts[text] += 1
        bits[text] = bits_of_it
    total = sum(2 ** -b for b in bits.values())
    assert 0.9 < total <= 1 + 1e-9  # nearly every pair has been drawn
    for fact in facts(language)[:20]:
        pairs = [t for t in counts if any(t.endswith(say) for say in fact.sentences("say"))]
        expected = 60_000 * sum(2 ** -bits[t] for t in pairs)
        assert sum(counts[t] for t in pairs) == pytest.approx(expected, abs=6 * expected**0.5)


@pytest.mark.parametrize(
    "line, reason",
    [
        ('{"text": "cut', "line 2: this is not JSON"),
        ("[1, 2]", "line 2"),
        ('{"txt": "no key"}', "line 2"),
        ('{"text": 7}', "line 2"),
    ],
)
def test_a_malformed_text_is_named_with_its_line(tmp_path, line, reason):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "good"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=reason):
        list(corpus.read_texts(path))


def user(content="Hi."):
    return {"role": "user", "content": content}


def assistant(content="Hello."):
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize(
    "conversation",
    [
        [],
        "text",
        [user()],
        [assistant(), user()],
        [user(), user(), assistant()],
        [{"role": "robot", "content": "x"}, assistant()],
        [user(3), assistant()],
        [user(), {"role": "assistant"}],
    ],
)
def test_a_malformed_conversation_is_named_with_its_line(tmp_path, conversation):
    path = tmp_path / "bad.jsonl"
    good = {"conversations": [user(), assistant()]}
    path.write_text(f"{json.dumps(good)}\n{json.dumps({'conversations': conversation})}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="bad.jsonl, line 2"):
        list(corpus.read_conversations(path))


def test_minimind_s_empty_extra_keys_are_read_as_they_are(tmp_path):
    path = tmp_path / "mini.jsonl"
    extra = {"reasoning_content": "", "tools": None, "tool_calls": []}
    path.write_text(json.dumps({"conversations": [user() | extra, assistant() | extra]}), encoding="utf-8")
    assert list(corpus.read_conversations(path)) == [[user(), assistant()]]


def test_an_empty_file_and_broken_utf8_get_one_sentence(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n\n", encoding="utf-8")
    with pytest.raises(ValueError, match="empty.jsonl"):
        list(corpus.read_texts(path))
    path.write_bytes(b'{"text": "\xff"}\n')
    with pytest.raises(ValueError, match="line 1"):
        list(corpus.read_texts(path))


def words_of(template, language):
    text = re.sub(r"\[\w+\]", " ", template).lower()
    return set(re.findall("[a-z]+" if language == "en" else "[\u4e00-\u9fff]", text))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_held_out_phrasing_is_new_but_its_words_are_not(language):
    """With a word of its own, say 知 in 你知道, the exam would measure what unseen bytes do to a model."""
    asks = [block[language]["ask"] for block in phrasings().values()]
    trained = {word for ask in asks for template in ask[:-1] for word in words_of(template, language)}
    for *known, held_out in asks:
        assert held_out not in known and words_of(held_out, language) <= trained, held_out
