"""Saving and opening again: whole or not at all, and damage is named (interchange has its own file)."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from minimind_lite.card import Facts
from minimind_lite.checkpoint import load_model, load_pretrained, save_pretrained
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(["The fox had a red kite. 狐狸有一只红风筝。"] * 3, 300)


def random_model(tokenizer, **changes):
    torch.manual_seed(0)
    shape = dict(vocab_size=tokenizer.vocab_size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2) | changes  # fmt: skip
    model = Transformer(ModelConfig(**shape)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def test_round_trip_is_exact_and_tied_weights_are_stored_once(tokenizer, tmp_path):
    model = random_model(tokenizer)
    save_pretrained(tmp_path / "m", model, tokenizer)
    again, _ = load_pretrained(tmp_path / "m")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters()))
    assert again.config == model.config
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert "lm_head.weight" not in stored and len(stored) == len(list(model.parameters()))


def test_a_model_card_is_written_and_guesses_nothing(tokenizer, tmp_path):
    model = random_model(tokenizer)
    save_pretrained(tmp_path / "m", model, tokenizer)
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    stored = sum(p.numel() for p in load_file(tmp_path / "m" / "model.safetensors").values())
    assert f"{stored:,} parameters" in card and f"{tokenizer.vocab_size:,} tokens" in card and "## Limits" in card
    assert card.count("not recorded") == 4 and "license:" not in card
    facts = Facts(name="Fox", data="stories", tokens_seen=12345, bits_per_byte=0.5678, licence="Apache-2.0")
    save_pretrained(tmp_path / "m", model, tokenizer, facts)
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n") and "\nlicense: apache-2.0\n" in card and "\n# Fox\n" in card
    assert "| data | stories |" in card and "12,345 targets" in card and "0.568 on held-out" in card
    assert "not recorded" not in card


def test_another_initializer_range_is_kept(tokenizer, tmp_path):
    save_pretrained(tmp_path / "m", random_model(tokenizer, initializer_range=0.1), tokenizer)
    assert load_model(tmp_path / "m").config.initializer_range == 0.1


def test_saving_over_an_old_model_replaces_it(tokenizer, tmp_path):
    save_pretrained(tmp_path / "m", random_model(tokenizer), tokenizer)
    bigger = random_model(tokenizer, num_hidden_layers=3)
    save_pretrained(tmp_path / "m", bigger, tokenizer)
    assert load_pretrained(tmp_path / "m")[0].config.num_hidden_layers == 3
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_full_disk_leaves_the_old_model(tokenizer, tmp_path, monkeypatch):
    import minimind_lite.checkpoint as module

    save_pretrained(tmp_path / "m", random_model(tokenizer), tokenizer)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(OSError, match="No space left.*untouched"):
        save_pretrained(tmp_path / "m", random_model(tokenizer, num_hidden_layers=3), tokenizer)
    assert load_pretrained(tmp_path / "m")[0].config.num_hidden_layers == 2
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_tokenizer_larger_than_the_model_is_refused(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="do not belong together"):
        save_pretrained(tmp_path / "m", random_model(tokenizer, vocab_size=100), tokenizer)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_missing_file_is_named(tokenizer, tmp_path, name):
    save_pretrained(tmp_path / "m", random_model(tokenizer), tokenizer)
    (tmp_path / "m" / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        load_pretrained(tmp_path / "m")


def test_damaged_files_are_named(tokenizer, tmp_path):
    save_pretrained(tmp_path / "m", random_model(tokenizer), tokenizer)
    path = tmp_path / "m" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="model.safetensors is damaged or cut short"):
        load_model(tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is damaged: not valid JSON"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_named(tokenizer, tmp_path, change):
    save_pretrained(tmp_path / "m", random_model(tokenizer), tokenizer)
    path = tmp_path / "m" / "model.safetensors"
    weights = load_file(path)
    if change == "missing":
        del weights["model.layers.1.self_attn.q_norm.weight"]  # the norm forgotten in an export
    elif change == "extra":
        weights["model.layers.1.self_attn.q_proj.bias"] = torch.zeros(32)
    else:
        weights["model.norm.weight"] = torch.ones(31)
    save_file(weights, path)
    words = {"missing": "q_norm.weight is missing", "extra": "bias does not belong", "shape": "model.norm.weight has shape"}
    with pytest.raises(ValueError, match=words[change]):
        load_model(tmp_path / "m")
