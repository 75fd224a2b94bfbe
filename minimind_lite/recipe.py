"""The whole path at three sizes: corpus, tokenizer, pretraining, fine-tuning; each made once.

Every stage is one function that finds its result under runs/ by a hash of all that it depends
on, or makes it with a progress bar. `MINIMIND_LITE_PRESET` (lite, small, base) chooses the size;
nothing else in a chapter changes.
"""

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from minimind_lite import corpus
from minimind_lite.card import Facts
from minimind_lite.checkpoint import load_pretrained, save_pretrained
from minimind_lite.corpus import CorpusConfig
from minimind_lite.data import Dropped, TokenDataset, Windows, chat_samples, document_samples
from minimind_lite.evaluate import bits_per_byte
from minimind_lite.generate import generate
from minimind_lite.lenient import UsableLines
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.options import nearest
from minimind_lite.record import check_tokens, describe_run, write_run
from minimind_lite.resume import is_main, say
from minimind_lite.tokenizer import Tokenizer
from minimind_lite.train import TrainConfig, pick_device, train


@dataclass
class Preset:
    """All that is chosen for one size; the hash of these numbers names the results."""

    name: str
    vocab_size: int
    model: ModelConfig
    pretrain: TrainConfig
    sft: TrainConfig
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    threads: int | None = None  # CPU threads; fixed, because sums depend on how they are split
    rehearsal: int = 0  # pretraining texts that fine-tuning reads again, lest they be forgotten
    tokenizer_texts: int = 200_000  # the tokenizer is trained on at most so many texts, and chats
    skip_unusable: bool = False  # leave out lines that cannot be used; MiniMind's chats have some


PRESETS = {
    "lite": Preset(
        name="lite", vocab_size=2048, threads=2, rehearsal=6000,
        model=ModelConfig(
            vocab_size=2048, hidden_size=160, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, head_dim=32, max_position_embeddings=512,
        ),
        pretrain=TrainConfig(
            total_steps=1600, max_lr=4e-3, min_lr=1e-4, warmup_steps=60, sequence_length=256,
            micro_batch_size=8, accumulation_steps=1, optimizer="muon",
        ),
        sft=TrainConfig(
            total_steps=850, max_lr=2e-3, min_lr=5e-5, warmup_steps=20, sequence_length=256,
            micro_batch_size=8, accumulation_steps=1, optimizer="muon",
        ),
    ),
    "small": Preset(
        name="small", vocab_size=6400, skip_unusable=True,
        model=ModelConfig(
            vocab_size=6400, hidden_size=512, intermediate_size=1408, num_hidden_layers=8,
            num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=2048,
        ),
        pretrain=TrainConfig(
            total_steps=20_000, max_lr=1e-3, min_lr=1e-4, warmup_steps=500, sequence_length=512,
            micro_batch_size=32, accumulation_steps=2, save_every=1000,
        ),
        sft=TrainConfig(
            total_steps=10_000, max_lr=3e-4, min_lr=3e-5, warmup_steps=200, sequence_length=512,
            micro_batch_size=32, accumulation_steps=2, save_every=1000,
        ),
    ),
    "base": Preset(
        name="base", vocab_size=6400, skip_unusable=True,
        model=ModelConfig(
            vocab_size=6400, hidden_size=768, intermediate_size=2432, num_hidden_layers=8,
            num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=2048,
        ),
        pretrain=TrainConfig(
            total_steps=20_000, max_lr=6e-4, min_lr=6e-5, warmup_steps=500, sequence_length=1024,
            micro_batch_size=32, accumulation_steps=2, save_every=1000,
        ),
        sft=TrainConfig(
            total_steps=10_000, max_lr=2e-4, min_lr=2e-5, warmup_steps=200, sequence_length=1024,
            micro_batch_size=32, accumulation_steps=2, save_every=1000,
        ),
    ),
}  # fmt: skip

# What the log of pretraining shows the model's continuations of.
PROMPTS = ("Once there was a", "从前，")

# MiniMind's public files, for the larger presets, and their sizes in GB, as published.
PUBLIC_REPOSITORY = "jingyaogong/minimind_dataset"
PUBLIC_FILES = {"pretrain": "pretrain_t2t_mini.jsonl", "sft": "sft_t2t_mini.jsonl"}
PUBLIC_SIZES = {"pretrain": 1.2, "sft": 1.6}


def preset() -> Preset:
    """The preset that MINIMIND_LITE_PRESET names; also fixes the CPU threads of this process."""
    name = os.environ.get("MINIMIND_LITE_PRESET", "lite")
    if name not in PRESETS:
        known = ", ".join(PRESETS) + nearest(name, PRESETS)
        raise ValueError(f"MINIMIND_LITE_PRESET is {name!r}: choose one of {known}")
    chosen = PRESETS[name]
    if chosen.threads:
        torch.set_num_threads(min(chosen.threads, usable_cpus()))
    return chosen


