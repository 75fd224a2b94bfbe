"""From documents and conversations to batches: samples, packing, labels shifted by one, windows.

A *sample* is a list of token ids and, for each, whether it is supervised (a target of the loss).
Samples are packed into *rows* of at most `sequence_length` tokens, rows are grouped into
*micro-batches*, and the micro-batches of one optimizer step are a *window*. What a window holds
is a function of the seed and the step alone, so a resumed run needs nothing but the step.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from minimind_lite.files import replacing

IGNORE = -100  # the label of a position without a target, as in torch's cross-entropy

Sample = tuple[list[int], list[bool]]  # token ids, and which of them are targets
MicroBatch = tuple[Tensor, Tensor, Tensor | None]  # input_ids, labels, segment_ids: [batch, seq]


def document_samples(tokenizer, texts: Iterable[str], sequence_length: int) -> Iterator[Sample]:
    """Each text between two end-of-text tokens, every token but the first a target.

    A text longer than a row is cut; each piece begins with the last token of the one before,
    so that every token is predicted exactly once.
    """
    for text in texts:
        ids = [tokenizer.end_id, *tokenizer.encode(text), tokenizer.end_id]
        for start in range(0, len(ids) - 1, sequence_length):
            piece = ids[start : start + sequence_length + 1]
            yield piece, [False] + [True] * (len(piece) - 1)


@dataclass
class Dropped:
    """What did not fit into a row, counted while `chat_samples` runs."""

    turns: int = 0
    conversations: int = 0

    def __str__(self):
        return (
            f"{self.turns} turns and {self.conversations} whole conversations were too long "
            "for a row and left out"
        )


def chat_samples(
    tokenizer, conversations: Iterable[list[dict]], sequence_length: int, dropped: Dropped
) -> Iterator[Sample]:
    """Each conversation in the chat format, the assistant's replies and their ends as targets.

    A conversation longer than a row loses whole turns from its end until the last one left is a
    reply that fits; one whose first reply does not fit is left out. Both are counted in `dropped`.
    """
    for messages in conversations:
        kept = len(messages)
        ids, supervised = tokenizer.encode_chat(messages)
        while len(ids) > sequence_length + 1 and kept:
            kept -= 1
            while kept and messages[kept - 1]["role"] != "assistant":
                kept -= 1
            ids, supervised = tokenizer.encode_chat(messages[:kept]) if kept else ([], [])
        dropped.turns += len(messages) - kept
        dropped.conversations += kept == 0
        if any(supervised):
            yield ids, supervised


class TokenDataset:
    """Samples in three memory-mapped files, so that a corpus may be larger than memory.

    tokens.bin: int32 [total], supervised.bin: uint8 [total], lengths.bin: int64 [samples].
    """

    def __init__(self, directory: Path):
        def mapped(name, dtype, size):
            path = Path(directory) / name
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing: delete {directory} and tokenize again.")
            items, rest = divmod(path.stat().st_size, size)
            if rest or not items:
                raise ValueError(f"{path} is empty or cut short: delete {directory} and tokenize again.")
            return torch.from_file(str(path), shared=False, size=items, dtype=dtype)

        self.tokens = mapped("tokens.bin", torch.int32, 4)
        self.supervised = mapped("supervised.bin", torch.uint8, 1)
        self.lengths = mapped("lengths.bin", torch.int64, 8)
        self.ends = self.lengths.cumsum(0)
        total = int(self.ends[-1])
        if int(self.lengths.min()) < 1 or not total == len(self.tokens) == len(self.supervised):
            raise ValueError(
                f"{directory} holds {len(self.tokens)} tokens, {len(self.supervised)} marks and lengths "
                f"for {total}: it is damaged; delete it and tokenize again."
            )

    @staticmethod
    def write(directory: Path, samples: Iterable[Sample]) -> "TokenDataset":
        """Stream samples to disk; they take the place of what was there only when all are written.

        Raises ValueError if there are none, OSError if the disk is full; what was there stays.
        """
        written = 0
        with replacing(directory) as unfinished:
            unfinished.mkdir()
            with (
                open(unfinished / "tokens.bin", "wb") as tokens,
                open(unfinished / "supervised.bin", "wb") as flags,
                open(unfinished / "lengths.bin", "wb") as lengths,
            ):
                for ids, supervised in samples:
                    array("i", ids).tofile(tokens)
                    array("B", supervised).tofile(flags)
                    array("q", [len(ids)]).tofile(lengths)
                    written += 1
            if not written:
                raise ValueError(f"there is nothing to train on: no samples for {directory}.")
        return TokenDataset(directory)

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, index: int) -> Sample:
        end = int(self.ends[index])
        here = slice(end - int(self.lengths[index]), end)
        return self.tokens[here].tolist(), self.supervised[here].bool().tolist()


def pack(lengths: list[int], capacity: int) -> list[list[int]]:
    """Which samples share a row: longest first, each into the fullest row that still has room.

    Best-fit decreasing, as in Ding et al., "Fewer Truncations Improve Language Modeling", 2024.

    >>> pack([3, 9, 6, 1], capacity=10)
    [[1, 3], [2, 0]]
    """
    rows = []  # list[list[int]], indices into lengths
    room = []  # sorted list[(free positions, row)]
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        if length > capacity:
            raise ValueError(f"sample {index} has {length} tokens; a row has {capacity}.")
        place = bisect_left(room, (length, -1))
        if place == len(room):
            rows.append([index])
            free, row = capacity, len(rows) - 1
        else:
            free, row = room.pop(place)
            rows[row].append(index)
        insort(room, (free - length, row))
    return rows


def collate(rows: list[list[Sample]], pad_id: int = 0) -> MicroBatch:
    """Rows of samples -> input_ids, labels, segment_ids, each [rows, longest row].

    The label of a position is the token after it (the shift happens here, and only here), if
    that token is supervised. Padding has no label and stands to the right, where a causal mask
    never looks; segment_ids is None if no row holds two samples, since nothing needs a wall then.
    """
    width = max(sum(len(ids) - 1 for ids, _ in row) for row in rows)
    input_ids = torch.full((len(rows), width), pad_id)
    labels = torch.full((len(rows), width), IGNORE)
    segment_ids = torch.full((len(rows), width), -1)
    for r, row in enumerate(rows):
        start = 0
        for segment, (ids, supervised) in enumerate(row):
            tokens, targets = torch.tensor(ids), torch.tensor(supervised)
            here = slice(start, start + len(ids) - 1)
            input_ids[r, here] = tokens[:-1]
            labels[r, here] = tokens[1:].masked_fill(~targets[1:], IGNORE)
            segment_ids[r, here] = segment
            start = here.stop
    walled = any(len(row) > 1 for row in rows)
    return input_ids, labels, segment_ids if walled else None


def widened(micro_batch: MicroBatch, width: int) -> MicroBatch:
    """The same with padding up to a width, [rows, width], for those who want one shape only."""
    input_ids, labels, segment_ids = micro_batch
    more = (0, width - input_ids.shape[1])
    if segment_ids is not None:
        segment_ids = F.pad(segment_ids, more, value=-1)
    return F.pad(input_ids, more), F.pad(labels, more, value=IGNORE), segment_ids


class Windows:
    """The micro-batches of every optimizer step, for one process among `world_size`.

    len(windows) is the number of steps in an epoch: ceil(rows / rows per step). The last window
    of an epoch holds what is left over. `windows[step]` counts on through all epochs.
    """

    def __init__(
        self, dataset, *, sequence_length: int, micro_batch_size: int, accumulation_steps: int = 1,
        seed: int = 0, rank: int = 0, world_size: int = 1,
    ):  # fmt: skip
        self.dataset, self.seed = dataset, seed
        self.rank, self.world_size = rank, world_size
        self.micro_batch_size = micro_batch_size
        self.rows_per_step = micro_batch_size * accumulation_steps * world_size
        self.rows = pack([n - 1 for n in dataset.lengths.tolist()], sequence_length)
        self.epoch, self.order = None, None

    def __len__(self):
        return -(-len(self.rows) // self.rows_per_step)

    def __getitem__(self, step: int) -> list[MicroBatch]:
        epoch, place = divmod(step, len(self))
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self.order = torch.randperm(len(self.rows), generator=generator).tolist()
            self.epoch = epoch
        chosen = self.order[place * self.rows_per_step : (place + 1) * self.rows_per_step]
        rows = [[self.dataset[i] for i in self.rows[row]] for row in chosen[self.rank :: self.world_size]]
        if not rows:  # the last window may have fewer rows than there are processes
            rows = [[([0, 0], [False, False])]]  # no target, yet this process joins the all-reduce
        return [
            collate(rows[i : i + self.micro_batch_size])
            for i in range(0, len(rows), self.micro_batch_size)
        ]
