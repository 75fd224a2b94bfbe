"""Byte-level BPE from nothing: a trainer that counts pairs once, an encoder that merges by rank.

Text is split into words by GPT-2's pattern (Radford et al., 2019), a word is its UTF-8 bytes, and
the pair of neighbours that is most frequent becomes a new token, again and again (Sennrich et al.,
2016). Nothing merges across words. All 256 bytes are tokens, so every text has an encoding.

Ids, as in the tokenizer we ship: special tokens first, then the 256 bytes in GPT-2's order, then
one token for each merge, in the order learned. `ByteLevelBPE` takes any other layout too.
"""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

from tokenizers import Regex, pre_tokenizers

# Python's `re` has no \p{L} (letters) and \p{N} (digits), so the tokenizers library splits. A
# number may become one token, "2026" as well as "7": our sums stay below 11, and splitting digits
# would buy nothing here.
SPLIT_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
_SPLITTER = pre_tokenizers.Split(Regex(SPLIT_PATTERN), "isolated")

PIECE = 1 << 12  # characters split at once; more are slower, and a stream is never held whole
CACHE_WORDS = 1 << 15
CACHE_WORD_LENGTH = 64  # characters; longer words seldom come back

Pair = tuple[int, int]


def byte_order() -> list[int]:
    """The 256 bytes in the order of their ids: printable ones first (GPT-2's order).

    >>> bytes(byte_order()[:5]), byte_order()[188]
    (b'!"#$%', 0)
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return printable + [byte for byte in range(256) if byte not in printable]


def check_text(text: str, start: int = 0) -> str:
    """The text itself. Raises TypeError if it is no str, ValueError for a lone surrogate.

    start: how many characters came before, when this is a part of a longer text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a tokenizer needs a str, not {type(text).__name__}.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"character {start + error.start} of the text is a lone surrogate "
            f"(U+{ord(text[error.start]):04X}), half of a character that UTF-8 cannot hold: "
            "mend the text where it was decoded."
        ) from None
    return text


def split_words(text: str) -> list[str]:
    """Words, each with the space before it, so that joined they are the text again.

    >>> split_words("It's 7 o'clock,  now")
    ['It', "'s", ' 7', ' o', "'", 'clock', ',', ' ', ' now']
    """
    return [word for word, _ in _SPLITTER.pre_tokenize_str(text)]


