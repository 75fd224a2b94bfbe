"""The gradient of a window, however it is split; the schedule; runs that stop and go on."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minimind_lite.data import IGNORE, TokenDataset, Windows
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.resume import resume_log, saved_states
from minimind_lite.train import (
    TrainConfig,
    accumulate_gradients,
    learning_rate,
    make_optimizers,
    train,
)

SHAPE = ModelConfig(vocab_size=31, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=64)


def tiny(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return Transformer(SHAPE).to(dtype)


def samples(target_counts, seq=12, seed=1):
    """One row a sample, with the given number of targets in each."""
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(31, (len(target_counts), seq), generator=generator)
    labels = torch.full((len(target_counts), seq), IGNORE)
    for row, count in enumerate(target_counts):
        labels[row, seq - count :] = torch.randint(31, (count,), generator=generator)
    return input_ids, labels


def flat_gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def one_batch(model, input_ids, labels):
    """The reference: the mean over the targets of all rows at once."""
    model.zero_grad()
    loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
    loss.backward()
    return loss.item(), flat_gradient(model)


COUNTS = [1, 12, 3, 0, 7, 2, 12, 1, 0, 5]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=10).filter(any), st.data())
def test_any_split_gives_the_gradient_of_one_batch(counts, data):
    model = tiny()
    input_ids, labels = samples(counts)
    loss, gradient = one_batch(model, input_ids, labels)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(counts) - 1))) if len(counts) > 1 else [])
    bounds = [0, *cuts, len(counts)]
    split = [(input_ids[a:b], labels[a:b]) for a, b in zip(bounds, bounds[1:])]
    assert abs(accumulate_gradients(model, split) - loss) < 1e-10
    assert (flat_gradient(model) - gradient).abs().max() < 1e-10


def test_gradients_left_from_before_do_not_count():
    model = tiny()
    batch = samples(COUNTS)
    accumulate_gradients(model, [batch])
    once = flat_gradient(model)
    accumulate_gradients(model, [batch])
    assert torch.equal(flat_gradient(model), once)


def mean_of_means(model, split):
    model.zero_grad()
    for input_ids, labels in split:
        loss = F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
        (loss / len(split)).backward()


def no_division(model, split):
    model.zero_grad()
    for input_ids, labels in split:
        F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORE).backward()


def clip_each(model, split):
    model.zero_grad()
    total = torch.zeros(sum(p.numel() for p in model.parameters()), dtype=torch.float64)
    for micro_batch in split:
        accumulate_gradients(model, [micro_batch])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        total += flat_gradient(model) / len(split)
    torch.nn.utils.vector_to_parameters(total, [p.grad for p in model.parameters()])


@pytest.mark.parametrize("planted", [mean_of_means, no_division, clip_each])
def test_planted_accumulation_bugs_fail_the_invariance(planted):
    model = tiny()
    input_ids, labels = samples([1, 12, 3, 7])
    _, gradient = one_batch(model, input_ids, labels)
    planted(model, [(input_ids[i : i + 1], labels[i : i + 1]) for i in range(4)])
    assert (flat_gradient(model) - gradient).norm() > 0.1 * gradient.norm()


def test_a_micro_batch_without_targets_is_harmless_and_the_masked_mean_is_not():
    model = tiny()
    input_ids, labels = samples([0, 4])
    split = [(input_ids[:1], labels[:1]), (input_ids[1:], labels[1:])]
    loss = accumulate_gradients(model, split)
    assert math.isfinite(loss) and flat_gradient(model).isfinite().all()
    model.zero_grad()
    for ids, targets in split:  # the masked mean of older training loops
        mask = (targets != IGNORE).double().flatten()
        each = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten().clamp(min=0), reduction="none")
        ((each * mask).sum() / mask.sum()).backward()
    assert flat_gradient(model).isnan().any()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert flat_gradient(model).isnan().all()  # clipping by norm spreads it to every weight


def test_a_window_without_any_target_changes_nothing():
    model = tiny()
    assert accumulate_gradients(model, [samples([0, 0])]) == 0.0
    assert flat_gradient(model).abs().max() == 0


def test_an_empty_window_is_refused():
    with pytest.raises(ValueError, match="at least one micro-batch"):
        accumulate_gradients(tiny(), [])


def test_schedule():
    rate = dict(max_lr=1.0, min_lr=0.1, warmup_steps=10, total_steps=110)
    assert learning_rate(0, **rate) == 0.0
    assert learning_rate(5, **rate) == 0.5
    assert learning_rate(10, **rate) == 1.0
    assert learning_rate(60, **rate) == pytest.approx(0.55)
    assert learning_rate(110, **rate) == learning_rate(500, **rate) == 0.1
    assert learning_rate(0, max_lr=1, min_lr=0, warmup_steps=0, total_steps=4) == 1


def test_weight_decay_leaves_norms_alone():
    model = tiny()
    decayed, spared = make_optimizers(model, TrainConfig())[0].param_groups
    assert all(p.dim() == 2 for p in decayed["params"]) and decayed["weight_decay"] > 0
    assert all(p.dim() == 1 for p in spared["params"]) and spared["weight_decay"] == 0
    assert len(decayed["params"]) + len(spared["params"]) == len(list(model.parameters()))


def test_muon_takes_the_matrices_of_the_layers_and_adamw_the_rest():
    model = tiny()
    adamw, muon = make_optimizers(model, TrainConfig(optimizer="muon"))
    taken = [p for group in muon.param_groups for p in group["params"]]
    assert {id(p) for p in taken} == {id(p) for p in model.layers.parameters() if p.dim() == 2}
    rest = [p for group in adamw.param_groups for p in group["params"]]
    assert sorted(map(id, taken + rest)) == sorted(id(p) for p in model.parameters())


@pytest.fixture
def dataset(tmp_path):
    generator = torch.Generator().manual_seed(3)

    def documents():
        for _ in range(40):
            length = int(torch.randint(3, 20, (), generator=generator))
            ids = torch.randint(31, (length,), generator=generator).tolist()
            yield ids, [False] + [True] * (length - 1)

    return TokenDataset.write(tmp_path / "tokens", documents())


CONFIG = TrainConfig(
    total_steps=12, max_lr=1e-2, min_lr=1e-3, warmup_steps=2, sequence_length=20, micro_batch_size=2,
    accumulation_steps=2, save_every=4, number_format="float32",
)  # fmt: skip


def windows_of(dataset, config=CONFIG):
    return Windows(
        dataset, sequence_length=config.sequence_length, micro_batch_size=config.micro_batch_size,
        accumulation_steps=config.accumulation_steps,
    )  # fmt: skip


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_training_learns_and_logs_every_step(dataset, tmp_path):
    model = tiny(dtype=torch.float32)
    seen = []
    log = train(model, windows_of(dataset), CONFIG, tmp_path / "run", on_step=seen.append,
                validate=lambda: {"bits_per_byte": 1.0}, validate_every=5)  # fmt: skip
    assert [entry["step"] for entry in log] == list(range(1, 13)) and seen == log
    assert log[-1]["loss"] < log[0]["loss"] and log[-1]["lr"] == CONFIG.min_lr
    assert [e["step"] for e in log if "bits_per_byte" in e] == [5, 10, 12]
    assert resume_log(tmp_path / "run", 12) == log
    assert [p.name for p in saved_states(tmp_path / "run")] == ["step-00000012"]


def test_the_last_step_is_in_the_last_checkpoint(dataset, tmp_path):
    model = tiny(dtype=torch.float32)
    train(model, windows_of(dataset), CONFIG, tmp_path / "run")
    again = tiny(seed=5, dtype=torch.float32)
    train(again, windows_of(dataset), CONFIG, tmp_path / "run")  # nothing left to do but load
    assert torch.equal(weights(again), weights(model))


class Stopped(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("step", [1, 4, 7, 11])
def test_stopped_and_resumed_is_bit_identical(dataset, tmp_path, step, optimizer):
    config = replace(CONFIG, optimizer=optimizer)
    whole = tiny(dtype=torch.float32)
    log = train(whole, windows_of(dataset), config)

    def stop(entry):
        if entry["step"] == step:
            raise Stopped

    with pytest.raises(Stopped):
        train(tiny(dtype=torch.float32), windows_of(dataset), config, tmp_path / "run", on_step=stop)
    resumed = tiny(seed=9, dtype=torch.float32)
    if step < CONFIG.save_every:  # nothing was saved yet: the start is the caller's
        resumed = tiny(dtype=torch.float32)
    log_again = train(resumed, windows_of(dataset), config, tmp_path / "run")
    assert torch.equal(weights(resumed), weights(whole))
    assert [e["loss"] for e in log_again] == [e["loss"] for e in log]


@pytest.mark.parametrize("lost", ["optimizer", "data position"])
def test_resuming_without_everything_is_noticed(dataset, tmp_path, lost, monkeypatch):
    import minimind_lite.train as module

    whole = tiny(dtype=torch.float32)
    train(whole, windows_of(dataset), CONFIG)

    def stop(entry):
        if entry["step"] == 6:
            raise Stopped

    with pytest.raises(Stopped):
        train(tiny(dtype=torch.float32), windows_of(dataset), CONFIG, tmp_path / "run", on_step=stop)
    right = module.load_training_state

    def forgetful(directory, model, optimizers, config):
        step, number_format = right(directory, model, optimizers, config)
        if lost == "optimizer":
            optimizers[0].state.clear()
        return (step if lost == "optimizer" else 0), number_format

    monkeypatch.setattr(module, "load_training_state", forgetful)
    resumed = tiny(dtype=torch.float32)
    train(resumed, windows_of(dataset), CONFIG, tmp_path / "run")
    assert not torch.allclose(weights(resumed), weights(whole), atol=1e-4)


def test_a_state_of_another_configuration_is_refused(dataset, tmp_path):
    train(tiny(dtype=torch.float32), windows_of(dataset), CONFIG, tmp_path / "run")
    other = replace(CONFIG, max_lr=5e-3)
    with pytest.raises(ValueError, match="max_lr=0.01, this run has 0.005"):
        train(tiny(dtype=torch.float32), windows_of(dataset), other, tmp_path / "run")


def test_a_truncated_state_gets_one_sentence(dataset, tmp_path):
    train(tiny(dtype=torch.float32), windows_of(dataset), CONFIG, tmp_path / "run")
    path = saved_states(tmp_path / "run")[-1] / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged or cut short"):
        train(tiny(dtype=torch.float32), windows_of(dataset), CONFIG, tmp_path / "run")


def test_a_full_disk_leaves_the_last_state(dataset, tmp_path, monkeypatch):
    import minimind_lite.resume as module

    calls = []

    def full(tensors, path, **_):
        calls.append(path)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        real(tensors, path)

    real = module.save_file
    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(OSError, match="No space left.*untouched"):
        train(tiny(dtype=torch.float32), windows_of(dataset), CONFIG, tmp_path / "run")
    assert [p.name for p in saved_states(tmp_path / "run")] == ["step-00000004"]
    assert not list((tmp_path / "run").glob("*.unfinished"))


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(dataset, tmp_path):
    model = tiny(dtype=torch.float32)
    before = {}

    class Poisoned:
        def __getitem__(self, step):
            if step == 6:
                before["weights"] = weights(model)
                with torch.no_grad():
                    model.norm.weight[0] = float("nan")
            return windows_of(dataset)[step]

    with pytest.raises(FloatingPointError, match=r"step 6.*windows\[6\].*checkpoint"):
        train(model, Poisoned(), CONFIG, tmp_path / "run")
    after = weights(model)
    assert torch.equal(after[~after.isnan()], before["weights"][~after.isnan()])
    assert [p.name for p in saved_states(tmp_path / "run")] == ["step-00000004"]


SCRIPT = """
import sys, time, torch
from minimind_lite.data import TokenDataset, Windows
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.train import TrainConfig, train
tokens, run, result, pause = sys.argv[1:]
torch.set_num_threads(1)
torch.manual_seed(0)
model = Transformer(ModelConfig(vocab_size=31, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
config = TrainConfig(total_steps=60, sequence_length=20, micro_batch_size=2, save_every=1, number_format="float32")
windows = Windows(TokenDataset(tokens), sequence_length=20, micro_batch_size=2)
train(model, windows, config, None if run == "none" else run, on_step=lambda entry: time.sleep(float(pause)))
torch.save({n: p for n, p in model.named_parameters()}, result)
"""


def start(tmp_path, run, pause=0.0):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "tokens"), str(run), str(tmp_path / f"{run}.pt".replace("/", "_") if run == "none" else tmp_path / "result.pt"), str(pause)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_killed_runs_resume_bit_identical(dataset, tmp_path):
    """SIGKILL at random moments; MINIMIND_LITE_KILLS sets how many (3 unless told)."""
    whole = start(tmp_path, "none")
    assert whole.wait(120) == 0, whole.stderr.read()
    run = tmp_path / "run"
    kills = int(os.environ.get("MINIMIND_LITE_KILLS", "3"))
    moments = torch.rand(kills, generator=torch.Generator().manual_seed(time.time_ns() % 2**31))
    killed = 0
    for moment in moments.tolist():
        process = start(tmp_path, run, pause=0.05)
        began = saved_states(run)[-1:] if run.is_dir() else []
        deadline = time.time() + 60
        while (saved_states(run)[-1:] if run.is_dir() else []) == began and time.time() < deadline:
            time.sleep(0.01)
            assert process.poll() is None, process.stderr.read()
        time.sleep(moment * 0.5)
        process.send_signal(signal.SIGKILL)
        killed += process.wait(30) == -signal.SIGKILL
    assert killed == kills
    last = start(tmp_path, run)
    assert last.wait(120) == 0, last.stderr.read()
    expected, found = torch.load(tmp_path / "none.pt"), torch.load(tmp_path / "result.pt")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_ctrl_c_saves_and_says_how_to_go_on(dataset, tmp_path):
    run = tmp_path / "run"
    process = start(tmp_path, run, pause=0.05)
    while not (run.is_dir() and saved_states(run)):
        time.sleep(0.01)
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    message = process.stderr.read()
    assert "run the same command again to go on" in message
    assert f"stopped after step {int(saved_states(run)[-1].name[5:])} of 60" in message