def usable_cpus() -> int:
    """How many CPUs this process may run on; more threads than that would wait for each other."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def runs_directory() -> Path:
    """Where results go: runs/ beside the package, or where MINIMIND_LITE_RUNS says."""
    beside = Path(__file__).resolve().parent.parent / "runs"
    return Path(os.environ.get("MINIMIND_LITE_RUNS", beside)) / preset().name


def place(stage: str, *depends_on) -> Path:
    """runs/PRESET/STAGE-HASH, the hash over everything that the stage's result depends on.

    depends_on: values, dataclasses, and paths, whose last two names count.
    """
    def plain(value):
        return "/".join(value.parts[-2:]) if isinstance(value, Path) else asdict(value)

    text = json.dumps(depends_on, sort_keys=True, default=plain)
    return runs_directory() / f"{stage}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def corpus_files() -> dict[str, Path]:
    """The JSONL files to learn from: our own corpus at `lite`, MiniMind's public files above.

    Keys: pretrain, pretrain_valid, sft, sft_valid, preference, evaluation (lite); pretrain, sft.
    """
    if preset().name != "lite":
        files = {name: public_directory() / file for name, file in PUBLIC_FILES.items()}
        for name, path in files.items():
            if not path.is_file():
                raise FileNotFoundError(
                    f"{path} is missing, about {PUBLIC_SIZES[name]} GB. Download it with: "
                    "python -m minimind_lite download"
                )
        return files
    directory = place("corpus", preset().corpus, corpus.fingerprint())
    names = corpus.FILES
    with first_process_first():
        if not all((directory / name).is_file() for name in names.values()):
            corpus.write_corpus(directory, preset().corpus)
    return {key: directory / name for key, name in names.items()}


@contextmanager
def first_process_first():
    """Under torchrun the first process makes what is missing while the others wait; then they find it."""
    if dist.is_initialized() and not is_main():
        dist.barrier()
    yield
    if dist.is_initialized() and is_main():
        dist.barrier()


def public_directory() -> Path:
    """Where the larger presets look for MiniMind's files; both presets share them."""
    return runs_directory().parent / "minimind"


def lines(read, path, skip_unusable: bool):
    """The rows of a JSONL file; unless told to skip them, the first unusable line is an error."""
    return UsableLines(read, path) if skip_unusable else read(path)


def tokenizer() -> Tokenizer:
    """The tokenizer of this preset, trained on all that the model will read: texts and chats."""
    directory, files = tokenizer_directory(), corpus_files()
    with first_process_first():
        if not (directory / "tokenizer.json").is_file():
            most, skip = preset().tokenizer_texts, preset().skip_unusable
            texts = islice(lines(corpus.read_texts, files["pretrain"], skip), most)
            chats = islice(lines(corpus.read_conversations, files["sft"], skip), most)
            said = (message["content"] for messages in chats for message in messages)
            texts = tqdm(chain(texts, said), desc="tokenizer", unit=" texts")
            Tokenizer.train(texts, preset().vocab_size).save_pretrained(directory)
    return Tokenizer.from_pretrained(directory)


def pretrained() -> tuple[Transformer, Tokenizer]:
    """The base model: it continues text."""
    files, chosen = corpus_files(), preset()
    directory = pretrain_directory()
    if not (directory / "model" / "config.json").is_file():
        pretrain(files["pretrain"], tokenizer(), chosen.model, chosen.pretrain, directory,
                 valid=files.get("pretrain_valid"), skip_unusable=chosen.skip_unusable)  # fmt: skip
    return load_pretrained(directory / "model")


def tokenizer_directory() -> Path:
    files = corpus_files()
    return place("tokenizer", files["pretrain"], files["sft"], preset().vocab_size)


def pretrain_directory() -> Path:
    return place("pretrain", tokenizer_directory(), preset().model, preset().pretrain)


def sft_directory() -> Path:
    chosen = preset()
    return place("sft", pretrain_directory(), corpus_files()["sft"], chosen.sft, chosen.rehearsal)


def chat_model() -> tuple[Transformer, Tokenizer]:
    """The chat model: the base model after supervised fine-tuning."""
    directory = sft_directory()
    if not (directory / "model" / "config.json").is_file():
        pretrained()
        files, chosen = corpus_files(), preset()
        rehearse = files["pretrain"] if chosen.rehearsal else None
        finetune(files["sft"], pretrain_directory() / "model", chosen.sft, directory, rehearse,
                 chosen.rehearsal, chosen.skip_unusable)  # fmt: skip
    return load_pretrained(directory / "model")


def pretrain(
    data, tok, model_config, config, directory, valid=None, skip_unusable=False, on_step=None
) -> Transformer:
    """Pretrain a new model on {"text": …} lines and save it as directory/model; resumes by itself."""
    directory = Path(directory)
    if is_main() and not (directory / "tokenizer").is_dir():
        tok.save_pretrained(directory / "tokenizer")  # run.json names this copy
    read = {"data": Path(data), "valid": valid and Path(valid), "tokenizer": directory / "tokenizer"}
    options = read | {"skip_unusable": skip_unusable} | asdict(model_config)
    torch.manual_seed(config.seed)
    model = Transformer(model_config).to(pick_device())
    texts = lines(corpus.read_texts, data, skip_unusable)
    samples = document_samples(tok, texts, config.sequence_length)
    validate = None
    if valid is not None:
        held_out = held_out_by_kind(valid)

        def validate():
            said = {prompt: continuation(model, tok, prompt) for prompt in PROMPTS}
            return score_by_kind(model, tok, held_out) | {"samples": said}

    run = ("pretrain", options)
    return fit(model, tok, samples, config, directory, "pretraining", run, (texts,), validate, on_step)


