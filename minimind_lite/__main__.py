"""The command line: `python -m minimind_lite {corpus,tokenizer,pretrain,sft,chat,evaluate}`.

Each subcommand is a thin shell over the functions that the chapters explain. Without options it
works on the preset that MINIMIND_LITE_PRESET names, and finds or makes what it needs under runs/.
"""

import argparse
import os
import sys
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

import torch
import torch.distributed as dist

from minimind_lite import corpus, evaluate, recipe
from minimind_lite.checkpoint import load_pretrained
from minimind_lite.data import Dropped, chat_samples
from minimind_lite.generate import generate
from minimind_lite.resume import saved_states
from minimind_lite.show import terminal_mask
from minimind_lite.tokenizer import Tokenizer, stream_decode


def add_options(parser: argparse.ArgumentParser, title: str, defaults) -> None:
    """One option for every field of a dataclass, with the preset's value as its default."""
    group = parser.add_argument_group(title)
    for option in fields(defaults):
        value = getattr(defaults, option.name)
        kind = type(value) if value is not None else int
        group.add_argument(
            "--" + option.name.replace("_", "-"), dest=option.name, default=value, metavar=kind.__name__.upper(),
            type=true_or_false if kind is bool else kind,
            help=f"default: {value}",
        )  # fmt: skip


def true_or_false(text: str) -> bool:
    """The value of an option that is either; argparse says which option was wrong."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def chosen(arguments: argparse.Namespace, defaults):
    """The dataclass with what the command line said."""
    return replace(defaults, **{f.name: getattr(arguments, f.name) for f in fields(defaults)})


def parser() -> argparse.ArgumentParser:
    preset = recipe.preset()
    top = argparse.ArgumentParser(
        prog="python -m minimind_lite", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, about: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about,
                                  epilog=f"example: python -m minimind_lite {name} {example}")  # fmt: skip
        sub.set_defaults(run=COMMANDS[name])
        return sub

    sub = command("corpus", "Write the built-in corpus as JSONL files.", "--out runs/corpus")
    sub.add_argument("--out", type=Path, help="directory (default: the preset's under runs/)")
    add_options(sub, "corpus", preset.corpus)

    sub = command("tokenizer", "Train a tokenizer.", "--data texts.jsonl --vocab-size 2048 --out runs/tokenizer")
    sub.add_argument("--data", type=Path, help='JSONL file of {"text": …} (default: the preset\'s)')
    sub.add_argument("--vocab-size", type=int, default=preset.vocab_size, help="default: %(default)s")
    sub.add_argument("--out", type=Path, help="directory to write (with --data)")

    for name, about, config in (
        ("pretrain", "Train a new model to continue text.", preset.pretrain),
        ("sft", "Fine-tune a model on conversations.", preset.sft),
    ):
        sub = command(name, about, "--data my.jsonl --out runs/mine --total-steps 200")
        sub.add_argument("--data", type=Path, help="JSONL file (default: the preset's)")
        sub.add_argument("--out", type=Path, help="directory of the run (with --data)")
        sub.add_argument("--resume", action="store_true", help="go on with the run in --out")
        if name == "pretrain":
            sub.add_argument("--tokenizer", type=Path, help="directory (default: the preset's)")
            sub.add_argument("--valid", type=Path, help="JSONL file to measure bits per byte on")
            add_options(sub, "model", preset.model)
        else:
            sub.add_argument("--model", type=Path, help="directory (default: the preset's base model)")
            sub.add_argument("--rehearse", type=Path, metavar="FILE",
                             help='JSONL file of {"text": …} to mix in, lest it be forgotten')  # fmt: skip
            sub.add_argument("--show-mask", type=Path, metavar="FILE",
                             help="only print conversations of FILE, what is supervised in colour")  # fmt: skip
            sub.add_argument("--samples", type=int, default=3, help="how many (default: %(default)s)")
        add_options(sub, "training", config)

    sub = command("chat", "Talk to a chat model in the terminal.", "--temperature 0.7")
    sub.add_argument("--model", type=Path, help="directory (default: the preset's, trained if missing)")
    sub.add_argument("--system", help="a system prompt")
    sub.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default: %(default)s)")
    sub.add_argument("--top-p", type=float, help="sample from the most likely tokens with this sum")
    sub.add_argument("--max-new-tokens", type=int, default=200, help="default: %(default)s")
    sub.add_argument("--seed", type=int, help="makes sampling repeatable")

    sub = command("evaluate", "Measure bits per byte, and the table of skills.", "--model runs/mine/model")
    sub.add_argument("--model", type=Path, help="directory (default: the preset's chat model)")
    sub.add_argument("--texts", type=Path, help='JSONL file of {"text": …} to measure bits per byte on')
    sub.add_argument("--items", type=Path, help="JSONL file of evaluation items for the skills")
    return top


def refuse_to_mix(out: Path, resume: bool) -> None:
    """A run goes into an empty directory, or continues one on purpose."""
    if out is not None and saved_states(out) and not resume:
        raise ValueError(f"{out} already holds a run: add --resume to go on, or choose another --out.")
    if resume and (out is None or not saved_states(out)):
        raise ValueError(f"there is nothing to resume in {out}: leave out --resume, or name the run's --out.")


def refuse_to_change(arguments, **values) -> None:
    """Without --out a command makes the preset's own result, so an option must not ask for another."""
    for name, value in values.items():
        if getattr(arguments, name) != value:
            raise ValueError(f"--{name.replace('_', '-')} changes the result, which then needs a place: add --out.")


