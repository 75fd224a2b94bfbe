"""The chapters as they are committed: executed, tidy, and in step with the package."""

import ast
import importlib
import re
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / "chapters").glob("*.ipynb"))
GLUE_ROLE = re.compile(r"\{glue:\w+\}`([^`:]+)::([^`:]+)(?::[^`]+)?`")
GLUE_CALL = re.compile(r"""glue\(\s*f?["']([^"']*)["']""")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_the_table_of_contents_names_every_chapter():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    assert [file for file in files if file.startswith("chapters/")] == [f"chapters/{path.stem}" for path in PATHS]


def test_every_cell_was_run_in_order_and_none_failed(notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", cell.source


def test_ids_are_stable_and_metadata_is_tidy(notebook):
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "mystnb"}, cell.metadata


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_chapter_is_small_enough_to_review(path):
    assert path.stat().st_size < 1_500_000


def test_no_cell_prints_more_than_a_screen(notebook):
    for cell in code_cells(notebook):
        printed = sum(len(output.get("text", "").splitlines()) for output in cell.outputs)
        assert printed <= 20, cell.source


def test_a_cell_can_be_read_at_once(notebook):
    """Fifteen lines of code; a definition of the package stands whole and may have forty."""
    for cell in code_cells(notebook):
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert len(lines) <= (40 if "package" in tags(cell) else 15), cell.source


def test_every_figure_has_alternative_text_and_a_caption(notebook):
    for cell in code_cells(notebook):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            mystnb = cell.metadata.get("mystnb", {})
            assert mystnb.get("image", {}).get("alt"), cell.source
            assert mystnb.get("figure", {}).get("caption"), cell.source


def test_cells_whose_output_varies_assert_what_must_hold(notebook):
    """A cell that nbval does not compare has an assert, or only glues, shows text or defines."""
    for cell in code_cells(notebook):
        if "nbval-ignore-output" in tags(cell) and any("image/png" in o.get("data", {}) for o in cell.outputs):
            assert "assert " in cell.source, cell.source


class Plain(ast.NodeTransformer):
    """Drops docstrings; comments are not in the tree to begin with."""

    def drop(self, node):
        self.generic_visit(node)
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_FunctionDef = visit_ClassDef = visit_Module = drop


def definition(tree, name):
    for node in tree.body:
        targets = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        if getattr(node, "name", None) == name or name in targets:
            return node
    raise AssertionError(f"there is no {name}")


def plain(source, name):
    return ast.dump(Plain().visit(definition(ast.parse(source), name)))


def package_cells():
    for path in PATHS:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "package" in tags(cell):
                yield path, cell


def test_definitions_in_the_chapters_are_those_of_the_package():
    shown = {}
    for path, cell in package_cells():
        first = cell.source.splitlines()[0]
        assert first.startswith("# minimind_lite."), f"{path.stem}: {first}"
        module_name, _, name = first.removeprefix("# ").strip().rpartition(".")
        module = importlib.import_module(module_name)
        source = Path(module.__file__).read_text(encoding="utf-8")
        assert plain(cell.source, name) == plain(source, name), f"{path.stem}: {name} has drifted"
        assert len(cell.source.splitlines()) <= 41, f"{path.stem}: {name} is too long to read at once"
        assert name not in shown, f"{name} stands in {shown.get(name)} and in {path.stem}"
        shown[name] = path.stem
    assert len(shown) >= 20


def test_a_definition_that_drifts_is_noticed():
    right = "def f(x):\n    'about'\n    return x + 1  # why\n"
    assert plain(right, "f") == plain("def f(x):\n    return x + 1", "f")
    assert plain(right, "f") != plain("def f(x):\n    return x + 2", "f")


def test_a_cell_that_names_a_package_definition_carries_the_tag(notebook):
    for cell in code_cells(notebook):
        if cell.source.startswith("# minimind_lite."):
            assert "package" in tags(cell), cell.source


def test_every_number_in_the_prose_is_glued_by_a_cell_of_that_chapter():
    pasted = {}
    for path in PATHS:
        cells = code_cells(nbformat.read(path, as_version=4))
        pasted[path.name] = {
            key.removeprefix("application/papermill.record/").split("\x00")[0]
            for cell in cells
            for output in cell.outputs
            for key in [output.get("metadata", {}).get("scrapbook", {}).get("name", "")]
        }
    for path in PATHS:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                for file, key in GLUE_ROLE.findall(cell.source):
                    assert key in pasted.get(file, ()), f"{path.stem}: nothing glues {file}::{key}"
