"""Token pictures and tables, and the contrast of every colour the book defines."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgb

from minimind_lite.show import Spans, Table, mask_spans, terminal_mask

ROOT = Path(__file__).resolve().parents[1]
CSS = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")


def luminance(color):
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts))


def contrast(one, other):
    """The ratio of WCAG 2: from 1 (the same) to 21 (black on white)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def variables(theme):
    block = re.search(r'html\[data-theme="%s"\] \{(.*?)\}' % theme, CSS, re.DOTALL).group(1)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_the_book_can_be_read(theme):
    color = variables(theme)
    pairs = [(name, name + "-soft") for name in ("silent", "predict", "one-line")]
    pairs += [("token-text", name) for name in ("t0", "t1", "t2", "t3", "t4", "t5", "lit", "masked")]
    pairs += [("masked-text", "masked"), ("quiet", "page"), ("quiet", "paper"), ("station", "page"),
              ("station-text", "station"), ("silent", "paper"), ("one-line", "paper")]  # fmt: skip
    for text, ground in pairs:
        assert contrast(color[text], color[ground]) >= 4.5, (text, ground)


def test_figures_can_be_read_on_white_and_on_black():
    with plt.style.context("minimind_lite.book"):
        for ground in ("white", "black"):
            for part in ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"):
                assert contrast("#" + plt.rcParams[part].lstrip("#"), ground) >= 4.5, (part, ground)
            for color in plt.rcParams["axes.prop_cycle"].by_key()["color"]:
                assert contrast("#" + color.lstrip("#"), ground) >= 3, (color, ground)


def test_figures_are_legible_on_a_phone():
    """A figure of the default size is shown 340 px wide; its smallest text stays above 9 px."""
    with plt.style.context("minimind_lite.book"):
        width = plt.rcParams["figure.figsize"][0] * 72  # in points
        assert 340 / width * plt.rcParams["xtick.labelsize"] > 9


def test_spans_escape_and_show_line_breaks():
    spans = Spans([("a<b", "t0"), ("\n", "t1")], {"t0": "first & last"})
    assert repr(spans) == "[a<b][\n]"
    html = spans._repr_html_()
    assert '<span class="token t0">a&lt;b</span>' in html
    assert "⏎<br>" in html and "first &amp; last" in html


def test_neighbours_differ_in_colour():
    kinds = [kind for _, kind in Spans.alternating(list("abcdefgh")).pieces]
    assert all(a != b for a, b in zip(kinds, kinds[1:]))
    assert all(f".token.{kind} " in CSS for kind in kinds), "the style sheet knows every class"


def test_a_table_in_text_and_in_html():
    table = Table([{"who": "a<b", "bits_per_byte": 1.23456}, {"who": "longer", "bits_per_byte": 10.0}],
                  formats={"bits_per_byte": ".2f"})  # fmt: skip
    assert repr(table).splitlines() == ["who     bits_per_byte", "a<b     1.23", "longer  10.00"]
    html = table._repr_html_()
    assert "<th>bits per byte</th>" in html and "<td>a&lt;b</td><td>1.23</td>" in html


class Bytes:
    """A tokenizer whose tokens are single bytes."""

    def token_bytes(self, index):
        return bytes([index])


def test_half_characters_are_drawn_with_what_they_join():
    ids = list("a好".encode())
    pieces = mask_spans(Bytes(), ids, [False, True, True, True]).pieces
    assert pieces == [("a", "masked"), ("好", "supervised")]
    assert terminal_mask(Bytes(), ids, [False, True, True, True]) == "a\x1b[7m好\x1b[0m"
