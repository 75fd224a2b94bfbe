"""Pictures of tokens and tables: escaped, complete, and plain text where there is no HTML."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimind_lite.show import ALTERNATING, Spans, Table, mask_spans, terminal_mask


class Reader(HTMLParser):
    """What a browser would show, and the classes of the elements."""

    def __init__(self, html: str):
        super().__init__()
        self.text, self.tags = "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs).get("class")))

    def handle_data(self, data):
        self.text += data


class Bytes:
    """A tokenizer of single bytes: all that mask_spans asks of one."""

    def token_bytes(self, index: int) -> bytes:
        return bytes([index])


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8"))))
def test_spans_show_exactly_their_text_and_never_markup_of_it(texts):
    spans = Spans.alternating(texts)
    shown = Reader(spans._repr_html_())
    assert shown.text == "".join(texts)
    classes = [name for tag, name in shown.tags if tag == "span"]
    assert classes == [f"token t{i % ALTERNATING}" for i in range(len(texts))]
    assert repr(spans) == "".join(f"[{text}]" for text in texts)


def test_spans_mark_the_end_of_a_line_and_draw_the_legend():
    shown = Reader(Spans([("a\n", "user")], {"user": "what the user wrote"})._repr_html_())
    assert shown.text.startswith("a⏎")
    assert ("br", None) in shown.tags and "what the user wrote" in shown.text


def test_a_table_formats_aligns_and_escapes():
    table = Table([{"skill": "<b>", "right": 0.5}, {"skill": "longer", "right": 1.0}],
                  caption="of 2", formats={"right": ".0%"})  # fmt: skip
    assert repr(table) == "skill   right\n<b>     50%\nlonger  100%"
    shown = Reader(table._repr_html_())
    assert ("b", None) not in shown.tags
    assert [tag for tag, _ in shown.tags].count("td") == 4
    for text in ("of 2", "skill", "<b>", "50%", "100%"):
        assert text in shown.text


def test_a_character_that_spans_tokens_is_drawn_once():
    ids = list("a你b".encode())
    supervised = [False, True, True, True, False]
    pieces = mask_spans(Bytes(), ids, supervised).pieces
    assert pieces == [("a", "masked"), ("你", "supervised"), ("b", "masked")]
    assert terminal_mask(Bytes(), ids, supervised) == "a\x1b[7m你\x1b[0mb"


@pytest.mark.parametrize("ids", [[0xE4, 0xBD], [0xFF, 0x61]])
def test_bytes_that_are_no_character_are_still_drawn(ids):
    """A sample cut in the middle of a character must not lose what stands there."""
    assert "".join(text for text, _ in mask_spans(Bytes(), ids, [True] * len(ids)).pieces)
