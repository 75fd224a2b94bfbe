"""Small pictures in HTML and in the terminal: coloured tokens and tables. Standard library only."""

from dataclasses import dataclass
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
