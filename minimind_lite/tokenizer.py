"""The tokenizer we ship: byte-level BPE by the tokenizers library, in two files the world reads.

Three special tokens have fixed ids: 0 `<|endoftext|>` ends a document and pads, 1 `<|im_start|>`
and 2 `<|im_end|>` begin and end a chat turn. There is no UNK: all 256 bytes are in the alphabet.
`add_prefix_space` is False in both files; a directory in which the two disagree is refused.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from minimind_lite.bpe import byte_order, check_text
from minimind_lite.files import read_json, replacing

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ROLES = ("system", "user", "assistant")
# Classes of transformers that take splitting from tokenizer.json. Without a name, AutoTokenizer
# goes by the model's type, and Qwen's class cuts every number into digits, whatever the file says.
PLAIN_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend", "GPT2TokenizerFast", "GPT2Tokenizer")
PROBE = " Hello  <|im_end|>, 你好 e\u0301 🙂\x00 12\n\n\tend "  # must survive the round trip

# What encode_chat writes, for everyone else's tools (Jinja).
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def byte_alphabet() -> dict[int, str]:
    """The printable character that stands for each byte in a byte-level vocabulary (GPT-2's).

    >>> byte_alphabet()[ord("A")], byte_alphabet()[ord(" ")]
    ('A', 'Ġ')
    """
    order = byte_order()  # 188 printable bytes stand for themselves, then come 68 others
    return {b: chr(b) for b in order[:188]} | {b: chr(256 + i) for i, b in enumerate(order[188:])}


class Tokenizer:
    """Text to ids and back, and chats to ids with a mask of what is supervised.

    Words are split by GPT-2's pattern, `minimind_lite.bpe.SPLIT_PATTERN`; a number may be one
    token. There is no normalizer: NFC would make one letter of "e" and an accent, and the text
    would not come back as it was.
    """

    def __init__(self, backend: tokenizers.Tokenizer):
        """backend: byte-level BPE in which the three special tokens have ids 0, 1 and 2."""
        self.backend = backend
        # Text that spells a special token is text: only encode_chat writes special ids. The backend
        # forgets this when it is saved, pickled or copied, so it is set here, every time.
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        self.end_id, self.im_start_id, self.im_end_id = map(backend.token_to_id, SPECIAL_TOKENS)
        if (self.end_id, self.im_start_id, self.im_end_id) != (0, 1, 2):
            raise ValueError(f"{', '.join(SPECIAL_TOKENS)} must have the ids 0, 1 and 2.")
        self.pad_id = self.end_id
        added = backend.get_added_tokens_decoder()
        self._special_ids = {index for index, token in added.items() if token.special}
        byte_of = {char: byte for byte, char in byte_alphabet().items()}
        self._bytes = {
            index: token.encode() if index in added else bytes(byte_of[char] for char in token)
            for token, index in backend.get_vocab().items()
        }

    def __reduce__(self):
        return Tokenizer, (self.backend,)  # a copy in another process goes through __init__ too

    @staticmethod
    def train(texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn merges from texts. Raises ValueError if vocab_size has no room for all bytes."""
        smallest = len(SPECIAL_TOKENS) + 256
        if vocab_size < smallest:
            raise ValueError(
                f"vocab_size {vocab_size} is too small: 256 bytes and {len(SPECIAL_TOKENS)} "
                f"special tokens need {smallest}."
            )
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),  # else unseen bytes would vanish
            show_progress=False,
        )
        backend.train_from_iterator(map(check_text, texts), trainer)
        return Tokenizer(backend)

    @property
    def vocab_size(self) -> int:
        """How many ids there are, special tokens included."""
        return self.backend.get_vocab_size()

    def token_bytes(self, index: int) -> bytes:
        """The bytes of one token. Raises ValueError for an id that does not exist."""
        if index not in self._bytes:
            raise ValueError(f"there is no token {index}: ids go from 0 to {self.vocab_size - 1}.")
        return self._bytes[index]

    def special_id(self, token: str) -> int:
        """The id of a special token. Raises ValueError for a mistyped one (there is no UNK)."""
        index = self.backend.token_to_id(token)
        if index not in self._special_ids:
            known = ", ".join(SPECIAL_TOKENS)
            raise ValueError(f"{token!r} is not a special token: there are {known}.")
        return index

    def encode(self, text: str) -> list[int]:
        """Ids of a text; never a special id, whatever the text spells."""
        return self.backend.encode(check_text(text), add_special_tokens=False).ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """`encode` for many texts at once, on all cores."""
        batch = self.backend.encode_batch([check_text(t) for t in texts], add_special_tokens=False)
        return [encoding.ids for encoding in batch]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Text of ids; decode(encode(s)) == s. Bytes that are not UTF-8 become U+FFFD."""
        skipped = self._special_ids if skip_special_tokens else ()
        kept = (self.token_bytes(index) for index in ids if index not in skipped)
        return b"".join(kept).decode("utf-8", errors="replace")

    def encode_chat(
        self, messages: list[dict], add_generation_prompt: bool = False
    ) -> tuple[list[int], list[bool]]:
        """A chat's ids, and for each whether it belongs to an assistant's reply or ends it.

        Header, content and end are encoded apart, so that where a reply begins is known and not
        searched for, and nobody's text can become a special token.
        """
        check_messages(messages)
        input_ids, supervised = [], []

        def add(ids: list[int], is_target: bool = False) -> None:
            input_ids.extend(ids)
            supervised.extend([is_target] * len(ids))

        for message in messages:
            is_reply = message["role"] == "assistant"
            add([self.im_start_id, *self.encode(message["role"] + "\n")])
            add([*self.encode(message["content"]), self.im_end_id], is_reply)
            add(self.encode("\n"))
        if add_generation_prompt:
            add([self.im_start_id, *self.encode("assistant\n")])
        return input_ids, supervised

    def save_pretrained(self, directory: Path | str) -> None:
        """Write tokenizer.json and tokenizer_config.json, each beside its place and then moved."""
        directory = Path(directory)
        end, start, turn_end = SPECIAL_TOKENS
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": False,
            "bos_token": end, "eos_token": turn_end, "pad_token": end,
            "additional_special_tokens": [start], "clean_up_tokenization_spaces": False,
            "model_max_length": 1_000_000, "chat_template": CHAT_TEMPLATE,
        }  # fmt: skip
        for name, text in (
            ("tokenizer.json", self.backend.to_str(pretty=True)),
            ("tokenizer_config.json", json.dumps(config, indent=2, ensure_ascii=False)),
        ):
            with replacing(directory / name) as unfinished:
                unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")

    @staticmethod
    def from_pretrained(directory: Path | str) -> "Tokenizer":
        """Open a directory. Raises FileNotFoundError or ValueError: the file and the reason."""
        path = Path(directory) / "tokenizer.json"
        config_path = Path(directory) / "tokenizer_config.json"
        fast, config = (read_json(p, "a tokenizer needs both of its files.") for p in (path, config_path))
        try:
            check_tokenizer_json(fast)
            backend = tokenizers.Tokenizer.from_str(json.dumps(fast, ensure_ascii=False))
            tokenizer = Tokenizer(backend)
        except Exception as error:  # the library raises plain Exception for all of its reasons
            raise ValueError(f"{path}: {error or type(error).__name__}") from error
        try:
            check_tokenizer_config(config)
        except ValueError as error:
            raise ValueError(f"{config_path}: {error}") from error
        ids = tokenizer.encode(PROBE)
        if tokenizer.decode(ids) != PROBE or backend.decode(ids) != PROBE:
            raise ValueError(f"{path}: a text does not come back as it was; some step changes it.")
        if backend.encode(PROBE).ids != ids:
            raise ValueError(f"{path}: its post_processor adds tokens; encode_chat alone may.")
        return tokenizer


def check_messages(messages: list[dict]) -> None:
    """Raise ValueError, naming the message, for a chat that cannot be encoded."""
    if not isinstance(messages, list) or not messages:
        raise ValueError("a chat must be a list of at least one message.")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            role = message.get("role") if isinstance(message, dict) else message
            known = ", ".join(ROLES)
            raise ValueError(f"message {number} has the role {role!r}: use one of {known}.")
        if not isinstance(message.get("content"), str):
            raise ValueError(f"message {number} ({message['role']}) has no text in 'content'.")


def check_tokenizer_json(fast: dict) -> None:
    """Raise ValueError if this is no byte-level BPE that keeps every text as it is."""
    model = fast.get("model") or {}
    vocab, merges = model.get("vocab"), model.get("merges")
    if model.get("type") != "BPE" or not isinstance(vocab, dict) or not isinstance(merges, list):
        raise ValueError("this is not a byte-level BPE tokenizer.")
    for name in ("unk_token", "dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise ValueError(f"its model has {name} {model[name]!r}; it must have none.")
    if fast.get("normalizer"):
        raise ValueError("it has a normalizer: some texts would not come back as they were.")
    steps = [fast.get("pre_tokenizer") or {}]
    steps += steps[0].get("pretokenizers", [])
    flags = [step["add_prefix_space"] for step in steps if step.get("type") == "ByteLevel"]
    if not flags:
        raise ValueError("its pre_tokenizer is not ByteLevel.")
    if any(flags):
        raise ValueError("add_prefix_space is true: texts come back changed; set it to false.")
    for name in ("truncation", "padding"):
        if fast.get(name):
            raise ValueError(f"its {name} is on, for some readers: set it to null.")
    added = {token["content"]: token for token in fast.get("added_tokens") or []}
    for index, name in enumerate(SPECIAL_TOKENS):
        token = added.get(name, {})
        if token.get("id") != index:
            raise ValueError(f"{name} should have id {index}, not {token.get('id')}.")
        if not token.get("special"):
            raise ValueError(f"{name} is not marked special: a user's text could write it.")
        if token.get("lstrip") or token.get("rstrip") or token.get("single_word"):
            raise ValueError(f"{name} takes the spaces beside it, or needs them: set it to neither.")
    check_vocabulary(vocab, merges, {name: token["id"] for name, token in added.items()})


def check_vocabulary(vocab: dict[str, int], merges: list, added: dict[str, int]) -> None:
    """Raise ValueError unless the tokens are the bytes, the products of merges, and the added."""
    known = set(byte_alphabet().values())
    missing = sorted(known - vocab.keys())
    if missing:
        raise ValueError(
            f"{len(missing)} of the 256 bytes are not in the vocabulary, the first is "
            f"{missing[0]!r}; text with them would lose characters."
        )
    for number, merge in enumerate(merges):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if len(parts) != 2:
            raise ValueError(f"merge {number} is {merge!r}, not a pair.")
        absent = [part for part in (*parts, "".join(parts)) if part not in vocab]
        if absent:
            raise ValueError(f"merge {number} needs {absent[0]!r}, which is not in the vocabulary.")
        known.add("".join(parts))
    unreachable = sorted(vocab.keys() - known - added.keys())
    if unreachable:
        raise ValueError(f"no merge makes the token {unreachable[0]!r}: its merges are another's.")
    ids = sorted((vocab | added).values())
    if ids != list(range(len(ids))):
        raise ValueError(f"the ids are not 0 to {len(ids) - 1}, each once.")


def check_tokenizer_config(config: dict) -> None:
    """Raise ValueError if tokenizer_config.json says something else than tokenizer.json."""
    if config.get("add_prefix_space"):
        raise ValueError(
            "add_prefix_space is true but false in tokenizer.json; which one wins depends on the "
            "reader and its version, so set both to false."
        )
    if config.get("tokenizer_class") not in PLAIN_CLASSES:
        raise ValueError(
            f"tokenizer_class is {config.get('tokenizer_class')!r}, whose reader may split text by "
            f"a rule of its own: use {PLAIN_CLASSES[0]!r}."
        )
    wanted = {"unk_token": (None,), "pad_token": (None, SPECIAL_TOKENS[0])}
    for name, allowed in wanted.items():
        token = config.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if token not in allowed:
            raise ValueError(f"{name} is {token!r}; it must be {allowed[-1] or 'left out'}.")


def stream_decode(tokenizer: Tokenizer, ids: Iterable[int]) -> Iterator[str]:
    """Text as it comes, special tokens left out, never half a character.

    Bytes wait until their character is complete; what is still open at the end becomes U+FFFD.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for index in ids:
        if index not in tokenizer._special_ids:
            piece = decoder.decode(tokenizer.token_bytes(index))
            if piece:
                yield piece
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest
