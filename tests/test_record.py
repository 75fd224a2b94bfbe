"""run.json: what was run, and the same loss curve when it is run again."""

import json

import pytest
import torch

from minimind_lite import __main__ as cli
from minimind_lite.checkpoint import load_model
from minimind_lite.files import read_json, write_json
from minimind_lite.record import fingerprint
from minimind_lite.tokenizer import Tokenizer

TEXTS = [f"The {a} had a {b} kite. 狐狸有一只{c}风筝。" for a in ("fox", "cat", "owl") for b in ("red", "blue") for c in "红蓝"]
SHAPE = ["--hidden-size=16", "--intermediate-size=32", "--num-hidden-layers=1", "--num-attention-heads=2",
         "--num-key-value-heads=1", "--head-dim=8", "--max-position-embeddings=128"]  # fmt: skip
TRAINING = ["--total-steps=6", "--sequence-length=48", "--micro-batch-size=2", "--warmup-steps=2", "--seed=3"]


@pytest.fixture
def files(tmp_path):
    """A tokenizer, texts and chats in a directory."""
    Tokenizer.train(TEXTS, 300).save_pretrained(tmp_path / "tokenizer")
    with open(tmp_path / "texts.jsonl", "w", encoding="utf-8") as texts, open(tmp_path / "chats.jsonl", "w") as chats:
        for text in TEXTS:
            texts.write(json.dumps({"text": text}) + "\n")
            chat = [{"role": "user", "content": text[:9]}, {"role": "assistant", "content": text[9:18]}]
            chats.write(json.dumps({"conversations": chat}) + "\n")
    return tmp_path


@pytest.fixture
def run(files, monkeypatch, capsys):
    """run(*arguments) -> (exit status, stderr)"""
    monkeypatch.setenv("MINIMIND_LITE_RUNS", str(files / "no-runs"))
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "lite")

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["minimind_lite", *map(str, arguments)])
        status = cli.main()
        return status, capsys.readouterr().err

    yield run
    assert not (files / "no-runs").exists()


def pretrain(files, out, *more):
    return ["pretrain", f"--data={files}/texts.jsonl", f"--tokenizer={files}/tokenizer", f"--out={files}/{out}",
            *SHAPE, *TRAINING, *more]  # fmt: skip


def losses(run):
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_writes_down_what_it_was_and_can_be_run_again(files, run, monkeypatch):
    assert run(*pretrain(files, "first"))[0] == 0
    said = read_json(files / "first" / "run.json")
    assert said["command"] == "pretrain" and said["preset"] == "lite"
    assert said["options"]["seed"] == 3 and said["options"]["hidden_size"] == 16 and said["options"]["total_steps"] == 6
    assert said["settled"]["number_format"] in ("float32", "bfloat16")
    assert said["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert said["machine"]["threads"] == torch.get_num_threads() and said["machine"]["processes"] == 1

    config = f"--config={files}/first/run.json"
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "small")  # the file brings its own preset
    assert run("pretrain", config, f"--out={files}/again")[0] == 0
    assert losses(files / "again") == losses(files / "first")
    assert read_json(files / "again" / "run.json")["preset"] == "lite"
    first, again = (load_model(files / name / "model") for name in ("first", "again"))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters()))
    assert run("pretrain", config, f"--out={files}/other", "--seed=4")[0] == 0  # what is said here goes first
    assert losses(files / "other") != losses(files / "first")


def test_a_finetuning_can_be_run_again_with_what_it_rehearsed(files, run):
    assert run(*pretrain(files, "base"))[0] == 0
    assert run("sft", f"--model={files}/base/model", f"--data={files}/chats.jsonl", f"--rehearse={files}/texts.jsonl",
               "--rehearse-texts=2", f"--out={files}/first", *TRAINING)[0] == 0  # fmt: skip
    said = read_json(files / "first" / "run.json")
    assert said["options"]["rehearse_texts"] == 2 and said["options"]["model"] == str(files / "base" / "model")
    assert run("sft", f"--config={files}/first/run.json", f"--out={files}/again")[0] == 0
    assert losses(files / "again") == losses(files / "first")
    (files / "base" / "model" / "README.md").write_text("another card")  # changes nothing that is learned
    assert run("sft", f"--config={files}/first/run.json", f"--out={files}/third")[0] == 0


