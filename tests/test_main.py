"""The command line: what it says, and that it refuses rather than ignores."""

import pytest

from minimind_lite import __main__ as cli
from minimind_lite import recipe
from minimind_lite.checkpoint import save_pretrained
from minimind_lite.generate import generate
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer


def run(monkeypatch, capsys, *arguments):
    """(exit status, what stood on stderr) of one command; argparse's own refusals included."""
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "lite")
    monkeypatch.setattr("sys.argv", ["minimind_lite", *map(str, arguments)])
    try:
        status = cli.main()
    except SystemExit as stop:
        status = stop.code
    return status, capsys.readouterr().err


@pytest.mark.parametrize("command, option, value", [
    ("corpus", "--seed", 7), ("corpus", "--documents", 3), ("tokenizer", "--vocab-size", 300),
    ("pretrain", "--total-steps", 7), ("pretrain", "--hidden-size", 32), ("pretrain", "--valid", "x.jsonl"),
    ("sft", "--max-lr", 0.5), ("sft", "--rehearse", "x.jsonl"), ("sft", "--model", "somewhere"),
])  # fmt: skip
def test_an_option_without_a_place_is_refused_not_ignored(monkeypatch, capsys, command, option, value):
    for name in ("corpus_files", "tokenizer", "pretrained", "chat_model"):
        monkeypatch.setattr(recipe, name, lambda: pytest.fail("it ran all the same"))
    status, error = run(monkeypatch, capsys, command, option, value)
    assert status == 1 and error == f"error: {option} changes the result, which then needs a place: add --out.\n"


def test_a_boolean_is_true_or_false_and_nothing_else(monkeypatch, capsys):
    status, error = run(monkeypatch, capsys, "pretrain", "--tie-word-embeddings", "ture")
    assert status == 2 and "'ture' is neither true nor false" in error


@pytest.mark.parametrize("command", ["corpus", "tokenizer", "pretrain", "sft", "chat", "evaluate"])
def test_every_command_has_help_with_an_example(monkeypatch, capsys, command):
    monkeypatch.setattr("sys.argv", ["minimind_lite", command, "--help"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().out
    assert stop.value.code == 0 and f"example: python -m minimind_lite {command}" in said


def test_a_whole_path_of_ones_own(monkeypatch, capsys, tmp_path):
    """Texts, tokenizer, a few steps of each training, and a second start that is told to resume."""
    small = ["--hidden-size", 16, "--num-hidden-layers", 1, "--num-attention-heads", 2,
             "--num-key-value-heads", 1, "--head-dim", 8]  # fmt: skip
    quick = ["--total-steps", 2, "--warmup-steps", 1, "--micro-batch-size", 2, "--sequence-length", 128]
    text, chat = tmp_path / "text.jsonl", tmp_path / "chat.jsonl"
    text.write_text('{"text": "A fox met a bear."}\n' * 3, encoding="utf-8")
    chat.write_text('{"conversations": [{"role": "user", "content": "Hi"}, '
                    '{"role": "assistant", "content": "你好"}]}\n', encoding="utf-8")  # fmt: skip
    base, tuned = tmp_path / "base", tmp_path / "tuned"
    assert run(monkeypatch, capsys, "tokenizer", "--data", text, "--vocab-size", 300, "--out", tmp_path / "t")[0] == 0
    pretrain = ["pretrain", "--data", text, "--tokenizer", tmp_path / "t", "--out", base, *small, *quick]
    assert run(monkeypatch, capsys, *pretrain)[0] == 0
    status, error = run(monkeypatch, capsys, *pretrain)
    assert status == 1 and "already holds a run: add --resume" in error
    assert run(monkeypatch, capsys, *pretrain, "--resume")[0] == 0
    sft = ["sft", "--data", chat, "--model", base / "model", "--rehearse", text, "--out", tuned, *quick]
    assert run(monkeypatch, capsys, *sft)[0] == 0 and (tuned / "model" / "config.json").is_file()


def test_a_missing_model_and_a_broken_line_are_named(monkeypatch, capsys, tmp_path):
    status, error = run(monkeypatch, capsys, "evaluate", "--model", tmp_path / "none")
    assert status == 1 and "none/tokenizer.json is missing" in error and error.count("\n") == 1
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "fine"}\n{"text": ', encoding="utf-8")
    status, error = run(monkeypatch, capsys, "tokenizer", "--data", path, "--vocab-size", 300, "--out", tmp_path / "t")
    assert status == 1 and "bad.jsonl, line 2: this is not JSON" in error and not (tmp_path / "t").exists()


def test_a_chat_makes_its_decoder_once_and_starts_over_on_an_empty_line(monkeypatch, capsys, tmp_path):
    tokenizer = Tokenizer.train(["A fox met a bear."], 300)
    model = Transformer(ModelConfig(vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    save_pretrained(tmp_path / "model", model, tokenizer)
    made, asked, decoder = [], [], cli.Decoder

    def counted(model):
        made.append(decoder(model))
        return made[-1]

    def generated(model, ids, **options):
        asked.append((ids, options["decoder"]))
        return generate(model, ids, **options)

    lines = iter(["A fox?", "A bear?", "", "A fox?"])

    def typed(prompt):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(cli, "Decoder", counted)
    monkeypatch.setattr(cli, "generate", generated)
    monkeypatch.setattr("builtins.input", typed)
    assert run(monkeypatch, capsys, "chat", "--model", tmp_path / "model", "--max-new-tokens", 5)[0] == 0
    (first, *_), (second, _), (again, _) = asked
    assert len(made) == 1 and all(used is made[0] for _, used in asked)
    assert second[: len(first)] == first and len(second) > len(first) and again == first
