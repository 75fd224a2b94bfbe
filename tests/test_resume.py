"""Runs that are stopped, killed, starved of disk space, or met by a damaged state, and go on."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from test_train import CONFIG, dataset, tiny, weights, windows_of  # noqa: F401 (dataset is a fixture)

from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.resume import Interrupt, resume_log, saved_states
from minimind_lite.train import train


def new(seed=0):
    return tiny(seed, dtype=torch.float32)


def names(run):
    return sorted(path.name for path in run.iterdir() if path.name != "log.jsonl")


class Stopped(Exception):
    pass


def stop_after(step):
    def on_step(entry):
        if entry["step"] == step:
            raise Stopped

    return on_step


def test_the_last_step_is_in_the_last_checkpoint(dataset, tmp_path):
    model = new()
    train(model, windows_of(dataset), CONFIG, tmp_path / "run")
    again = new(seed=5)
    train(again, windows_of(dataset), CONFIG, tmp_path / "run")  # nothing left to do but load
    assert torch.equal(weights(again), weights(model))
    assert names(tmp_path / "run") == ["step-00000012"]


def test_a_state_is_whole_and_in_full_precision(dataset, tmp_path):
    model = new()
    train(model, windows_of(dataset), CONFIG, tmp_path / "run")
    tensors = load_file(tmp_path / "run" / "step-00000012" / "state.safetensors")
    for name, parameter in model.named_parameters():
        assert torch.equal(tensors[f"model.{name}"], parameter)
        for moment in ("exp_avg", "exp_avg_sq"):
            assert tensors[f"optimizer.{moment}.{name}"].dtype == torch.float32
    state = json.loads((tmp_path / "run" / "step-00000012" / "state.json").read_text())
    assert state["step"] == 12 and state["config"]["max_lr"] == CONFIG.max_lr and state["model"]["vocab_size"] == 31


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("step", [1, 4, 7, 11])
def test_stopped_and_resumed_is_bit_identical(dataset, tmp_path, step, optimizer):
    config = replace(CONFIG, optimizer=optimizer)
    whole = new()
    log = train(whole, windows_of(dataset), config)
    with pytest.raises(Stopped):
        train(new(), windows_of(dataset), config, tmp_path / "run", on_step=stop_after(step))
    resumed = new(seed=9)
    if step < CONFIG.save_every:  # nothing was saved yet: the start is the caller's
        resumed = new()
    log_again = train(resumed, windows_of(dataset), config, tmp_path / "run")
    assert torch.equal(weights(resumed), weights(whole))
    assert [e["loss"] for e in log_again] == [e["loss"] for e in log]


@pytest.mark.parametrize("lost", ["optimizer", "data position"])
def test_resuming_without_everything_is_noticed(dataset, tmp_path, lost, monkeypatch):
    import minimind_lite.train as module

    whole = new()
    train(whole, windows_of(dataset), CONFIG)
    with pytest.raises(Stopped):
        train(new(), windows_of(dataset), CONFIG, tmp_path / "run", on_step=stop_after(6))
    right = module.load_training_state

    def forgetful(directory, model, optimizers, config):
        step, number_format = right(directory, model, optimizers, config)
        if lost == "optimizer":
            optimizers[0].state.clear()
        return (step if lost == "optimizer" else 0), number_format

    monkeypatch.setattr(module, "load_training_state", forgetful)
    resumed = new()
    train(resumed, windows_of(dataset), CONFIG, tmp_path / "run")
    assert not torch.allclose(weights(resumed), weights(whole), atol=1e-4)


# Another run's state, a damaged state: one sentence, nothing lost, nothing changed.


@pytest.fixture
def run(dataset, tmp_path):
    train(new(), windows_of(dataset), CONFIG, tmp_path / "run")
    return tmp_path / "run"


def refused(dataset, run, config=CONFIG, model=None):
    """The sentence with which a run is refused; the state and the model must stay as they were."""
    model = new(seed=5) if model is None else model
    before = weights(model)
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(ValueError) as caught:
        train(model, windows_of(dataset, config), config, run)
    assert torch.equal(weights(model), before)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == files
    sentence = str(caught.value)
    assert str(run) in sentence and "\n" not in sentence and sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"max_lr": 5e-3}, "max_lr=0.01, this run has 0.005"),
        ({"optimizer": "muon"}, "optimizer='adamw', this run has 'muon'"),
        ({"sequence_length": 24}, "sequence_length=20, this run has 24"),
        ({"accumulation_steps": 3}, "this run's have 6 (2 x 3 x 1): make the products equal"),
    ],
)
def test_a_state_of_another_configuration_is_refused(dataset, run, change, sentence):
    assert sentence in refused(dataset, run, replace(CONFIG, **change))


@pytest.mark.parametrize("change", [{"hidden_size": 32}, {"num_hidden_layers": 2}, {"rope_theta": 1e4}])
def test_a_state_of_another_model_is_refused(dataset, run, change):
    (name, value), *_ = change.items()
    other = Transformer(ModelConfig(**(new().config.__dict__ | change | {"head_dim": None, "intermediate_size": None})))
    assert name in refused(dataset, run, model=other)


def test_states_without_the_newer_entries_are_read_and_shapes_compared(dataset, run):
    path = run / "step-00000012" / "state.json"
    state = json.loads(path.read_text())
    del state["model"], state["processes"]
    path.write_text(json.dumps(state))
    train(new(), windows_of(dataset), CONFIG, run)
    other = Transformer(replace(new().config, hidden_size=32, head_dim=None, intermediate_size=None))
    assert "another shape" in refused(dataset, run, model=other)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nothing(path):
    path.write_bytes(b"")


def noise(path):
    path.write_bytes(bytes(range(256)) * 8)


def empty_object(path):
    path.write_text("{}") if path.suffix == ".json" else path.write_bytes(b"\2" + bytes(7) + b"{}")


def gone(path):
    path.unlink()


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", [cut, nothing, noise, empty_object, gone])
def test_a_damaged_state_gets_one_sentence(dataset, run, damage, name):
    damage(run / "step-00000012" / name)
    assert "delete" in refused(dataset, run)


def test_what_may_change_between_two_runs(dataset, tmp_path):
    """How often states are saved, and how a window is cut, are not part of what a run computes."""
    whole = tiny()
    train(whole, windows_of(dataset), CONFIG)
    with pytest.raises(Stopped):
        train(tiny(), windows_of(dataset), CONFIG, tmp_path / "run", on_step=stop_after(6))
    other = replace(CONFIG, micro_batch_size=1, accumulation_steps=4, save_every=3)
    resumed = tiny(seed=9)
    train(resumed, windows_of(dataset, other), other, tmp_path / "run")
    assert (weights(resumed) - weights(whole)).abs().max() < 1e-10


# A full disk.


class Full:
    """A writer that fails with "no space left" after some calls, leaving half a file behind."""

    def __init__(self, real, calls):
        self.real, self.left = real, calls

    def __call__(self, first, second, **options):
        self.left -= 1
        if self.left < 0:
            path = next(p for p in (first, second) if hasattr(p, "write_bytes"))
            path.write_bytes(b"half a file")
            raise OSError(28, "No space left on device")
        return self.real(first, second, **options)


@pytest.mark.parametrize("writer", ["save_file", "write_json"])
def test_a_full_disk_leaves_the_last_state(dataset, tmp_path, monkeypatch, writer):
    import minimind_lite.resume as module

    whole = new()
    train(whole, windows_of(dataset), CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(module, writer, Full(getattr(module, writer), 1))
        with pytest.raises(OSError, match=r"step-00000008 .No space left.*untouched. Make room.*\.$"):
            train(new(), windows_of(dataset), CONFIG, tmp_path / "run")
    assert names(tmp_path / "run") == ["step-00000004"]
    resumed = new(seed=9)
    train(resumed, windows_of(dataset), CONFIG, tmp_path / "run")
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_log_that_cannot_grow_gets_one_sentence(dataset, run):
    shutil.rmtree(run / "step-00000012")
    (run / "log.jsonl").unlink()
    (run / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="log.jsonl .No space left.*last saved state is untouched"):
        train(new(), windows_of(dataset), CONFIG, run)


def test_a_log_line_half_written_is_forgotten(run):
    path = run / "log.jsonl"
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"step": 13, "lo')
    assert [entry["step"] for entry in resume_log(run, 12)] == list(range(1, 13))
    assert path.read_text(encoding="utf-8").count("\n") == 12
    assert [entry["step"] for entry in resume_log(run, 5)] == [1, 2, 3, 4, 5]


# A loss that is not finite.


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(dataset, tmp_path):
    model = new()
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
    assert names(tmp_path / "run") == ["step-00000004"]


# Real processes, killed for real. They are forked from a server that has already imported torch.

RUN = """
import os, torch
from pathlib import Path
from minimind_lite.data import TokenDataset, Windows
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.train import TrainConfig, train
torch.set_num_threads(1)
torch.manual_seed(0)
folder = Path(folder)
model = Transformer(ModelConfig(vocab_size=31, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
config = TrainConfig(total_steps=STEPS, sequence_length=20, micro_batch_size=2, save_every=save_every, number_format="float32")
windows = Windows(TokenDataset(folder / "tokens"), sequence_length=20, micro_batch_size=2)
limit_files()
try:
    train(model, windows, config, run and folder / run, description=None)
    torch.save(dict(model.named_parameters()), folder / f"{result}.pt")
except (KeyboardInterrupt, OSError) as error:
    (folder / f"{result}.txt").write_text(str(error))
"""
STEPS = 120
linux = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs SIGKILL and fork")


@pytest.fixture(scope="module")
def server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["minimind_lite.train"])
    return context


def do_nothing():
    pass


def start(server, folder, run, result, save_every=1, limit_files=do_nothing):
    values = dict(folder=str(folder), run=run, result=result, save_every=save_every, STEPS=STEPS, limit_files=limit_files)
    process = server.Process(target=exec, args=(RUN, values))
    process.start()
    return process


def steps_saved(run):
    states = saved_states(run) if run.is_dir() else []
    return int(states[-1].name[5:]) if states else 0


def wait_for(process, run, steps):
    deadline = time.monotonic() + 120
    while steps_saved(run) < steps:
        assert process.is_alive() and time.monotonic() < deadline, "the run ended before it was stopped"
        time.sleep(0.001)


@linux
def test_killed_runs_resume_bit_identical(server, dataset, tmp_path):
    """SIGKILL at random moments, many of them in the middle of a save; a state is saved every step.

    MINIMIND_LITE_KILLS sets how many kills, 3 unless told.
    """
    whole = start(server, tmp_path, None, "whole")
    kills = int(os.environ.get("MINIMIND_LITE_KILLS", "3"))
    seed = time.time_ns() % 2**31
    print("seed of the moments:", seed)
    generator = torch.Generator().manual_seed(seed)
    run, halves = tmp_path / "run", 0
    for _ in range(kills):
        process = start(server, tmp_path, "run", "never")
        room = (STEPS - 10 - steps_saved(run)) // kills
        further = int(torch.randint(0, max(room, 1), (), generator=generator))
        wait_for(process, run, steps_saved(run) + further)
        time.sleep(0.02 * torch.rand((), generator=generator).item())
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        halves += run.is_dir() and any(path.suffix == ".unfinished" for path in run.glob("step-*"))
    print(f"{halves} of {kills} kills left a state half written")
    last = start(server, tmp_path, "run", "killed")
    for process in (whole, last):
        process.join(120)
        assert process.exitcode == 0
    expected, found = torch.load(tmp_path / "whole.pt"), torch.load(tmp_path / "killed.pt")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert names(run) == [f"step-{STEPS:08d}"]
    assert [entry["step"] for entry in resume_log(run, STEPS)] == list(range(1, STEPS + 1))


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(server, dataset, tmp_path, number):
    process = start(server, tmp_path, "run", "stopped", save_every=1)
    wait_for(process, tmp_path / "run", 3)
    os.kill(process.pid, number)
    process.join(60)
    step = steps_saved(tmp_path / "run")
    sentence = (tmp_path / "stopped.txt").read_text()
    assert sentence == (
        f"stopped after step {step} of {STEPS}; run the same command again to go on from {tmp_path / 'run'}."
    )
    assert names(tmp_path / "run") == [f"step-{step:08d}"]


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
    assert signal.getsignal(signal.SIGINT) is before


def limit_to_16_kib():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))


@linux
def test_a_disk_that_really_refuses_a_state(server, dataset, tmp_path):
    """No file may grow beyond 16 KiB: the first save fails in the middle, in safetensors' own code."""
    begun = start(server, tmp_path, "run", "begun", save_every=4)
    wait_for(begun, tmp_path / "run", 4)
    begun.kill()
    begun.join(60)
    before = steps_saved(tmp_path / "run")
    starved = start(server, tmp_path, "run", "starved", save_every=1, limit_files=limit_to_16_kib)
    starved.join(60)
    sentence = (tmp_path / "starved.txt").read_text()
    assert f"could not write {tmp_path / 'run'}/step-" in sentence and "untouched" in sentence
    assert steps_saved(tmp_path / "run") == before
