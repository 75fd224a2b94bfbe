"""A saved directory opens in transformers, theirs opens here, and damage is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from minimind_lite.checkpoint import load_model, load_pretrained, save_pretrained
from minimind_lite.generate import generate
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


SHAPES = {
    "heads 2:1": {},
    "heads 1:1": dict(num_key_value_heads=4),
    "heads 4:1": dict(num_key_value_heads=1),
    "wide heads": dict(head_dim=20),
    "untied": dict(tie_word_embeddings=False),
    "padded vocabulary": dict(vocab_size=384),
}


@pytest.mark.parametrize("name", SHAPES)
def test_transformers_opens_what_we_save(name, tokenizer, tmp_path):
    model = random_model(tokenizer, **SHAPES[name])
    save_pretrained(tmp_path / "m", model, tokenizer)
    other, report = AutoModelForCausalLM.from_pretrained(tmp_path / "m", output_loading_info=True)
    assert isinstance(other, Qwen3ForCausalLM)
    assert not any(report.values())
    ids = torch.randint(tokenizer.vocab_size, (2, 15), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (other(ids).logits - model(ids)).abs().max() < 1e-4
    text = "The fox had 狐狸"
    assert AutoTokenizer.from_pretrained(tmp_path / "m")(text).input_ids == tokenizer.encode(text)
    prompt = torch.tensor([tokenizer.encode(text)])
    mask = torch.ones_like(prompt)
    theirs = other.generate(prompt, attention_mask=mask, max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0)
    ours = list(generate(model, prompt, max_new_tokens=20, temperature=0))
    assert theirs[0, prompt.shape[1] :].tolist() == ours


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("name", [n for n in SHAPES if n != "padded vocabulary"])
def test_we_open_what_transformers_saves(name, shards, tokenizer, tmp_path):
    torch.manual_seed(1)
    shape = SHAPES[name]
    other = Qwen3ForCausalLM(Qwen3Config(
        vocab_size=tokenizer.vocab_size, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=shape.get("num_key_value_heads", 2),
        head_dim=shape.get("head_dim", 8), tie_word_embeddings=shape.get("tie_word_embeddings", True),
        max_position_embeddings=64,
    )).eval()  # fmt: skip
    size = "5GB" if shards == 1 else "20KB"
    other.save_pretrained(tmp_path, max_shard_size=size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shards > 1)
    tokenizer.save_pretrained(tmp_path)
    model, same = load_pretrained(tmp_path)
    ids = torch.randint(tokenizer.vocab_size, (2, 15), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (other(ids).logits - model(ids)).abs().max() < 1e-4
    assert same.encode("fox 狐狸") == tokenizer.encode("fox 狐狸")


def test_round_trip_is_exact_and_tied_weights_are_stored_once(tokenizer, tmp_path):
    model = random_model(tokenizer)
    save_pretrained(tmp_path / "m", model, tokenizer)
    again, _ = load_pretrained(tmp_path / "m")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters()))
    assert again.config == model.config
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert "lm_head.weight" not in stored and len(stored) == len(list(model.parameters()))


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


@pytest.mark.parametrize(
    "field, value",
    [
        ("use_sliding_window", True),
        ("attention_bias", True),
        ("hidden_act", "gelu"),
        ("model_type", "llama"),
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
        ("rope_parameters", {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6}),
        ("layer_types", ["full_attention", "sliding_attention"]),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(tokenizer, tmp_path, field, value):
    save_pretrained(tmp_path / "m", random_model(tokenizer), tokenizer)
    path = tmp_path / "m" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    expected = "rope_scaling" if field == "rope_parameters" else field
    with pytest.raises(ValueError, match=f"config.json: {expected} "):
        load_pretrained(tmp_path / "m")


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
    with pytest.raises(ValueError, match="config.json is not valid JSON"):
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


def test_leaving_out_the_query_key_norm_changes_the_answer(tokenizer):
    model = random_model(tokenizer)
    ids = torch.randint(tokenizer.vocab_size, (1, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        right = model(ids)
        for layer in model.layers:
            layer.self_attn.q_norm = layer.self_attn.k_norm = torch.nn.Identity()
        assert (model(ids) - right).abs().max() > 0.1
