"""The tokenizer we ship: byte-level BPE by the tokenizers library, in two files the world reads.

Three special tokens have fixed ids: 0 `<|endoftext|>` ends a document and pads, 1 `<|im_start|>`
and 2 `<|im_end|>` begin and end a chat turn. There is no UNK: all 256 bytes are in the alphabet.
`add_prefix_space` is False in both files; a directory in which the two disagree is refused.
"""

import codecs
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ROLES = ("system", "user", "assistant")

# GPT-2's pattern (Radford et al., 2019). A number may become one token, "2026" as well as "7":
# our sums stay below 11, so that splitting digits would buy nothing here.
SPLIT_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

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
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def check_text(text: str) -> str:
    """The text itself. Raises TypeError if it is no str, ValueError for a lone surrogate."""
    if not isinstance(text, str):
        raise TypeError(f"a tokenizer needs a str, not {type(text).__name__}.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"character {error.start} of the text is a lone surrogate (U+{ord(text[error.start]):04X}), "
            "half of a character that UTF-8 cannot hold: mend the text where it was decoded."
        ) from None
    return text


class Tokenizer:
    """Text to ids and back, and chats to ids with a mask of what is supervised."""

    def __init__(self, backend: tokenizers.Tokenizer):
        self.backend = backend
        # Text that spells a special token is text. Only encode_chat writes special ids.
        self.backend.encode_special_tokens = True
        self.end_id, self.im_start_id, self.im_end_id = range(3)
        self.pad_id = self.end_id
        byte_of = {char: byte for byte, char in byte_alphabet().items()}
        special = set(map(str, backend.get_added_tokens_decoder().values())) | set(SPECIAL_TOKENS)
        self._bytes = {
            index: token.encode() if token in special else bytes(byte_of[char] for char in token)
            for token, index in backend.get_vocab().items()
        }
        self._special_ids = {backend.token_to_id(token) for token in special}

    @staticmethod
    def train(texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn merges from texts. Raises ValueError if vocab_size has no room for all bytes."""
        smallest = len(SPECIAL_TOKENS) + 256
        if vocab_size < smallest:
            raise ValueError(
                f"vocab_size {vocab_size} is too small: 256 bytes and {len(SPECIAL_TOKENS)} special "
                f"tokens need {smallest}."
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
            raise ValueError(f"{token!r} is not a special token: there are {', '.join(SPECIAL_TOKENS)}.")
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
        return b"".join(self.token_bytes(i) for i in ids if i not in skipped).decode("utf-8", "replace")

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
        directory.mkdir(parents=True, exist_ok=True)
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
            unfinished = directory / (name + ".unfinished")
            unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")
            os.replace(unfinished, directory / name)

    @staticmethod
    def from_pretrained(directory: Path | str) -> "Tokenizer":
        """Open a directory; raises FileNotFoundError or ValueError naming the file and the reason."""
        directory = Path(directory)
        fast, config = (read_object(directory / n) for n in ("tokenizer.json", "tokenizer_config.json"))
        check_agreement(directory, fast, config)
        try:
            backend = tokenizers.Tokenizer.from_str(json.dumps(fast, ensure_ascii=False))
        except Exception as error:  # the library raises plain Exception for all of its reasons
            raise ValueError(f"{directory / 'tokenizer.json'}: {error}.") from error
        return Tokenizer(backend)


def check_messages(messages: list[dict]) -> None:
    """Raise ValueError, naming the message, for a chat that cannot be encoded."""
    if not isinstance(messages, list) or not messages:
        raise ValueError("a chat must be a list of at least one message.")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            role = message.get("role") if isinstance(message, dict) else message
            raise ValueError(f"message {number} has the role {role!r}: use one of {', '.join(ROLES)}.")
        if not isinstance(message.get("content"), str):
            raise ValueError(f"message {number} ({message['role']}) has no text in 'content'.")


def read_object(path: Path) -> dict:
    """A JSON object from a file, or one sentence about why not."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: a tokenizer needs both of its files.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): use another copy.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} should hold one JSON object.")
    return value


def check_agreement(directory: Path, fast: dict, config: dict) -> None:
    """Raise ValueError if the two files describe a tokenizer that changes under its users."""
    json_path, config_path = directory / "tokenizer.json", directory / "tokenizer_config.json"
    model = fast.get("model") or {}
    vocab, merges = model.get("vocab"), model.get("merges")
    if model.get("type") != "BPE" or not isinstance(vocab, dict) or not isinstance(merges, list):
        raise ValueError(f"{json_path}: this is not a byte-level BPE tokenizer.")
    steps = [fast.get("pre_tokenizer") or {}]
    steps += steps[0].get("pretokenizers", [])
    flags = [step["add_prefix_space"] for step in steps if step.get("type") == "ByteLevel"]
    if not flags:
        raise ValueError(f"{json_path}: its pre_tokenizer is not ByteLevel.")
    if any(flags):
        raise ValueError(f"{json_path}: add_prefix_space is True, so that no text would come back as it was; "
                         "it must be False.")  # fmt: skip
    if config.get("add_prefix_space", False) is not False:
        raise ValueError(f"{config_path}: add_prefix_space is True but False in tokenizer.json; which one wins "
                         "depends on the reader, so set both to False.")  # fmt: skip
    added = {token["content"]: token["id"] for token in fast.get("added_tokens", [])}
    for index, token in enumerate(SPECIAL_TOKENS):
        if added.get(token, vocab.get(token)) != index:
            raise ValueError(f"{json_path}: {token} should have id {index}, not {added.get(token)}.")
    missing = [char for char in byte_alphabet().values() if char not in vocab]
    if missing:
        raise ValueError(f"{json_path}: {len(missing)} of the 256 bytes are not in the vocabulary, the first "
                         f"is {missing[0]!r}; text with them would lose characters.")  # fmt: skip
    for number, merge in enumerate(merges):
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        absent = [part for part in (left, right, left + right) if part not in vocab]
        if absent:
            raise ValueError(f"{json_path}: merge {number} needs {absent[0]!r}, which is not in the vocabulary.")
    ids = sorted((vocab | added).values())
    if ids != list(range(len(ids))):
        raise ValueError(f"{json_path}: the ids are not 0 to {len(ids) - 1}, each once.")
    wanted_pad = config.get("pad_token")
    wanted_pad = wanted_pad.get("content") if isinstance(wanted_pad, dict) else wanted_pad
    if wanted_pad not in (None, SPECIAL_TOKENS[0]):
        raise ValueError(f"{config_path}: pad_token is {wanted_pad!r}; it must be {SPECIAL_TOKENS[0]!r}.")


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