def cut_special(chunks: Iterable[str], special_tokens) -> Iterator[tuple[str, str | None]]:
    """Pieces of ordinary text in order, each with the special token right behind it, or None.

    Where several special tokens begin, the longest wins. The end of a chunk waits for the next one
    as long as a special token may have begun in it.

    >>> list(cut_special(["a<", "b>c"], ["<b>"]))[1:]
    [('a', '<b>'), ('', None), ('c', None)]
    """
    if not special_tokens:
        yield from ((chunk, None) for chunk in chunks)
        return
    longest_first = sorted(special_tokens, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    pending = ""

    def pieces(settled: int) -> Iterator[tuple[str, str | None]]:
        """Cut what begins before `settled`; keep the rest in `pending`."""
        nonlocal pending
        start = 0
        for match in pattern.finditer(pending):
            if match.start() >= settled:
                break
            yield pending[start : match.start()], match.group()
            start = match.end()
        settled = max(start, settled)
        yield pending[start:settled], None
        pending = pending[settled:]

    for chunk in chunks:
        pending += chunk
        # Until its longest possible match is here, a place may still become a longer token.
        yield from pieces(len(pending) - len(longest_first[0]) + 1)
    yield from pieces(len(pending))


def stream_words(
    chunks: Iterable[str], special_tokens=()
) -> Iterator[tuple[list[str], str | None]]:
    """Lists of words, each with the special token behind it or None, from a text in chunks.

    The words are those of the whole text, wherever it was cut. More text can change the last two
    words at most ("'", "l" become "'ll"; "  " gives its last space to the next word), so two wait.
    """
    pending, wanted = "", PIECE
    for text, special in cut_special(chunks, special_tokens):
        for start in range(0, len(text), PIECE):
            pending += text[start : start + PIECE]
            if len(pending) >= wanted:
                words = split_words(pending)
                yield words[:-2], None
                pending = "".join(words[-2:])
                # Twice a word that does not end: splitting it again and again would be quadratic.
                wanted = max(PIECE, 2 * len(pending))
        if special is not None:
            yield split_words(pending), special
            pending, wanted = "", PIECE
    yield split_words(pending), None


class Chain:
    """All distinct words as one chain of tokens, with the count and the places of every pair.
    A merge costs as much as there are places to merge: no word is read again."""

    def __init__(self, word_counts: dict[str, int], byte_ids: dict[int, int]):
        tokens, weights = [-1], [0]  # -1 stands before, between and after words
        for word, count in word_counts.items():
            tokens += [*(byte_ids[byte] for byte in word.encode()), -1]
            weights += [count] * (len(tokens) - len(weights))
        self.tokens, self.weights = array("i", tokens), array("q", weights)
        self.left = array("q", range(-1, len(tokens) - 1))
        self.right = array("q", range(1, len(tokens) + 1))
        self.counts: dict[Pair, int] = defaultdict(int)
        self.places: dict[Pair, list[int]] = defaultdict(list)
        for place in range(1, len(tokens) - 1):
            self.add(place, place + 1)

    def add(self, place: int, following: int) -> None:
        pair = self.tokens[place], self.tokens[following]
        if -1 not in pair:
            self.counts[pair] += self.weights[place]
            self.places[pair].append(place)

    def merge(self, pair: Pair, new: int) -> set[Pair]:
        """Replace the pair by one token wherever it stands; return the pairs that came to be."""
        tokens, created = self.tokens, set()
        for place in self.places.pop(pair):  # from left to right, as they were found
            following = self.right[place]
            if (tokens[place], tokens[following]) != pair:
                continue  # half of it was just merged: "aaa" holds "aa" once
            before, after = self.left[place], self.right[following]
            self.counts[tokens[before], pair[0]] -= self.weights[place]
            self.counts[pair[1], tokens[after]] -= self.weights[place]
            tokens[place], tokens[following] = new, -2
            self.right[place], self.left[after] = after, place
            self.add(before, place)
            self.add(place, after)
            created |= {(tokens[before], new), (new, tokens[after])}
        del self.counts[pair]
        return created


def most_frequent(heap: list[tuple], counts: dict[Pair, int]) -> Pair | None:
    """Take the best pair from the heap, or None. Counts only fall after a pair has been pushed,
    so an entry that promises too much is pushed again with what is true now."""
    while heap:
        promised, order, pair = heappop(heap)
        count = counts.get(pair, 0)
        if count == -promised:
            return pair
        if count > 0:
            heappush(heap, (-count, order, pair))
    return None


def first_vocabulary(vocab_size: int, special_tokens) -> dict[int, bytes]:
    """Special tokens and bytes. Raises ValueError if they don't fit or a special token is odd."""
    special = list(special_tokens)
    if len(set(special)) < len(special) or any(len(token) < 2 for token in special):
        raise ValueError(f"special tokens must differ, each two characters or more: {special}.")
    tokens = [check_text(token).encode() for token in special] + [bytes([b]) for b in byte_order()]
    if vocab_size < len(tokens):
        raise ValueError(
            f"vocab_size {vocab_size} is too small: 256 bytes and {len(special)} special "
            f"tokens need {len(tokens)}."
        )
    return dict(enumerate(tokens))


def greatest_first(token: bytes) -> tuple[int, ...]:
    """A key that sorts byte strings from the greatest to the least.

    >>> sorted([b"a", b"ab", b"b"], key=greatest_first)
    [b'b', b'ab', b'a']
    """
    return *(255 - byte for byte in token), 256


def train_bpe(
    texts: Iterable[str], vocab_size: int, special_tokens=(), tie_break: str = "first"
) -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]:
    """Learn a vocabulary and its merges, in the order learned; fewer if no pair is left.

    Pairs never cross from one text to the next. Special tokens are cut out of the texts first.
    tie_break: of equally frequent pairs, "first" takes the one with the least ids, as Hugging
    Face's BpeTrainer does; "greatest" the lexicographically greatest pair of byte strings.

    >>> train_bpe(["low low lower"], 259)[1]
    [(b'l', b'o'), (b'lo', b'w'), (b' ', b'low')]
    """
    if tie_break not in ("first", "greatest"):
        raise ValueError(f"tie_break is 'first' or 'greatest', not {tie_break!r}.")
    vocab = first_vocabulary(vocab_size, special_tokens)
    word_counts = Counter()
    for text in texts:
        for words, _ in stream_words([check_text(text)], special_tokens):
            word_counts.update(words)
    byte_ids = {vocab[i][0]: i for i in range(len(vocab) - 256, len(vocab))}
    chain = Chain(word_counts, byte_ids)

    def entry(pair: Pair) -> tuple:
        order = pair
        if tie_break == "greatest":
            order = tuple(greatest_first(vocab[i]) for i in pair)
        return -chain.counts[pair], order, pair

    heap = [entry(pair) for pair in chain.places]
    heapify(heap)
    merges = []
    while len(vocab) < vocab_size and (pair := most_frequent(heap, chain.counts)):
        new, (left, right) = len(vocab), (vocab[i] for i in pair)
        vocab[new] = left + right
        merges.append((left, right))
        for created in chain.merge(pair, new):
            if chain.counts.get(created, 0) > 0:
                heappush(heap, entry(created))
    return vocab, merges


def merge_by_rank(
    ids: list[int], ranks: dict[Pair, int], products: list[int]
) -> list[int]:
    """Merge neighbours, the pair learned earliest first, from left to right; the ids that remain.

    ranks: pair -> its place in the list of merges; products: place -> the merged token's id.
    A heap of candidates instead of a search for the next one: n log n steps for n bytes.

    >>> merge_by_rank([0, 1, 1, 1], {(1, 1): 0, (0, 2): 1}, [2, 3])
    [3, 1]
    """
    ids, n = list(ids), len(ids)
    left, right = array("q", range(-1, n - 1)), array("q", range(1, n + 1))
    # One number for rank and place: smaller than a tuple, in the same order.
    pairs = enumerate(zip(ids, ids[1:]))
    heap = [ranks[pair] * n + i for i, pair in pairs if pair in ranks]
    heapify(heap)
    while heap:
        rank, i = divmod(heappop(heap), n)
        j = right[i]
        if j == n or ranks.get((ids[i], ids[j])) != rank:
            continue  # one of the two has been merged since
        ids[i], ids[j] = products[rank], -1
        h, k = left[i], right[j]
        right[i] = k
        if k < n:
            left[k] = i
            if (rank := ranks.get((ids[i], ids[k]))) is not None:
                heappush(heap, rank * n + i)
        if h >= 0 and (rank := ranks.get((ids[h], ids[i]))) is not None:
            heappush(heap, rank * n + h)
    return [index for index in ids if index >= 0]


def token_ids(vocab: dict[int, bytes]) -> dict[bytes, int]:
    """Token -> id. Raises ValueError if a token has two ids or a byte has none."""
    ids = {token: index for index, token in vocab.items()}
    if len(ids) < len(vocab):
        twice = next(i for i, token in vocab.items() if ids[token] != i)
        raise ValueError(f"tokens {twice} and {ids[vocab[twice]]} are both {vocab[twice]!r}.")
    missing = [byte for byte in range(256) if bytes([byte]) not in ids]
    if missing:
        raise ValueError(
            f"the vocabulary lacks {len(missing)} of the 256 bytes, the first is {missing[0]}: "
            "some texts would have no encoding."
        )
    return ids


def rank_merges(
    merges: Iterable[tuple[bytes, bytes]], ids: dict[bytes, int]
) -> tuple[dict[Pair, int], list[int]]:
    """Pair of ids -> rank, and rank -> id of the merged token. Raises ValueError if one is odd."""
    ranks, products = {}, []
    for rank, (left, right) in enumerate(merges):
        absent = [token for token in (left, right, left + right) if token not in ids]
        if absent:
            raise ValueError(f"merge {rank} needs {absent[0]!r}, which the vocabulary lacks.")
        if ranks.setdefault((ids[left], ids[right]), rank) != rank:
            raise ValueError(f"merge {rank} ({left!r}, {right!r}) is in the list twice.")
        products.append(ids[left + right])
    return ranks, products


def number_special(special_tokens: Iterable[str], ids: dict[bytes, int]) -> dict[str, int]:
    """Special token -> id; those that the vocabulary lacks get the next free ids."""
    special_ids, free = {}, max(ids.values()) + 1
    for token in special_tokens:
        if not token:
            raise ValueError("a special token must not be empty.")
        special_ids[token] = ids.get(check_text(token).encode(), free)
        free = max(free, special_ids[token] + 1)
    return special_ids


class ByteLevelBPE:
    """Text to ids by the merges of a trained vocabulary, and back."""

    def __init__(self, vocab: dict[int, bytes], merges, special_tokens=()):
        """Special tokens that the vocabulary lacks get the next free ids.

        Raises ValueError if a byte is missing, a token has two ids, or a merge does not fit.
        """
        ids = token_ids(vocab)
        self._byte_ids = [ids[bytes([byte])] for byte in range(256)]
        self._merges = rank_merges(merges, ids)
        self.special_ids = number_special(special_tokens, ids)
        self.vocab = vocab | {i: token.encode() for token, i in self.special_ids.items()}
        self._cache: dict[str, list[int]] = {}

    def encode(self, text: str, parse_special: bool = False) -> list[int]:
        """Ids of a text. Special tokens that it spells are text, unless parse_special is True."""
        return list(self.encode_iterable([text], parse_special))

    def encode_iterable(
        self, chunks: Iterable[str], parse_special: bool = False
    ) -> Iterator[int]:
        """Ids of a text that comes in chunks, the same wherever it was cut; O(1) chunks in memory.

        Raises ValueError for a lone surrogate, when it comes.
        """
        special_ids = self.special_ids if parse_special else {}
        for words, special in stream_words(_checked(chunks), special_ids):
            ids = []
            for word in words:
                ids += self._cache.get(word) or self._encode_word(word)
            yield from ids
            if special is not None:
                yield special_ids[special]

    def _encode_word(self, word: str) -> list[int]:
        ids = merge_by_rank([self._byte_ids[b] for b in word.encode()], *self._merges)
        if len(word) <= CACHE_WORD_LENGTH:
            if len(self._cache) >= CACHE_WORDS:
                self._cache.clear()
            self._cache[word] = ids
        return ids

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of the ids. Raises ValueError for an id that is not in the vocabulary."""
        try:
            return b"".join([self.vocab[index] for index in ids])
        except KeyError as error:
            raise ValueError(f"there is no token {error.args[0]}.") from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; bytes that are no UTF-8 (half a character, say) become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")


def _checked(chunks: Iterable[str]) -> Iterator[str]:
    """The chunks, each free of lone surrogates."""
    position = 0
    for chunk in chunks:
        yield check_text(chunk, position)
        position += len(chunk)