def held_out_by_kind(path, count: int = 60) -> dict[str, list[str]]:
    """The first texts of a validation file by their "kind" (one kind if its lines name none)."""
    by_kind = {}
    pairs = zip(corpus.read_texts(path), corpus.read_jsonl(path))
    for text, (_, row) in islice(pairs, count):
        by_kind.setdefault(row.get("kind", "text"), []).append(text)
    return by_kind


def score_by_kind(model, tok, texts: dict[str, list[str]]) -> dict:
    """Bits per byte of each kind of text, and of all of them together."""
    by_kind = {kind: bits_per_byte(model, tok, some) for kind, some in texts.items()}
    size = {kind: sum(len(text.encode("utf-8")) for text in some) for kind, some in texts.items()}
    together = sum(by_kind[kind] * size[kind] for kind in texts) / sum(size.values())
    return {"bits_per_byte": together, "by_kind": by_kind}


def continuation(model, tok, prompt: str, max_new_tokens: int = 60) -> str:
    """What the model writes after a prompt, greedily, up to the end of the text."""
    ids = [tok.end_id, *tok.encode(prompt)]
    new = generate(model, ids, max_new_tokens=max_new_tokens, temperature=0, eos_id=tok.end_id)
    return tok.decode(new, skip_special_tokens=True)


def finetune(
    data, model, config, directory, rehearse=None, rehearse_texts=None, skip_unusable=False, on_step=None
) -> Transformer:
    """Fine-tune the model saved in `model` on {"conversations": …} lines; saved as directory/model.

    rehearse: a file of texts from pretraining to mix in (the first `rehearse_texts`, or all), every
    token a target, so that what the conversations do not speak of is not forgotten (Robins, 1995,
    calls it rehearsal).
    """
    options = {"data": Path(data), "model": Path(model), "rehearse": rehearse and Path(rehearse),
               "rehearse_texts": rehearse_texts, "skip_unusable": skip_unusable}  # fmt: skip
    model, tok = load_pretrained(model)
    dropped = Dropped()
    length = config.sequence_length
    conversations = lines(corpus.read_conversations, data, skip_unusable)
    texts = () if rehearse is None else lines(corpus.read_texts, rehearse, skip_unusable)
    chats = chat_samples(tok, conversations, length, dropped)
    samples = chain(chats, document_samples(tok, islice(texts, rehearse_texts), length))
    model = model.to(pick_device())
    fit(model, tok, samples, config, Path(directory), "fine-tuning", ("sft", options),
        (conversations, texts), None, on_step)  # fmt: skip
    if dropped.turns:
        say(str(dropped))
    return model


def fit(
    model, tok, samples, config, directory, description, run, readers=(), validate=None, on_step=None
) -> Transformer:
    """Tokenize once to disk, train with one or many processes, save the result.

    run: the command and its options beside the training's ("data" among them), for run.json.
    readers: what the samples are read from, to say what was left out.
    """
    command, options = run
    options = options | {"out": directory} | asdict(config)
    tokens = directory / "tokens"
    if is_main():
        run = describe_run(command, preset().name, options, pick_device())
        check_tokens(directory, run)
        write_run(directory, run)
        if not tokens.is_dir():
            TokenDataset.write(tokens, tqdm(samples, desc="tokenizing", unit=" samples"))
    for reader in readers:
        if isinstance(reader, UsableLines) and reader.left_out:
            say(str(reader))
    if dist.is_initialized():
        dist.barrier()
    rank, world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    windows = Windows(
        TokenDataset(tokens), sequence_length=config.sequence_length, seed=config.seed,
        micro_batch_size=config.micro_batch_size, accumulation_steps=config.accumulation_steps,
        rank=rank, world_size=world_size,
    )  # fmt: skip
    trained = DistributedDataParallel(model) if dist.is_initialized() else model
    try:
        log = train(trained, windows, config, directory, description=description, validate=validate,
                    validate_every=100, on_step=on_step)  # fmt: skip
    finally:
        if is_main():
            write_run(directory, run)  # now it is known which number format "auto" chose
    if is_main():
        save_pretrained(directory / "model", model, tok, facts_of(log, options["data"]))
    if dist.is_initialized():
        dist.barrier()  # the others may want to open it
    return model


def facts_of(log: list[dict], data: Path) -> Facts:
    """What a run knows about its model, for the model card."""
    own = data.parent.name.startswith("corpus-")  # where `corpus_files` writes it
    bits = [entry["bits_per_byte"] for entry in log if "bits_per_byte" in entry]
    return Facts(
        data="the built-in corpus of MiniMind Lite, English and Chinese" if own else data.name,
        tokens_seen=sum(entry["tokens"] for entry in log), bits_per_byte=bits[-1] if bits else None,
        licence="Apache-2.0" if own else None,
    )  # fmt: skip
