"""How fast is it, against what one would use instead? `python tests/bench.py --help`, or `make bench`.

Each row of the table is measured with all competitors in turn (A B A B …) in one run, written to
runs/bench/ROW.json as soon as it is done, and printed. The table at the end has all rows measured
so far, so that a row can be measured again by itself.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch

import bench_data
import bench_growth
import bench_lineup
import bench_process
import bench_roofline
import bench_text
import bench_train
from bench_timing import ROOT, machine
from minimind_lite.files import read_json, replacing, write_json
from minimind_lite.recipe import usable_cpus

ROWS = {
    "step": bench_train.step,
    "step-best": bench_train.step_best,
    "pretrain-tokens": bench_data.pretrain_tokens,
    "sft-tokens": bench_data.sft_tokens,
    "quality": bench_data.quality,
    "decode": bench_text.decode,
    "memory": bench_process.memory,
    "first-step": bench_process.first_step,
    "merges": bench_text.merges,
    "roofline": bench_roofline.roofline,
    "growth": bench_growth.growth,
}


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    torch.set_num_threads(usable_cpus())
    for row in options.only or ROWS:
        print(f"{row}: {first_line(ROWS[row])} …", flush=True)
        began = time.perf_counter()
        found = ROWS[row](options)
        took = time.perf_counter() - began
        entry = {"row": row, "quick": options.quick, "took_seconds": took, "machine": machine()}
        entry |= {"lines": found} if isinstance(found, list) else found
        with replacing(options.output / f"{row}.json") as unfinished:
            write_json(unfinished, entry)
        for line in entry.get("lines", []):
            print(f"  {text(line)}", flush=True)
        print(f"  {took:.0f} s", flush=True)
    print(table(options.output))
    if options.page:
        publish(options.output, options.page)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("--only", nargs="+", choices=ROWS, metavar="ROW", help=f"of {', '.join(ROWS)}")
    add(
        "--quick",
        action="store_true",
        help="tiny sizes, to see that it runs; the numbers mean nothing",
    )
    add("--output", type=Path, default=ROOT / "runs" / "bench", help="folder of the results")
    add("--page", type=Path, metavar="FILE", help="also write all results there (book/bench.json)")
    for option, (name, _) in bench_lineup.CHECKOUTS.items():
        add(
            f"--{option}",
            type=Path,
            metavar="FOLDER",
            help=f"a checkout of {name}, to compare with",
        )
    options = parser.parse_args(arguments)
    named = {option: getattr(options, option) for option in bench_lineup.CHECKOUTS}
    if os.environ.get("MINIMIND_LITE_PRESET", "lite") != "lite":
        parser.error(
            "the rows name the preset lite and the larger shapes: unset MINIMIND_LITE_PRESET."
        )
    try:
        options.directories = {
            o: bench_lineup.checkout(o, folder) for o, folder in named.items() if folder
        }
    except ValueError as error:
        parser.error(str(error))
    return options


def first_line(function) -> str:
    return function.__doc__.strip().splitlines()[0].rstrip(".")


def text(line: dict) -> str:
    """One line of the table, for a terminal."""
    competitors = ", ".join(
        f"{name} {number(one['median'])}" for name, one in line["competitors"].items()
    )
    if line["unit"] == "share":
        competitors = ""
    least = "at least " if line.get("lower_bound") else ""
    result = "no peer" if line["ratio"] is None else f"{least}{line['ratio']:.2f}"
    target = f"target {'at least' if line['at_least'] else 'at most'} {line['target']:.2f}"
    verdict = {True: "met", False: "not met", None: "not measured"}[line["met"]]
    unit = "" if line["unit"] == "share" else f" ({line['unit']})"
    absent = "".join(f"; {name} absent: {why}" for name, why in line.get("absent", {}).items())
    return f"{line['work']:<46} {competitors}{unit}  ratio {result}, {target}: {verdict}{absent}"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def results(folder: Path) -> dict[str, dict]:
    """All rows measured so far, in the order of ROWS."""
    return {
        row: read_json(folder / f"{row}.json") for row in ROWS if (folder / f"{row}.json").is_file()
    }


def table(folder: Path) -> str:
    """What was measured so far, and what was not."""
    found = results(folder)
    lines = [
        f"{text(line)}  [{entry['machine']['date']}{', quick' if entry['quick'] else ''}]"
        for entry in found.values()
        for line in entry.get("lines", [])
    ]
    missing = [row for row in ROWS if row not in found]
    if missing:
        lines.append(f"not measured yet: {', '.join(missing)} (make bench ONLY=ROW)")
    return "\n".join(["", *lines])


def publish(folder: Path, page: Path) -> None:
    """All rows in one file, from which the book draws its page."""
    together = json.dumps({"rows": results(folder)}, indent=1, ensure_ascii=False)
    with replacing(page) as unfinished:
        unfinished.write_text(together + "\n", encoding="utf-8")
    print(f"written to {page}")


if __name__ == "__main__":
    sys.exit(main())
