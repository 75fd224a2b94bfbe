"""`python -m exercises.speedrun submission.py …`: run submissions, check the rules, print the table."""

import argparse
import sys
from pathlib import Path

import torch

from exercises.speedrun.race import FLOPS, RuleBroken, run_submission
from minimind_lite.files import explaining, read_json, write_json
from minimind_lite.recipe import usable_cpus


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m exercises.speedrun", description=__doc__)
    parser.add_argument(
        "submissions", type=Path, nargs="+", help="Python files with a function run(race)"
    )
    parser.add_argument("--flops", type=float, default=FLOPS, help=f"the budget ({FLOPS:g})")
    parser.add_argument(
        "--save", type=Path, help="add the results to this JSON file, by the files' names"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(min(2, usable_cpus()))
    failed = False
    for path in arguments.submissions:
        try:
            result = run_submission(path, arguments.flops)
        except (RuleBroken, FileNotFoundError) as error:
            print(f"{path.stem}: disqualified: {error}", file=sys.stderr)
            failed = True
            continue
        over = result["bits_per_byte"] - result["floor"]
        print(
            f"{path.stem}: {result['bits_per_byte']:.3f} bits per byte, {over:.3f} above the entropy floor; "
            f"{result['flops']:.4g} FLOPs, {result['parameters']:,} parameters, {result['seconds']:.0f} s"
        )
        if arguments.save:
            save(arguments.save, path.stem, result)
    sys.exit(failed)


def save(path: Path, name: str, result: dict) -> None:
    """Add one result to a JSON file of results, less its time, which is the machine's and not the entry's."""
    results = read_json(path) if path.is_file() else {}
    with explaining(path):
        write_json(
            path,
            results | {name: {key: value for key, value in result.items() if key != "seconds"}},
        )


if __name__ == "__main__":
    main()
