"""The command line: `python -m minimind_lite COMMAND --help`.

Each subcommand is a thin shell over the functions that the chapters explain. Without options it
works on the preset that MINIMIND_LITE_PRESET names, and finds or makes what it needs under runs/.
"""

import argparse
import os
import sys
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import torch
import torch.distributed as dist

from minimind_lite import corpus, evaluate, recipe
from minimind_lite.budget import forecast
from minimind_lite.checkpoint import config_from_json, load_pretrained
from minimind_lite.data import Dropped, chat_samples
from minimind_lite.decoder import Decoder
from minimind_lite.download import download
from minimind_lite.generate import generate
from minimind_lite.options import add_options, chosen, parse, read_config, true_or_false
from minimind_lite.record import check_repeat
from minimind_lite.resume import is_main, processes, saved_states
from minimind_lite.show import terminal_mask
from minimind_lite.tokenizer import Tokenizer, stream_decode
from minimind_lite.train import pick_device


def parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The whole command line's parser, and each command's by its name."""
    preset = recipe.preset()
    top = argparse.ArgumentParser(
        prog="python -m minimind_lite", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, about: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about, allow_abbrev=False,
                                  epilog=f"example: python -m minimind_lite {name} {example}")  # fmt: skip
        sub.set_defaults(run=COMMANDS[name])
        sub.add_argument("--config", type=Path, metavar="FILE",
                         help="JSON file of options, such as a run's run.json; options given here go first")  # fmt: skip
        return sub

    sub = command("download", "Download MiniMind's public files, for the presets small and base.", "")
    sub.add_argument("--out", type=Path, help=f"directory (default: {recipe.public_directory()})")

    sub = command("corpus", "Write the built-in corpus as JSONL files.", "--out runs/corpus")
    sub.add_argument("--out", type=Path, help="directory (default: the preset's under runs/)")
    add_options(sub, "corpus", preset.corpus)

    sub = command("tokenizer", "Train a tokenizer.", "--data texts.jsonl --vocab-size 2048 --out runs/tokenizer")
    sub.add_argument("--data", type=Path, help='JSONL file of {"text": …} (default: the preset\'s)')
    sub.add_argument("--vocab-size", type=int, default=preset.vocab_size, help="default: %(default)s")
    sub.add_argument("--out", type=Path, help="directory to write (with --data)")
    add_skipping(sub, preset)

    for name, about, config in (
        ("pretrain", "Train a new model to continue text.", preset.pretrain),
        ("sft", "Fine-tune a model on conversations.", preset.sft),
    ):
        sub = command(name, about, "--data my.jsonl --out runs/mine --total-steps 200")
        sub.add_argument("--data", type=Path, help="JSONL file (default: the preset's)")
        sub.add_argument("--out", type=Path, help="directory of the run (with --data)")
        sub.add_argument("--resume", action="store_true", help="go on with the run in --out")
        sub.add_argument("--dry-run", action="store_true", help="only predict parameters, memory, tokens and time")
        add_skipping(sub, preset)
        if name == "pretrain":
            sub.add_argument("--tokenizer", type=Path, help="directory (default: the preset's)")
            sub.add_argument("--valid", type=Path, help="JSONL file to measure bits per byte on")
            add_options(sub, "model", preset.model)
        else:
            sub.add_argument("--model", type=Path, help="directory (default: the preset's base model)")
            sub.add_argument("--rehearse", type=Path, metavar="FILE",
                             help='JSONL file of {"text": …} to mix in, lest it be forgotten')  # fmt: skip
            sub.add_argument("--rehearse-texts", type=int, metavar="N", help="only its first N (default: all)")
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
    return top, commands.choices


def add_skipping(sub: argparse.ArgumentParser, preset: recipe.Preset) -> None:
    sub.add_argument("--skip-unusable", type=true_or_false, default=preset.skip_unusable, metavar="BOOL",
                     help="leave out lines that cannot be used, and say how many (default: %(default)s)")  # fmt: skip


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


def predict(shape, training) -> None:
    """What --dry-run prints: the cost of a run, before anything is started."""
    found = forecast(shape, training, pick_device(), processes())
    if is_main():
        print(found)


def run_download(arguments) -> None:
    for path in download(arguments.out or recipe.public_directory()):
        print(path)


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
        preset = recipe.preset()
        refuse_to_change(arguments, vocab_size=preset.vocab_size, skip_unusable=preset.skip_unusable)
        recipe.tokenizer()
        print(recipe.tokenizer_directory())
        return
    out = need_out(arguments)
    data = arguments.data or recipe.corpus_files()["pretrain"]
    texts = recipe.lines(corpus.read_texts, data, arguments.skip_unusable)
    tokenizer = Tokenizer.train(texts, arguments.vocab_size)
    tokenizer.save_pretrained(out)
    if arguments.skip_unusable:
        print(texts)
    print(f"{out}  {tokenizer.vocab_size} tokens")


def run_pretrain(arguments) -> None:
    preset = recipe.preset()
    config, shape = chosen(arguments, preset.pretrain), chosen(arguments, preset.model)
    if arguments.dry_run:
        if arguments.tokenizer is not None:
            shape = replace(shape, vocab_size=Tokenizer.from_pretrained(arguments.tokenizer).vocab_size)
        return predict(shape, config)
    if arguments.data is None and arguments.out is None:
        shared = {"tokenizer": None, "valid": None, "resume": False, "skip_unusable": preset.skip_unusable}
        refuse_to_change(arguments, **vars(preset.pretrain), **vars(preset.model), **shared)
        recipe.pretrained()
        print(recipe.pretrain_directory() / "model")
        return
    refuse_to_mix(need_out(arguments), arguments.resume)
    tokenizer = recipe.tokenizer() if arguments.tokenizer is None else Tokenizer.from_pretrained(arguments.tokenizer)
    shape = replace(shape, vocab_size=tokenizer.vocab_size)
    data = arguments.data or recipe.corpus_files()["pretrain"]
    recipe.pretrain(data, tokenizer, shape, config, arguments.out, arguments.valid, arguments.skip_unusable)
    print(arguments.out / "model")


def run_sft(arguments) -> None:
    preset = recipe.preset()
    config = chosen(arguments, preset.sft)
    if arguments.show_mask is not None:
        tokenizer = recipe.tokenizer() if arguments.model is None else Tokenizer.from_pretrained(arguments.model)
        conversations = islice(corpus.read_conversations(arguments.show_mask), arguments.samples)
        for sample in chat_samples(tokenizer, conversations, arguments.sequence_length, Dropped()):
            print(terminal_mask(tokenizer, *sample), end="\n\n")
        return
    if arguments.dry_run:
        shape = preset.model if arguments.model is None else config_from_json(arguments.model / "config.json")
        return predict(shape, config)
    if arguments.data is None and arguments.out is None:
        shared = {"model": None, "rehearse": None, "rehearse_texts": None, "resume": False}
        refuse_to_change(arguments, **vars(preset.sft), **shared, skip_unusable=preset.skip_unusable)
        recipe.chat_model()
        print(recipe.sft_directory() / "model")
        return
    refuse_to_mix(need_out(arguments), arguments.resume)
    if arguments.model is None:
        recipe.pretrained()
    model = arguments.model or recipe.pretrain_directory() / "model"
    data = arguments.data or recipe.corpus_files()["sft"]
    recipe.finetune(data, model, config, arguments.out, arguments.rehearse, arguments.rehearse_texts,
                    arguments.skip_unusable)  # fmt: skip
    print(arguments.out / "model")


def run_chat(arguments) -> None:
    model, tokenizer = recipe.chat_model() if arguments.model is None else load_pretrained(arguments.model)
    print("Type in English or Chinese. An empty line starts over; Ctrl-D or Ctrl-C ends.")
    start = [] if arguments.system is None else [{"role": "system", "content": arguments.system}]
    messages, decoder = list(start), Decoder(model)
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
            top_p=arguments.top_p, eos_id=tokenizer.im_end_id, seed=arguments.seed, decoder=decoder,
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
    "download": run_download, "corpus": run_corpus, "tokenizer": run_tokenizer, "pretrain": run_pretrain,
    "sft": run_sft, "chat": run_chat, "evaluate": run_evaluate,
}  # fmt: skip


def start_processes() -> None:
    """Join the other processes, if torchrun started this one."""
    if "RANK" not in os.environ:
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # gradients go from GPU to GPU, counts from CPU to CPU
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    # The others wait while the first one tokenizes, which for a large corpus takes longer than
    # the usual ten minutes; a process that dies is noticed by torchrun, not by this limit.
    dist.init_process_group(backend, timeout=timedelta(hours=12))


def read_arguments(argv: list[str]) -> argparse.Namespace:
    """The command line together with the file of --config. Raises ValueError for what is unknown."""
    config = read_config(argv)
    if "preset" in config:  # a run's own file names it, and its options are meant beside that
        os.environ["MINIMIND_LITE_PRESET"] = config["preset"]
    if "--resume" not in argv:
        config["options"] |= config.get("settled", {})
    arguments = parse(*parsers(), argv, config)
    check_repeat(config, vars(arguments), int(os.environ.get("WORLD_SIZE", 1)))
    return arguments


def main() -> int:
    """Run one subcommand; a problem with what was asked becomes one sentence and exit status 1."""
    try:
        arguments = read_arguments(sys.argv[1:])
        start_processes()
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