def need_out(arguments) -> Path:
    if arguments.out is None:
        raise ValueError("--data needs --out: the directory to write the result to.")
    return arguments.out


def run_corpus(arguments) -> None:
    if arguments.out is None:
        refuse_to_change(arguments, **vars(recipe.preset().corpus))
        files = recipe.corpus_files()
    else:
        files = corpus.write_corpus(arguments.out, chosen(arguments, recipe.preset().corpus))
    for path in files.values():
        print(f"{path}  {path.stat().st_size:,} bytes")


def run_tokenizer(arguments) -> None:
    if arguments.data is None and arguments.out is None:
        refuse_to_change(arguments, vocab_size=recipe.preset().vocab_size)
        recipe.tokenizer()
        print(recipe.tokenizer_directory())
        return
    out = need_out(arguments)
    texts = corpus.read_texts(arguments.data or recipe.corpus_files()["pretrain"])
    tokenizer = Tokenizer.train(texts, arguments.vocab_size)
    tokenizer.save_pretrained(out)
    print(f"{out}  {tokenizer.vocab_size} tokens")


def run_pretrain(arguments) -> None:
    config, shape = chosen(arguments, recipe.preset().pretrain), chosen(arguments, recipe.preset().model)
    if arguments.data is None and arguments.out is None:
        shared = {"tokenizer": None, "valid": None, "resume": False}
        refuse_to_change(arguments, **vars(recipe.preset().pretrain), **vars(recipe.preset().model), **shared)
        recipe.pretrained()
        print(recipe.pretrain_directory() / "model")
        return
    refuse_to_mix(need_out(arguments), arguments.resume)
    tokenizer = recipe.tokenizer() if arguments.tokenizer is None else Tokenizer.from_pretrained(arguments.tokenizer)
    shape = replace(shape, vocab_size=tokenizer.vocab_size)
    data = arguments.data or recipe.corpus_files()["pretrain"]
    recipe.pretrain(data, tokenizer, shape, config, arguments.out, valid=arguments.valid)
    print(arguments.out / "model")


