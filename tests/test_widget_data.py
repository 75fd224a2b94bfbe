"""What the build writes for the widgets, and the directive that puts them into a page."""

import base64
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import docutils.parsers.rst
import docutils.utils
import numpy as np
import pytest
import torch
from docutils.frontend import get_default_settings

from minimind_lite.model import ModelConfig, Transformer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import widget_data  # noqa: E402
import widgets  # noqa: E402


def values(script):
    """What a script gives to MiniMind."""
    return json.loads(script[script.index("MiniMind, ") + 10 : script.rindex(")")])


def small_model():
    torch.manual_seed(0)
    shape = dict(vocab_size=50, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1)
    return Transformer(ModelConfig(**shape))


def test_nothing_is_trained_when_the_data_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMIND_LITE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "base")
    widget_data.write(tmp_path)
    assert not (tmp_path / "runs").exists() and not (tmp_path / "lite_weights.js").exists()
    data = values((tmp_path / "lite_data.js").read_text(encoding="ascii"))
    assert data["tokenizerFile"] is None and data["weightsSize"] is None
    assert len(data["coderFile"]["model"]["vocab"]) == 1024
    assert os.environ["MINIMIND_LITE_PRESET"] == "base", "only the widgets are of the lite preset"


def test_weights_are_float16_in_base64_and_tied_ones_come_once():
    model = small_model()
    file = values(widget_data.weights_script(model))["weightsFile"]
    halves = np.frombuffer(base64.b64decode(file["float16"]), "<f2")
    assert file["config"]["hidden_size"] == 8 and "lm_head" not in file["tensors"]
    for name, parameter in model.named_parameters():
        where = file["tensors"][name.removesuffix(".weight")]
        stored = halves[where["start"] :][: parameter.numel()].reshape(where["shape"])
        assert (stored == parameter.detach().half().numpy()).all(), name


def test_weights_that_a_page_cannot_hold_are_refused(monkeypatch):
    model = small_model()
    with torch.no_grad():
        model.norm.weight[0] = 1e6
    with pytest.raises(ValueError, match="norm.weight has a value that float16 cannot hold"):
        widget_data.weights_script(model)
    monkeypatch.setattr(widget_data, "MOST", 1000)
    with pytest.raises(ValueError, match="a page may load 1,000"):
        widget_data.weights_script(small_model())


def test_two_widgets_of_a_page_share_their_scripts():
    loaded = []
    first, second = (widgets.widget_html(name, "../_static/", loaded) for name in ("mask-painter", "lite-chat"))
    assert all(f'src="../_static/{script}"' in first for script in (*widgets.SHARED, "mask_painter.js"))
    assert "tokenizer.js" not in second and second.index("transformer.js") < second.index("chat.js")


def parse(text, docname, language="en"):
    """The parsed document of a page, and what the parser complained about."""
    docutils.parsers.rst.directives.register_directive("widget", widgets.Widget)
    settings = get_default_settings(docutils.parsers.rst.Parser)
    settings.report_level = 5
    settings.env = SimpleNamespace(docname=docname, temp_data={}, config=SimpleNamespace(language=language))
    document = docutils.utils.new_document("page", settings)
    docutils.parsers.rst.Parser().parse(text, document)
    return document


def test_the_directive_knows_where_the_page_lies_and_what_there_is():
    assert 'src="../_static/playground.js"' in parse(".. widget:: playground", "chapters/03_x").astext()
    assert 'src="_static/playground.js"' in parse(".. widget:: playground", "index").astext()
    assert "there is no widget 'clock': choose one of playground," in parse(".. widget:: clock", "index").astext()
    chinese = parse(".. widget:: playground", "index", "zh_CN").astext()
    assert 'aria-label="分词器游乐场" lang="zh-CN"' in chinese and "需要 JavaScript" in chinese


def test_every_script_that_a_widget_names_is_there():
    static = {path.name for path in (ROOT / "book" / "_static").glob("*.js")} | {"lite_data.js"}
    for *_, own in widgets.WIDGETS.values():
        assert set(widgets.SHARED + own) <= static
