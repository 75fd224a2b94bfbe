"""The page about speed: book/bench.json, as `make bench` writes it, drawn and put into words.

`write_page(folder)` fills the places ($name) of folder/speed.md and draws its figures beside it.
What was not measured is said to be so, with the command that measures it.
"""

import json
from pathlib import Path
from string import Template

from speed_figures import PARTS, draw_curves, draw_parts, draw_roof

OURS = "MiniMind Lite"
TABLE = (
    "step",
    "step-best",
    "pretrain-tokens",
    "sft-tokens",
    "quality",
    "decode",
    "memory",
    "first-step",
    "merges",
)


def write_page(folder: Path) -> None:
    """Turn folder/speed.md from a template into a page, with the results in folder/bench.json."""
    page, results = folder / "speed.md", folder / "bench.json"
    rows = json.loads(results.read_text(encoding="utf-8"))["rows"] if results.is_file() else {}
    lines = [line for name in TABLE if name in rows for line in rows[name]["lines"]]
    places = {
        "setting": setting(rows),
        "table": table(lines),
        "absent": absent(lines, rows),
        "prepared": prepared(lines),
        "missed": missed(lines),
        "roofline": roofline(rows.get("roofline"), folder),
        "growth": growth(rows.get("growth"), folder),
        "smaller": smaller(folder),
    }
    page.write_text(Template(page.read_text(encoding="utf-8")).substitute(places), encoding="utf-8")


def not_measured(row: str) -> str:
    return f"This was not measured for these pages; `make bench ONLY={row}` measures it.\n"


