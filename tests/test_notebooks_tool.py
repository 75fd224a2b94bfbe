"""The build tool and the book's Sphinx extension, where they decide something."""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import notebooks  # noqa: E402
import pages  # noqa: E402


def printed(text):
    return v4.new_output("stream", name="stdout", text=text)


def chapter(*sources_and_outputs):
    return v4.new_notebook(cells=[v4.new_code_cell(s, outputs=o) for s, o in sources_and_outputs])


def test_tidy_drops_what_is_not_the_chapters():
    bar = v4.new_output("display_data", {notebooks.WIDGET: {}, "text/plain": "0%"})
    cell = v4.new_code_cell("1", metadata={"tags": ["package"], "execution": {"iopub": "now"}},
                            outputs=[v4.new_output("stream", name="stderr", text="0%"), bar, printed("one\n")])  # fmt: skip
    notebook = v4.new_notebook(cells=[cell], metadata={"language_info": {"name": "python", "version": "3.11.7"}})
    tidied = notebooks.tidy(notebook)
    assert tidied.cells[0].outputs == [printed("one\n")]
    assert tidied.cells[0].metadata == {"tags": ["package"]}
    assert tidied.metadata.language_info == {"name": "python"}


def test_turns_of_a_printed_conversation():
    text = "> Hi!\nHello.\n> Tell me two lines.\nOne.\nTwo.\n> 你好\n你好！\n"
    assert notebooks.turns(text) == [("Hi!", "Hello."), ("Tell me two lines.", "One.\nTwo."), ("你好", "你好！")]
    assert notebooks.turns("no question here\n") == []


def test_the_front_page_quotes_chapter_08(tmp_path):
    notebook = chapter(
        ("def talk(*questions):\n    ...\n\n\ntalk('Hi!')", [printed("> Hi!\n"), printed("<Hello> & welcome\n")]),
        ("talk('Who are you?', system='Momo')", [printed("> Who are you?\nMomo.\n")]),
        ("talk('你好')", [printed("> 你好\n你好！\n")]),
    )
    nbformat.write(notebook, tmp_path / "08_x.ipynb")
    html = notebooks.conversation(tmp_path)
    assert html.count('class="you"') == html.count('class="model"') == 2
    assert "&lt;Hello&gt; &amp; welcome" in html and "你好！" in html and "Momo" not in html


def test_the_stored_chapter_08_has_a_conversation_for_the_front_page():
    assert notebooks.conversation(ROOT / "chapters").count('class="model"') >= 4


def test_a_run_is_recorded_and_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "BUILD", tmp_path)
    monkeypatch.setattr(notebooks, "RUNS", tmp_path / "runs")
    assert "No chapter" in notebooks.status(notebooks.recorded())
    notebooks.record("05_pretraining", 61.2)
    entry = json.loads((tmp_path / "runs" / "05_pretraining.json").read_text())
    assert entry["preset"] and entry["device"] and entry["versions"]["torch"].startswith("2.")
    page = notebooks.status(notebooks.recorded())
    assert "{chapter}`05 pretraining <05>` | 61 |" in page
    assert entry["processor"] in page and f"| torch | {entry['versions']['torch']} |" in page
    notebooks.summary(entry["finished"] - 1)
    assert "61 s  05_pretraining\n" in capsys.readouterr().out
    notebooks.summary(entry["finished"] + 1)
    assert "05_pretraining  (from an earlier run)" in capsys.readouterr().out


def test_the_processor_has_its_name(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some  CPU @ 2.10GHz\n")
    assert notebooks.processor(tmp_path / "cpuinfo") == "Some CPU @ 2.10GHz"
    assert notebooks.processor(tmp_path / "missing")


def test_a_failing_chapter_names_its_cell(tmp_path, monkeypatch):
    nbformat.write(chapter(("1 / 0", [])), tmp_path / "bad.ipynb")
    monkeypatch.setattr(notebooks, "BUILD", tmp_path)
    with pytest.raises(SystemExit, match=r"(?s)bad\.ipynb: a cell failed.*1 / 0.*ZeroDivisionError"):
        notebooks.run(tmp_path / "bad.ipynb")


@pytest.mark.parametrize("columns", [3, 9])
def test_the_path_lights_one_station(columns):
    svg = pages.path_svg(5, "en", columns)
    assert svg.count('class="station here"') == 1 and svg.count('class="station done"') == 4
    assert "You are at station 5, pretraining." in svg
    assert pages.path_svg(None, "en", columns).count('class="station ahead"') == 9
    assert "预训练" in pages.path_svg(5, "zh_CN", columns)


def test_every_chapter_has_a_station():
    for path in (ROOT / "chapters").glob("*.ipynb"):
        assert 1 <= int(pages.CHAPTER.match(f"chapters/{path.stem}").group(1)) <= len(pages.STATIONS)


def test_the_table_of_the_race_has_a_line_an_entry():
    row = {"bits_per_byte": 2.5, "floor": 0.75, "flops": 9.9e11, "parameters": 1234567, "shape": "4 × 160", "vocab_size": 2048}
    *_, line = notebooks.race_table({"ours": row}).splitlines()
    assert line == "| ours | 2.500 | 1.750 | 0.990 trillion | 1,234,567 | 4 × 160 | 2,048 |"
