"""The figures of the page about speed, in the book's style."""

from pathlib import Path

PARTS = {
    "matmul": "matrix products",
    "memory": "other work on tensors",
    "calling": "calling and Python",
}
MARKERS = {
    "matmul": "o",
    "attention": "D",
    "norm": "s",
    "elementwise": "^",
    "loss": "v",
    "optimizer": "P",
    "embedding": "X",
}


def drawn(folder: Path, name: str, width: float, height: float, columns: int = 1):
    """A figure in the book's style and its axes; `save` it with the function that comes with it."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    plt.style.use(Path(__file__).resolve().parents[2] / "minimind_lite" / "book.mplstyle")
    made, axes = plt.subplots(
        1, columns, figsize=(width, height), layout="constrained", squeeze=False
    )

    def save():
        made.savefig(folder / f"{name}.png", dpi=150)
        plt.close(made)

    return axes[0], save


def draw_roof(row: dict, folder: Path) -> None:
    (axis,), save = drawn(folder, "speed_roof", 5.5, 3.4)
    peak, bandwidth = row["matmul_flops"] / 1e9, row["bytes_a_second"] / 1e9
    low, high = 1 / 16, 4 * peak / bandwidth
    axis.plot([low, peak / bandwidth, high * 8], [low * bandwidth, peak, peak], color="#6f7780")
    size, one = list(row["profiles"].items())[-1]
    for kind, marker in MARKERS.items():
        work = one["kinds"].get(kind)
        if work and work["seconds"] and work["bytes"]:
            axis.scatter(
                max(work["flops"] / work["bytes"], low),
                work["flops"] / work["seconds"] / 1e9,
                marker=marker,
                s=30 + 400 * work["seconds"] / one["seconds"],
                label=kind,
                alpha=0.85,
            )
    axis.set(xscale="log", yscale="log", xlabel="operations per byte moved", ylabel="GFLOP/s")
    legend = axis.legend(fontsize=9, loc="lower right", title=size, title_fontsize=9)
    for handle in legend.legend_handles:
        handle.set_sizes([40])
    save()


def draw_parts(row: dict, folder: Path) -> None:
    (axis,), save = drawn(folder, "speed_parts", 5.5, 2.4)
    names = list(row["profiles"])
    left = [0.0] * len(names)
    for (part, name), hatch in zip(PARTS.items(), ("", "//", "..")):
        width = [100 * one["parts"][part] for one in row["profiles"].values()]
        axis.barh(
            names, width, left=left, label=name, hatch=hatch, edgecolor="white", linewidth=0.5
        )
        left = [a + b for a, b in zip(left, width)]
    axis.set(xlabel="part of the step (%)", xlim=(0, 100))
    axis.invert_yaxis()
    axis.figure.legend(
        fontsize=9, ncols=3, loc="outside upper center", columnspacing=1, handlelength=1.2
    )
    save()


def short(value: float) -> str:
    """1,500,000 as 1.5M, for the end of an axis."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"


def draw_curves(curves: list[dict], folder: Path, name: str) -> None:
    """Panels side by side, one curve each; theory starts at the first measured point."""
    axes, save = drawn(folder, name, 5.5, 2.6, len(curves))
    for axis, c in zip(axes, curves):
        scale = c["seconds"][0] / c["theory"][0]
        axis.plot(c["sizes"], c["seconds"], "o-", markersize=4)
        axis.plot(c["sizes"], [scale * t for t in c["theory"]], "--", color="C1", linewidth=1.2)
        axis.set(
            xscale="log",
            yscale="log",
            xlabel=c["against"] if c["name"] == "training step" else c["unit"],
        )
        axis.set_title(f"{c['name']}\nslope {c['slope']:.2f}", fontsize=10)
        axis.tick_params(labelsize=9)
        axis.minorticks_off()  # a narrow panel has room for its two ends, not for powers of ten
        axis.set_xticks(
            [c["sizes"][0], c["sizes"][-1]], [short(v) for v in (c["sizes"][0], c["sizes"][-1])]
        )
        ends = min(c["seconds"]), max(c["seconds"])
        axis.set_yticks(ends, [f"{v:.2g}" for v in ends])
    axes[0].set_ylabel("seconds")
    save()