def setting(rows: dict) -> str:
    """On what machine, when, with which versions."""
    if not rows:
        return not_measured("step")
    machine = next(iter(rows.values()))["machine"]
    dates = sorted({row["machine"]["date"] for row in rows.values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    found = (
        f"Measured on {when}: {machine['processor']}, {machine['threads']} of {machine['cores']} cores, "
        f"{machine['device']}; {versions}."
    )
    if any(row["quick"] for row in rows.values()):
        found += (
            "\n\n:::{warning}\nThese are results of `make bench QUICK=1`: tiny sizes, to see that everything "
            "runs. The numbers mean nothing.\n:::"
        )
    return found


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(lines: list[dict]) -> str:
    """What was compared: ours, the best peer, the ratio with its spread, the target."""
    if not lines:
        return not_measured("step")
    rows = ["| work | ours | best peer | ratio | target | met |", "|---|---:|---:|---:|---:|---|"]
    for line in lines:
        ours, peer, unit = line["competitors"][OURS]["median"], line["best_peer"], line["unit"]
        least = "at least" if line["at_least"] else "at most"
        if unit == "share":
            rows.append(
                f"| {line['work']} | {ours:.1%} | | | {least} {line['target']:.0%} | {verdict(line)} |"
            )
            continue
        theirs, ratio = "not measured", "not measured"
        if peer:
            theirs = f"{peer} {number(line['competitors'][peer]['median'])}"
            one = line["ratios"][peer]
            ratio = f"{one['median']:.2f} ({one['low']:.2f}–{one['high']:.2f})"
            if line.get("lower_bound"):  # the peer was stopped before it had finished
                theirs, ratio = (
                    f"{peer} more than {number(line['competitors'][peer]['median'])}",
                    f"> {one['median']:.0f}",
                )
        rows.append(
            f"| {line['work']} | {number(ours)} {unit} | {theirs} | {ratio} | {least} {line['target']:.2f} "
            f"| {verdict(line)} |"
        )
    return "\n".join(rows) + "\n"


def verdict(line: dict) -> str:
    return {True: "yes", False: "no", None: "not measured"}[line["met"]]


def absent(lines: list[dict], rows: dict) -> str:
    """Which rows and which peers are missing from the table."""
    said = (
        [f"Not measured for these pages: {', '.join(f'`{r}`' for r in TABLE if r not in rows)}."]
        if rows and any(r not in rows for r in TABLE)
        else []
    )
    for name, why in {
        name: why for line in lines for name, why in line.get("absent", {}).items()
    }.items():
        said.append(f"{name} did not take part everywhere: `{why.replace('`', '')}`.")
    return "\n".join(said)


def prepared(lines: list[dict]) -> str:
    """What our decoder does before the clock starts, which the ratios do not hold."""
    sizes = {line["work"].split(", ")[-1]: line["prepared"] for line in lines if "prepared" in line}
    if not sizes:
        return ""
    took = [f"{1000 * seconds:.0f} ms for {size}" for size, seconds in sizes.items()]
    return (
        "Before it decodes, ours lays out its weights. A chat does that once, so it is outside the ratios: "
        + ", ".join(took) + ".\n"
    )


def missed(lines: list[dict]) -> str:
    """The targets that were not met, with the limit that follows from the bound that the run measured."""
    short = [line for line in lines if line["met"] is False]
    if not short:
        return ""
    rows = ["| missed | reached | target | limit | what sets it |", "|---|---:|---:|---:|---|"]
    for line in short:
        what = f"{line['bound'][0]}{amount(line)}" if "bound" in line else "not measured"
        reached, target, most = (as_ratio(line, x) for x in (line["ratio"], line["target"], limit(line)))
        rows.append(f"| {line['work']} | {reached} | {target} | {most} | {what} |")
    said = (
        "Where a target was missed, the same run measured a part of the work that we cannot leave out. In a training "
        "step that is matrix products and attention: the same calls into the same library, for us and for the peers. "
        "The limit is what we would reach if that part were all there is.\n\n"
    )
    return said + "\n".join(rows) + "\n" + left_for_the_rest(short) + "".join(map(in_two, short))


def as_ratio(line: dict, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0%}" if line["unit"] == "share" else f"{value:.2f}"


def amount(line: dict) -> str:
    """The measured bound in its unit; of a share it is the limit, which has a column."""
    return "" if line["unit"] == "share" else f": {number(line['bound'][1])} {line['unit']}"


def best_of_peers(line: dict) -> float:
    return line["competitors"][line["best_peer"]]["median"]


def limit(line: dict) -> float | None:
    """What our ratio would be if only the bound remained: {"bound": [what it is, its amount]}."""
    if "bound" not in line:
        return None
    ours = line["bound"][1]
    if line["unit"] == "share":
        return ours
    theirs = best_of_peers(line)
    return ours / theirs if line["unit"] == "tokens/s" else theirs / ours


def left_for_the_rest(short: list[dict]) -> str:
    """Of steps whose limit is beyond the target: how little time the target leaves for all the rest."""
    items = []
    for line in short:
        if line["unit"] == "s" and "bound" in line and limit(line) >= line["target"]:
            left = best_of_peers(line) / line["target"] - line["bound"][1]
            now = line["competitors"][OURS]["median"] - line["bound"][1]
            items.append(f"{number(left)} s instead of {number(now)} s in *{line['work']}*")
    if not items:
        return ""
    return (
        "\nWhere the limit of a step is beyond its target, the rest of the step (norms, rotations, SwiGLU, loss, "
        f"optimizer) would have to do with less: with {', '.join(items)}. Each part of it reads and writes all its "
        "numbers, and is bound by memory or by calling (below). To do several parts in one pass is what "
        "`torch.compile` is for: those are the rows *each at its best*, where the peers compile, too.\n"
    )


def in_two(line: dict) -> str:
    """What the same step takes as two micro-batches, if it was measured."""
    if "in_two" not in line:
        return ""
    megabytes, times = line["in_two"]["megabytes"], line["in_two"]["times_as_long"]
    return (
        "\nWhoever has less memory needs no other model, only smaller micro-batches: the same tokens in two halves, "
        f"which have the same gradient ({{doc}}`chapter 6 <../chapters/06_gradient_accumulation>`), take "
        f"{number(megabytes)} MB and {times:.2f} times as long. For the table everyone takes the batch whole.\n"
    )


def figure(name: str, alt: str, caption: str) -> str:
    return f"```{{figure}} {name}.png\n:alt: {alt}\n:name: {name.replace('_', '-')}\n\n{caption}\n```\n"


def roofline(row: dict | None, folder: Path) -> str:
    """The picture of the roof, the picture of the parts, and both in sentences."""
    if row is None:
        return not_measured("roofline")
    draw_roof(row, folder)
    draw_parts(row, folder)
    edge = row["matmul_flops"] / row["bytes_a_second"]
    said = [
        f"On this machine a large matrix product runs at {row['matmul_flops'] / 1e9:.0f} GFLOP/s and a large copy "
        f"moves {row['bytes_a_second'] / 1e9:.1f} GB/s, so the roof bends at {edge:.0f} operations a byte. Calling "
        f"the smallest operation takes {row['seconds_a_call'] * 1e6:.1f} µs."
    ]
    for size, one in row["profiles"].items():
        parts = ", ".join(f"{one['parts'][part]:.0%} {name}" for part, name in PARTS.items())
        said.append(
            f"- {size}, {one['shape']}: {parts}. Mostly it is bound by {PARTS[one['bound']]}."
        )
    return "\n\n".join(
        [
            said[0],
            figure(
                "speed_roof",
                "The roofline of this machine with the parts of a training step as points below it.",
                "Speed against intensity, both axes logarithmic; the line is the roof, the points are the kinds of work "
                "in a training step of the largest model measured, larger where they take more of its time. A point above "
                "the slope found its numbers in the cache.",
            ),
            "\n".join(said[1:]),
            figure(
                "speed_parts",
                "Stacked bars: which part of a training step each kind of work takes, for every size.",
                "Where a step's time goes, by size of model, under torch.profiler.",
            ),
        ]
    )


def growth(row: dict | None, folder: Path) -> str:
    """Log-log plots with slopes, and a table of all slopes beside those of theory."""
    if row is None:
        return not_measured("growth")
    steps = [c for c in row["curves"] if c["name"] == "training step"]
    others = [c for c in row["curves"] if c["name"] != "training step"]
    draw_curves(steps, folder, "speed_steps")
    draw_curves(others, folder, "speed_text")
    lines = [
        "| work | grows with | slope | slope of theory | steepest end | theory there |",
        "|---|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {c['name']} | {c['against']} | {c['slope']:.2f} | {c['theory_slope']:.2f} | {c['last_slope']:.2f} "
        f"| {c['last_theory_slope']:.2f} |"
        for c in row["curves"]
    ]
    worse = [
        f"{c['name']} against {c['against']}"
        for c in row["curves"]
        if c["slope"] > c["theory_slope"] + 0.1
    ]
    said = (
        f"Steeper than theory by more than a tenth: {', '.join(worse)}."
        if worse
        else "No slope is steeper than theory's by more than a tenth."
    )
    return "\n\n".join(
        [
            figure(
                "speed_steps",
                "Three log-log plots of the time of a training step: against parameters, tokens a row, rows.",
                "Time of a training step against the number of parameters, the length of a row, and the number of rows. "
                "Dashed: the arithmetic, from the same first point.",
            ),
            figure(
                "speed_text",
                "Log-log plots of the time of learning merges, encoding, and generating.",
                "Time of learning merges and of encoding against the bytes of text, and of generating against the number "
                "of new tokens. Dashed: what theory allows, from the same first point.",
            ),
            "\n".join(lines),
            said,
        ]
    )


SKILLS = {
    "story": "stories as asked",
    "facts_seen": "facts asked about",
    "facts_unseen": "facts only read",
    "repeat": "words repeated",
    "name": "the user's name",
}


def smaller(folder: Path) -> str:
    """What smaller models and fewer steps save and cost, as `make measure-smaller` found in folder/smaller.json."""
    results = folder / "smaller.json"
    if not results.is_file():
        return "This was not measured for these pages; `make measure-smaller` measures it.\n"
    found = json.loads(results.read_text(encoding="utf-8"))
    goals, models = found["goals"], found["models"]
    rows = [
        "| layers | width | parameters | steps | time | bits per byte | "
        + " | ".join(SKILLS.values())
        + " |",
        "|---|---:|---:|---:|---:|---:|" + "---:|" * len(SKILLS),
    ]
    for one in models:
        marks = " | ".join(mark(one["correct"][skill], goals[skill]) for skill in SKILLS)
        layers = f"{one['layers']} (`lite`)" if one is models[-1] else f"{one['layers']}"
        rows.append(
            f"| {layers} | {one['hidden_size']} | {one['parameters'] / 1e6:.1f} M | {one['steps']:,} "
            f"| {one['time']['median']:.2f} | {one['bits_per_byte']:.3f} | {marks} |"
        )
    rows.append("| goal | | | | | | " + " | ".join(f"{goals[skill]:.0%}" for skill in SKILLS) + " |")
    bits = [one["bits_per_byte"] for one in models]
    names = [one["correct"]["name"] for one in models]
    short = [one for one in models if any(misses(one["correct"][s], goals[s]) for s in SKILLS)]
    *_, fewer_steps, lite = models
    lower = 1 - lite["bits_per_byte"] / fewer_steps["bits_per_byte"]
    return (
        "\n".join(rows)
        + f"\n\nThe bits per byte lie between {min(bits):.3f} and {max(bits):.3f}; the right answers to *the user's "
        f"name* between {min(names):.0%} and {max(names):.0%}. "
        f"Of the {len(models)} models {len(short)} miss a goal (†). From {fewer_steps['steps']:,} steps to "
        f"{lite['steps']:,} `lite` lowers its bits per byte by {lower:.0%}, and brings the user's name from "
        f"{names[-2]:.0%} to {names[-1]:.0%}. Measured on {found['machine']['date']}.\n"
    )


def misses(right: float, goal: float) -> bool:
    """As chapter 08 counts: half a percent is rounding."""
    return right < goal - 0.005


def mark(right: float, goal: float) -> str:
    return f"{right:.0%}" + (" †" if misses(right, goal) else "")
