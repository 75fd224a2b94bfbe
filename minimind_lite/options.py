"""Options of the command line: one for every field of a dataclass, from a file too, typos answered."""

import argparse
import difflib
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

from minimind_lite.files import read_json

NOT_IN_A_FILE = ("config", "run", "resume", "dry_run", "show_mask")  # what one asks for each time


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: what was probably meant, if anything is close.

    >>> nearest("max-lrr", ["max-lr", "min-lr", "seed"]), nearest("xyz", ["seed"])
    ('; did you mean max-lr?', '.')
    """
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else "."


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


def read_config(argv: list[str]) -> dict:
    """What the file of --config says: {"options": {…}, …} as in a run's run.json, or options alone.

    It is read before the rest of the command line, whose defaults depend on it.
    """
    first = argparse.ArgumentParser("python -m minimind_lite", add_help=False, allow_abbrev=False)
    first.add_argument("--config", type=Path)
    path = first.parse_known_args(argv)[0].config
    if path is None:
        return {"options": {}}
    values = read_json(path, "--config names a JSON file of options, such as a run's run.json.")
    values = values if "options" in values else {"options": values}
    for name in ("options", "settled", "inputs"):
        if not isinstance(values.get(name, {}), dict):
            raise ValueError(f'{path}: "{name}" should hold one JSON object.')
    if argv[0] != values.get("command", argv[0]):
        raise ValueError(f"{path} is about the command {values['command']}, not {argv[0]}.")
    return values | {"path": path}


def as_arguments(config: dict, known: Iterable[str]) -> list[str]:
    """A file's options as the command line would say them. ValueError for one that there is not."""
    said, names = [], {name.replace("_", "-"): name for name in known if name not in NOT_IN_A_FILE}
    for name, value in config["options"].items():
        option = name.replace("_", "-")
        if option not in names:
            raise ValueError(f"{config['path']}: there is no option {name!r}{nearest(name, names.values())}")
        if isinstance(value, (dict, list)):
            raise ValueError(f"{config['path']}: {name} should be one value, not {value!r}.")
        if value is not None:
            said.append(f"--{option}={value}")
    return said


def parse(
    top: argparse.ArgumentParser, commands: dict, argv: list[str], config: dict
) -> argparse.Namespace:
    """The arguments of one command: its defaults, then what the file said, then the command line.

    commands: each command's parser, by its name. Raises ValueError for a command or an option
    that there is not, with the nearest name.
    """
    names = []
    if argv and not argv[0].startswith("-"):
        if argv[0] not in commands:
            raise ValueError(f"there is no command {argv[0]!r}{nearest(argv[0], commands)}")
        names = list(vars(commands[argv[0]].parse_args([])))
        argv = [argv[0], *as_arguments(config, names), *argv[1:]]
    arguments, unknown = top.parse_known_args(argv)
    for word in unknown:
        if not word.startswith("-"):
            raise ValueError(f"{word!r} was not expected here: options begin with --, and --help lists them.")
        options = ["--" + each.replace("_", "-") for each in names]
        word = word.split("=")[0]
        meant = nearest(word, options)
        raise ValueError(f"{arguments.command} has no option {word}{meant} --help lists them all.")
    return arguments
