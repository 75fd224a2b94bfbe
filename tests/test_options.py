"""Options as their user meets them: defaults, typos, a file of them, a prediction instead of a run."""

import doctest
import json

import pytest

from minimind_lite import __main__ as cli
from minimind_lite import options, recipe
from minimind_lite.budget import parameter_counts


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """run(*arguments) -> (exit status, stdout, stderr); the presets' own results are out of reach."""
    monkeypatch.setenv("MINIMIND_LITE_RUNS", str(tmp_path / "no-runs"))
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "lite")

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["minimind_lite", *map(str, arguments)])
        try:
            status = cli.main()
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    yield run
    assert not (tmp_path / "no-runs").exists()


def test_worked_examples():
    assert doctest.testmod(options).failed == 0


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_has_an_example_and_every_default(run, command):
    status, said, _ = run(command, "--help")
    said = " ".join(said.split())
    assert status == 0 and f"example: python -m minimind_lite {command}" in said and "--config FILE" in said
    preset = recipe.preset()
    shown = {"pretrain": (preset.model, preset.pretrain), "sft": (preset.sft,), "corpus": (preset.corpus,)}
    for config in shown.get(command, ()):
        for name, value in vars(config).items():
            assert f"--{name.replace('_', '-')} " in said and f"default: {value}" in said


@pytest.mark.parametrize("arguments, sentence", [
    (["pretian"], "there is no command 'pretian'; did you mean pretrain?"),
    (["pretrain", "--max-lrr", "3"], "pretrain has no option --max-lrr; did you mean --max-lr? --help lists them all."),
    (["sft", "--warmup_step=3"], "sft has no option --warmup_step; did you mean --warmup-steps? --help lists them all."),
    (["pretrain", "--total", "3"], "has no option --total"),  # an abbreviation changes when options are added
    (["chat", "hello"], "'hello' was not expected here"),
    (["pretrain", "--optimizer", "mooon", "--dry-run"], "choose adamw or muon"),
])  # fmt: skip
def test_typos_are_answered_with_what_was_meant(run, arguments, sentence):
    status, _, error = run(*arguments)
    assert status == 1 and sentence in error and error.count("\n") == 1


def test_a_misspelt_preset(run, monkeypatch):
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "smal")
    status, _, error = run("chat")
    assert status == 1 and "choose one of lite, small, base; did you mean small?" in error


@pytest.mark.parametrize("text, sentence", [
    ('{"max_lrr": 1}', "there is no option 'max_lrr'; did you mean max_lr?"),
    ('{"options": {"seeds": 1}}', "there is no option 'seeds'; did you mean seed?"),
    ('{"resume": true}', "there is no option 'resume'"),  # that is asked for each time
    ('{"max_lr": [1, 2]}', "max_lr should be one value"),
    ('{"command": "sft", "options": {}}', "is about the command sft, not pretrain"),
    ('{"options": {}, "preset": "larg"}', "MINIMIND_LITE_PRESET is 'larg'"),
    ("{", "not valid JSON"),
    ('{"options": 3}', '"options" should hold one JSON object'),
    (None, "is missing: --config names a JSON file"),
    ('{"total_steps": 7}', "--total-steps changes the result, which then needs a place: add --out."),
])  # fmt: skip
def test_a_file_of_options_that_cannot_be_used(run, tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "my.json").write_text(text)
    status, _, error = run("pretrain", "--config", tmp_path / "my.json")
    assert status == 1 and sentence in error and error.count("\n") == 1


@pytest.mark.parametrize("command", ["pretrain", "sft"])
def test_a_dry_run_predicts_and_starts_nothing(run, tmp_path, command):
    """The file's options count, and those of the command line before them."""
    (tmp_path / "my.json").write_text(json.dumps({"total_steps": 10, "micro-batch-size": 1, "sequence_length": 64}))
    status, said, _ = run(command, "--config", tmp_path / "my.json", "--sequence-length=32", "--dry-run",
                          "--out", tmp_path / "run")  # fmt: skip
    parameters = sum(parameter_counts(recipe.preset().model).values())
    assert status == 0 and f"{parameters:,}" in said and "320 in all" in said and "Nothing was started." in said
    for word in ("memory", "tokens", "steps", "time"):
        assert f"\n{word}" in said
    assert not (tmp_path / "run").exists()


def test_the_larger_presets_predict_their_own_shape_and_ask_for_their_files(run, monkeypatch):
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "base")
    status, _, error = run("tokenizer")
    assert status == 1 and "python -m minimind_lite download" in error and "1.2 GB" in error
