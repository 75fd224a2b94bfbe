"""Small pictures in HTML and in the terminal: coloured tokens, tables, a run as it goes on.

Standard library only.
"""

import sys
import time
from dataclasses import dataclass, field
from html import escape

ALTERNATING = 6  # classes t0 to t5 of the book's style sheet


@dataclass
class Spans:
    """Pieces of text in colour: a list of (text, class), with an optional {class: meaning} legend.

    In a notebook it is drawn; as text it reads `[a][b]`. Classes: t0 to t5, supervised, masked,
    user, assistant, system, special.
    """

    pieces: list[tuple[str, str]]
    legend: dict[str, str] | None = None

    @staticmethod
    def alternating(texts: list[str]) -> "Spans":
        """Neighbouring pieces in different colours."""
        return Spans([(text, f"t{i % ALTERNATING}") for i, text in enumerate(texts)])

    def __repr__(self):
        return "".join(f"[{text}]" for text, _ in self.pieces)

    def _repr_html_(self):
        def span(text, name):
            visible = escape(text).replace("\n", "⏎<br>")
            return f'<span class="token {name}">{visible}</span>'

        legend = "".join(span(meaning, name) + " " for name, meaning in (self.legend or {}).items())
        legend = f'<div class="token-legend">{legend}</div>' if legend else ""
        return f'<div class="tokens">{"".join(span(*piece) for piece in self.pieces)}</div>{legend}'


@dataclass
class Table:
    """Rows of dicts with the same keys; `formats` maps a key to a format such as ".1%"."""

    rows: list[dict]
    caption: str | None = None
    formats: dict[str, str] | None = None

    def _cells(self, row: dict) -> list[str]:
        formats = self.formats or {}
        return [format(value, formats.get(key, "")) for key, value in row.items()]

    def __repr__(self):
        lines = [list(self.rows[0])] + [self._cells(row) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines)

    def _repr_html_(self):
        head = "".join(f"<th>{escape(str(key).replace('_', ' '))}</th>" for key in self.rows[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in self._cells(row)) + "</tr>"
            for row in self.rows
        )
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        return (f'<div class="table-wrap"><table class="table">{caption}<thead><tr>{head}</tr></thead>'
                f"<tbody>{body}</tbody></table></div>")  # fmt: skip


def mask_spans(tokenizer, input_ids: list[int], supervised: list[bool]) -> Spans:
    """A chat sample with its supervised tokens lit; half characters are drawn with what they join."""
    pieces, waiting = [], b""
    for index, lit in zip(input_ids, supervised):
        waiting += tokenizer.token_bytes(index)
        try:
            pieces.append((waiting.decode("utf-8"), "supervised" if lit else "masked"))
            waiting = b""
        except UnicodeDecodeError:
            continue
    return Spans(pieces, {"supervised": "supervised: a target of the loss", "masked": "context only"})


def terminal_mask(tokenizer, input_ids: list[int], supervised: list[bool]) -> str:
    """The same for a terminal: supervised tokens in reverse video."""
    pieces = mask_spans(tokenizer, input_ids, supervised).pieces
    return "".join(f"\x1b[7m{text}\x1b[0m" if kind == "supervised" else text for text, kind in pieces)


@dataclass
class LivePlot:
    """A training run drawn while it runs: `train(..., on_step=LivePlot(config.total_steps))`.

    Loss (nats a target) and gradient norm against step, clipped steps as dots, and the speed. In
    a notebook the picture is redrawn about once a second and after the last step; elsewhere
    nothing is drawn.
    """

    total_steps: int
    log: list[dict] = field(default_factory=list, repr=False)  # entries of `train`

    def __post_init__(self):
        self.handle, self.drawn_at = None, 0.0

    def __call__(self, entry: dict) -> None:
        self.log.append(entry)
        if time.monotonic() - self.drawn_at < 1 and entry["step"] < self.total_steps:
            return
        self.drawn_at = time.monotonic()
        ipython = sys.modules.get("IPython")  # a notebook has imported it; nobody else needs it
        if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None:
            return
        if self.handle is None:
            self.handle = ipython.display.display(self, display_id=True)
        else:
            self.handle.update(self)

    def _panel(self, key: str, name: str, color: str, left: int) -> str:
        """One curve in a frame of 230 x 120, its smallest and largest value beside it."""
        shown = self.log[:: -(-len(self.log) // 400)]  # enough for the width of a screen
        values = [entry[key] for entry in shown]
        low, high = min(values), max(values)
        place = [(left + 230 * e["step"] / self.total_steps,
                  140 - 120 * (e[key] - low) / ((high - low) or 1)) for e in shown]  # fmt: skip
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#D55E00"/>'
                       for (x, y), e in zip(place, shown) if key == "grad_norm" and e["clipped"])  # fmt: skip
        return (
            f'<path d="M{left},20V140H{left + 230}" fill="none" stroke="currentColor" opacity=".4"/>'
            f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>{dots}'
            f'<g fill="currentColor" font-size="12"><text x="{left}" y="12">{name}</text>'
            f'<text x="{left - 4}" y="30" text-anchor="end">{high:.3g}</text>'
            f'<text x="{left - 4}" y="140" text-anchor="end">{low:.3g}</text>'
            f'<text x="{left + 230}" y="156" text-anchor="end">step {self.total_steps:,}</text></g>'
        )

    def __repr__(self):
        if not self.log:
            return "no step yet"
        last = self.log[-1]
        return (
            f"step {last['step']:,}: loss {last['loss']:.3f}, gradient norm {last['grad_norm']:.2f}, "
            f"{last['clip_rate']:.0%} of the last 100 steps clipped, {last['tokens_per_second']:,} tokens/s"
        )

    def _repr_html_(self):
        if not self.log:
            return repr(self)
        panels = self._panel("loss", "loss (nats/token)", "#0072B2", 50)
        panels += self._panel("grad_norm", "gradient norm", "#009E73", 345)
        return (f'<figure style="max-width:600px;margin:0"><svg viewBox="0 0 590 160" role="img" '
                f'aria-label="{repr(self)}">{panels}</svg><figcaption>{repr(self)}</figcaption></figure>')  # fmt: skip