def run_sft(arguments) -> None:
    if arguments.show_mask is not None:
        tokenizer = recipe.tokenizer() if arguments.model is None else Tokenizer.from_pretrained(arguments.model)
        conversations = islice(corpus.read_conversations(arguments.show_mask), arguments.samples)
        for sample in chat_samples(tokenizer, conversations, arguments.sequence_length, Dropped()):
            print(terminal_mask(tokenizer, *sample), end="\n\n")
        return
    if arguments.data is None and arguments.out is None:
        refuse_to_change(arguments, **vars(recipe.preset().sft), model=None, rehearse=None, resume=False)
        recipe.chat_model()
        print(recipe.sft_directory() / "model")
        return
    refuse_to_mix(need_out(arguments), arguments.resume)
    model, tokenizer = recipe.pretrained() if arguments.model is None else load_pretrained(arguments.model)
    data = arguments.data or recipe.corpus_files()["sft"]
    rehearse = () if arguments.rehearse is None else corpus.read_texts(arguments.rehearse)
    config = chosen(arguments, recipe.preset().sft)
    recipe.finetune(data, model, tokenizer, config, arguments.out, rehearse)
    print(arguments.out / "model")


def run_chat(arguments) -> None:
    model, tokenizer = recipe.chat_model() if arguments.model is None else load_pretrained(arguments.model)
    print("Type in English or Chinese. An empty line starts over; Ctrl-D or Ctrl-C ends.")
    start = [] if arguments.system is None else [{"role": "system", "content": arguments.system}]
    messages = list(start)
    while True:
        try:
            text = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not text:
            messages = list(start)
            print("(a new conversation)")
            continue
        messages.append({"role": "user", "content": text})
        room = model.config.max_position_embeddings - arguments.max_new_tokens
        ids, _ = tokenizer.encode_chat(messages, add_generation_prompt=True)
        while len(ids) > room and len(messages) > len(start) + 1:
            del messages[len(start) : len(start) + 2]  # the oldest turn makes room
            ids, _ = tokenizer.encode_chat(messages, add_generation_prompt=True)
        reply = ""
        tokens = generate(
            model, ids, max_new_tokens=arguments.max_new_tokens, temperature=arguments.temperature,
            top_p=arguments.top_p, eos_id=tokenizer.im_end_id, seed=arguments.seed,
        )  # fmt: skip
        for piece in stream_decode(tokenizer, tokens):
            print(piece, end="", flush=True)
            reply += piece
        print()
        messages.append({"role": "assistant", "content": reply})


def run_evaluate(arguments) -> None:
    model, tokenizer = recipe.chat_model() if arguments.model is None else load_pretrained(arguments.model)
    files = recipe.corpus_files() if arguments.texts is None or arguments.items is None else {}
    texts = arguments.texts or files.get("pretrain_valid")
    if texts is not None:
        bits = evaluate.bits_per_byte(model, tokenizer, corpus.read_texts(texts))
        print(f"{bits:.3f} bits per byte on {texts}")
    items = arguments.items or files.get("evaluation")
    if items is not None:
        rows = evaluate.skill_table(model, tokenizer, [item for _, item in corpus.read_jsonl(items)])
        for row in rows:
            print("  ".join(f"{value:.0%}" if isinstance(value, float) else f"{value:<14}" for value in row.values()))


COMMANDS = {
    "corpus": run_corpus, "tokenizer": run_tokenizer, "pretrain": run_pretrain,
    "sft": run_sft, "chat": run_chat, "evaluate": run_evaluate,
}  # fmt: skip


def main() -> int:
    """Run one subcommand; a problem with what was asked becomes one sentence and exit status 1."""
    try:
        arguments = parser().parse_args()
        if "RANK" in os.environ:  # started by torchrun
            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        arguments.run(arguments)
    except (ValueError, OSError, FloatingPointError) as error:
        if "RANK" in os.environ:
            raise  # torchrun shows which process failed, and where
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"\n{stop}" if str(stop) else "\nstopped", file=sys.stderr)
        return 130
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