def test_a_run_whose_data_has_changed_is_not_run_again_in_silence(files, run):
    assert run(*pretrain(files, "first"))[0] == 0
    data = files / "texts.jsonl"
    data.write_text(data.read_text(encoding="utf-8").replace("fox", "bear"), encoding="utf-8")
    again = ["pretrain", f"--config={files}/first/run.json", f"--out={files}/again"]
    status, error = run(*again)
    assert status == 1 and "texts.jsonl is not what it was when" in error and not (files / "again").exists()
    said = read_json(files / "first" / "run.json")
    del said["inputs"]["data"]  # as the sentence says
    write_json(files / "first" / "run.json", said)
    assert run(*again)[0] == 0


def test_a_run_of_another_number_of_processes_is_not_run_again_in_silence(files, run):
    """Two processes with two rows each make a step of four; one process must be told to do so, too."""
    assert run(*pretrain(files, "first"))[0] == 0
    said = read_json(files / "first" / "run.json")
    said["machine"]["processes"] = 2
    write_json(files / "first" / "run.json", said)
    again = ["pretrain", f"--config={files}/first/run.json", f"--out={files}/again"]
    status, error = run(*again)
    assert status == 1 and "on 2 processes and this is one on 1" in error and not (files / "again").exists()
    assert run(*again, "--accumulation-steps=2")[0] == 0


def test_a_directory_is_not_written_twice_and_can_be_resumed_from_its_file(files, run):
    assert run(*pretrain(files, "run"))[0] == 0
    status, error = run("pretrain", f"--config={files}/run/run.json")
    assert status == 1 and "already holds a run" in error
    assert run("pretrain", f"--config={files}/run/run.json", "--resume")[0] == 0  # nothing left to do


@pytest.mark.parametrize("change", ["other data", "other contents", "other length"])
def test_tokens_of_another_run_are_not_learned_from(files, run, monkeypatch, change):
    """A run that ends before its first saved state leaves its tokens behind."""
    with monkeypatch.context() as patch:
        patch.setattr("minimind_lite.recipe.train", lambda *_, **__: (_ for _ in ()).throw(OSError("the power went out")))
        assert run(*pretrain(files, "run"))[0] == 1
    more, data = [], files / "texts.jsonl"
    if change == "other length":
        more = ["--sequence-length=40"]
    elif change == "other data":
        more = [f"--data={files / 'other.jsonl'}"]
        (files / "other.jsonl").write_text('{"text": "a fox"}\n')
    else:
        data.write_text('{"text": "a fox"}\n')
    status, error = run(*pretrain(files, "run", *more))
    assert status == 1 and "was made with another" in error and "delete this one to begin again" in error


def test_a_fingerprint_is_of_contents_and_names(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text("{}")
    before = fingerprint(tmp_path / "a")
    (tmp_path / "a" / "README.md").write_text("words")
    assert fingerprint(tmp_path / "a") == before
    (tmp_path / "a" / "config.json").rename(tmp_path / "a" / "tokenizer.json")
    assert fingerprint(tmp_path / "a") != before


def test_the_card_says_what_the_run_knows(files, run):
    assert run(*pretrain(files, "run", f"--valid={files}/texts.jsonl"))[0] == 0
    card = (files / "run" / "model" / "README.md").read_text(encoding="utf-8")
    entries = [json.loads(line) for line in (files / "run" / "log.jsonl").read_text().splitlines()]
    assert f"{sum(entry['tokens'] for entry in entries):,} targets" in card
    assert f"{entries[-1]['bits_per_byte']:.3f} on held-out texts" in card
    assert "| data | texts.jsonl |" in card and "whoever publishes the weights must name one" in card
