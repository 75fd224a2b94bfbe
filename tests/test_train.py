"""The gradient of a window, however it is split, on one process and on two; the schedule; the log."""

import json
import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import minimind_lite.train as train_module
from minimind_lite.data import IGNORE, TokenDataset, Windows
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.resume import resume_log, saved_states
from minimind_lite.show import LivePlot
from minimind_lite.train import (
    TrainConfig,
    accumulate_gradients,
    learning_rate,
    make_optimizers,
    train,
    training_step,
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


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=10).filter(any), st.data())
def test_any_split_gives_the_gradient_of_one_batch(counts, data):
    """Each row goes into any micro-batch, in any order; some micro-batches have no target at all."""
    model = tiny()
    input_ids, labels = samples(counts)
    loss, gradient = one_batch(model, input_ids, labels)
    places = data.draw(st.lists(st.integers(0, 4), min_size=len(counts), max_size=len(counts)))
    split = [[i for i, place in enumerate(places) if place == wanted] for wanted in range(5)]
    micro_batches = [(input_ids[rows], labels[rows]) for rows in split if rows]
    for position in data.draw(st.lists(st.integers(0, 5), max_size=3)):
        micro_batches.insert(position, samples([0]))
    assert abs(accumulate_gradients(model, micro_batches) - loss) < 1e-10
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


# The window that is not full. A table whose row i only the i-th micro-batch touches tells from its
# gradient who was there and with which weight; the planted loops differ in nothing but the bug.

LABEL, VOCABULARY = 1, 8


class Table(torch.nn.Module):
    """Logits of a token are its row of the table. All zero: each row's gradient is the weight times a constant."""

    def __init__(self, rows):
        super().__init__()
        self.layers = torch.nn.ModuleList()
        self.table = torch.nn.Parameter(torch.zeros(rows, VOCABULARY, dtype=torch.float64))

    def forward(self, input_ids):
        return self.table[input_ids]


class Recorder(torch.optim.SGD):
    """An optimizer that moves nothing and writes down the weight of every micro-batch in each step."""

    def __init__(self, model, events):
        super().__init__(model.parameters(), lr=0.0)
        self.events, self.parameter = events, model.table

    def step(self):
        seen = self.parameter.grad[:, 0] * VOCABULARY  # the gradient of a logit is 1/8 for the wrong labels
        self.events.append({i: round(w, 9) for i, w in enumerate(seen.tolist()) if w})


def mean_loss(model, input_ids, labels):
    return F.cross_entropy(model(input_ids).flatten(0, 1), labels.flatten())


def old_loop(name, divide=True, count_from=0, forget=False):
    """A loop that steps at every n-th micro-batch it counts, and leaves the rest of an epoch lying."""

    def loop(model, optimizer, batches, n, epochs, save):
        for _ in range(epochs):
            if forget:
                optimizer.zero_grad()
            for i, batch in enumerate(batches, start=count_from):
                (mean_loss(model, *batch) / (n if divide else 1)).backward()
                if (i + 1) % n == 0:
                    optimizer.step()
                    optimizer.zero_grad()
        save()

    loop.__name__ = name
    return loop


undivided = old_loop("undivided", divide=False)
leaking = old_loop("leaking")  # what is left over joins the next epoch's first window
dropping = old_loop("dropping", forget=True)  # or is thrown away
one_early = old_loop("one_early", count_from=1)  # counts from 1, yet asks as if from 0


def flushing(model, optimizer, batches, n, epochs, save):
    for _ in range(epochs):
        for i, batch in enumerate(batches, start=1):
            (mean_loss(model, *batch) / n).backward()
            if i % n == 0:
                optimizer.step()
                optimizer.zero_grad()
            if i == len(batches):
                save()
        if len(batches) % n:
            optimizer.step()
            optimizer.zero_grad()


def ours(model, optimizer, batches, n, epochs, save):
    config = TrainConfig(max_grad_norm=1e9)
    windows = [batches[i : i + n] for i in range(0, len(batches), n)] * epochs
    for step, window in enumerate(windows):
        training_step(model, [optimizer], window, step, config)
    save()


def check_windows(loop, k, n, epochs=2):
    """AssertionError unless every epoch is ceil(k / n) steps, of weight 1 each, and saved after the last."""
    events, model = [], Table(k)
    batches = [(torch.full((1, 3), i), torch.full((1, 3), LABEL)) for i in range(k)]
    loop(model, Recorder(model, events), batches, n, epochs, lambda: events.append("saved"))
    assert events and events[-1] == "saved", "the last step is not in the last checkpoint"
    steps = [event for event in events if event != "saved"]
    wanted = [range(i, min(i + n, k)) for _ in range(epochs) for i in range(0, k, n)]
    assert len(steps) == len(wanted), f"{len(steps)} steps instead of {len(wanted)}"
    for step, members in zip(steps, wanted):
        assert step == {i: round(1 / len(members), 9) for i in members}
    return steps


@pytest.mark.parametrize("k, n", [(10, 4), (3, 8), (8, 4), (1, 1), (7, 1), (9, 4), (4, 4)])
def test_every_window_of_ours_has_weight_one(k, n):
    check_windows(ours, k, n)


@pytest.mark.parametrize("k, n", [(10, 4), (3, 8)])
@pytest.mark.parametrize("planted", [undivided, leaking, dropping, one_early, flushing])
def test_planted_historical_loops_fail(planted, k, n):
    with pytest.raises(AssertionError):
        check_windows(planted, k, n)


@pytest.mark.parametrize(
    "planted, totals",
    [
        (undivided, [4, 4, 6, 4]), (leaking, [1, 1, 1.5, 1]), (dropping, [1, 1, 1, 1]),
        (one_early, [0.75, 1, 1.5, 1]), (flushing, [1, 1, 0.5, 1, 1, 0.5]), (ours, [1] * 6),
    ],
)  # fmt: skip
def test_the_historical_loops_are_what_the_book_says(planted, totals):
    events, model = [], Table(10)
    batches = [(torch.full((1, 3), i), torch.full((1, 3), LABEL)) for i in range(10)]
    planted(model, Recorder(model, events), batches, 4, 2, lambda: None)
    assert [sum(step.values()) for step in events] == pytest.approx(totals)


def test_three_micro_batches_and_windows_of_eight_never_stepped():
    for loop, count in ((leaking, 0), (dropping, 0), (flushing, 2), (ours, 2)):
        events, model = [], Table(3)
        batches = [(torch.full((1, 3), i), torch.full((1, 3), LABEL)) for i in range(3)]
        loop(model, Recorder(model, events), batches, 8, 2, lambda: None)
        assert len(events) == count, loop.__name__


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


@pytest.mark.parametrize("rows", [1, 4, 6, 12, 1000])  # rows a window; an epoch has fewer than 40
def test_windows_give_the_same_gradients_however_they_are_cut(dataset, rows):
    """Same rows a step, cut into any micro-batches for any number of processes: same gradients.

    The last window of an epoch is short (or the only one, and longer than the epoch).
    """
    model = tiny()

    def gradients(micro_batch_size, accumulation_steps, world_size):
        sources = [
            Windows(
                dataset, sequence_length=20, micro_batch_size=micro_batch_size,
                accumulation_steps=accumulation_steps, rank=rank, world_size=world_size,
            )
            for rank in range(world_size)
        ]  # fmt: skip
        for step in range(2 * len(sources[0]) + 1):
            yield accumulate_gradients(model, [b for source in sources for b in source[step]]), flat_gradient(model)

    reference = list(gradients(rows, 1, 1))
    cuts = [(m, a, w) for w in (1, 2, 3) for m in (1, 2, 4, rows) for a in range(1, rows + 1) if m * a * w == rows]
    assert cuts
    for cut in cuts:
        for (loss, gradient), (expected_loss, expected) in zip(gradients(*cut), reference, strict=True):
            assert abs(loss - expected_loss) < 1e-10, cut
            assert (gradient - expected).abs().max() < 1e-10, cut


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


def test_the_last_step_is_saved_whatever_save_every_says(dataset, tmp_path):
    config = replace(CONFIG, save_every=5)  # which does not divide the 12 steps
    train(tiny(dtype=torch.float32), windows_of(dataset, config), config, tmp_path / "run", description=None)
    assert [p.name for p in saved_states(tmp_path / "run")] == ["step-00000012"]


def test_a_resumed_run_draws_the_random_numbers_of_a_whole_one(dataset, tmp_path):
    """Our model draws none while it trains; a reader's, with dropout or noise, may."""

    def drawn(directory, on_step=None):
        log = train(tiny(dtype=torch.float32), windows_of(dataset), CONFIG, directory, description=None,
                    validate=lambda: {"bits_per_byte": torch.rand(1).item()}, validate_every=1, on_step=on_step)  # fmt: skip
        return [entry["bits_per_byte"] for entry in log]

    def cut(entry):
        if entry["step"] == 8:  # a state was saved in this step
            raise StopIteration

    torch.manual_seed(1)
    whole = drawn(tmp_path / "whole")
    torch.manual_seed(1)
    with pytest.raises(StopIteration):
        drawn(tmp_path / "cut", cut)
    torch.manual_seed(2)
    assert drawn(tmp_path / "cut") == whole


def test_the_log_is_about_the_whole_window(dataset, tmp_path):
    windows, config = windows_of(dataset), replace(CONFIG, total_steps=4, max_grad_norm=1.0)
    untrained = tiny(dtype=torch.float32)
    whole = accumulate_gradients(untrained, windows[0])
    norm = flat_gradient(untrained).norm().item()
    log = train(tiny(dtype=torch.float32), windows, config, description=None)
    assert log[0]["loss"] == whole != accumulate_gradients(untrained, windows[0][-1:])
    assert log[0]["grad_norm"] == pytest.approx(norm, rel=1e-5)
    assert log[0]["tokens"] == sum(int((labels != IGNORE).sum()) for _, labels, _ in windows[0])
    for i, entry in enumerate(log):
        assert entry["clipped"] == (entry["grad_norm"] > 1.0)
        assert entry["clip_rate"] == round(sum(e["clipped"] for e in log[: i + 1]) / (i + 1), 2)
        assert entry["tokens_per_second"] == round(entry["tokens"] / entry["seconds"])
    tight = train(tiny(dtype=torch.float32), windows, replace(config, max_grad_norm=1e-3), description=None)
    assert tight[-1]["clip_rate"] == 1.0


def test_the_gradient_is_clipped_once_and_keeps_its_direction(dataset):
    model, window = tiny(), windows_of(dataset)[0]
    accumulate_gradients(model, window)
    direction = flat_gradient(model) / flat_gradient(model).norm()
    training_step(model, [], window, 0, replace(CONFIG, max_grad_norm=0.01))
    assert flat_gradient(model).norm() == pytest.approx(0.01, rel=1e-4)
    assert (flat_gradient(model) / flat_gradient(model).norm() - direction).abs().max() < 1e-10


def test_a_live_plot_is_a_picture_of_the_log(dataset):
    plot = LivePlot(CONFIG.total_steps)
    assert repr(plot) == plot._repr_html_() == "no step yet"
    log = train(tiny(dtype=torch.float32), windows_of(dataset), CONFIG, description=None, on_step=plot)
    assert plot.log == log and f"loss {log[-1]['loss']:.3f}" in repr(plot)
    picture = ElementTree.fromstring(plot._repr_html_())
    lines = [line.get("points").split() for line in picture.iter("polyline")]
    assert [len(line) for line in lines] == [12, 12]
    assert len(list(picture.iter("circle"))) == sum(entry["clipped"] for entry in log)


TWO = """
import json, sys, torch, torch.distributed as dist
from dataclasses import replace
from torch.nn.parallel import DistributedDataParallel
sys.path.insert(0, sys.argv[1])
from test_train import CONFIG, COUNTS, flat_gradient, one_batch, samples, tiny, weights
from minimind_lite.data import TokenDataset, Windows
from minimind_lite.train import accumulate_gradients, train
folder = sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
dataset = TokenDataset(folder + "/tokens")

# the gradient of any split over two processes, some of them with nothing to learn
input_ids, labels = samples(COUNTS)
model = tiny()
loss, expected = one_batch(model, input_ids, labels)
ddp = DistributedDataParallel(model)
calls = []
ddp.register_comm_hook(None, lambda state, bucket: calls.append(1) or dist.all_reduce(
    bucket.buffer().div_(2), async_op=True).get_future().then(lambda f: f.value()[0]))
generator = torch.Generator().manual_seed(0)
worst, buckets = 0.0, set()
for trial in range(20):
    owner = torch.randint(2, (len(COUNTS),), generator=generator)
    owner[trial % 10], owner[(trial + 1) % 10] = 0, 1
    mine = (owner == rank).nonzero().flatten()
    size = 1 + (trial + rank) % 4  # the two ranks cut differently, too
    micro_batches = [(input_ids[rows], labels[rows]) for rows in mine.split(size)]
    wanted_loss, wanted = loss, expected
    if trial % 5 == 0:  # rank 1 has nothing to learn
        wanted_loss, wanted = one_batch(tiny(), input_ids[owner == 0], labels[owner == 0])
        if rank == 1:
            micro_batches = [(ids, torch.full_like(each, -100)) for ids, each in micro_batches]
    before = len(calls)
    found = accumulate_gradients(ddp, micro_batches)
    buckets.add(len(calls) - before)
    worst = max(worst, abs(found - wanted_loss), (flat_gradient(model) - wanted).abs().max().item())
report = {"worst": worst, "synchronizations": sorted(buckets)}

# whole runs: from the start, from a state that one process saved, and a state for one to go on from
def run(steps, directory, config):
    windows = Windows(dataset, sequence_length=20, micro_batch_size=config.micro_batch_size,
                      accumulation_steps=config.accumulation_steps, rank=rank, world_size=2)
    bare = tiny()
    class Enough(Exception): pass
    def stop(entry):
        if entry["step"] == steps: raise Enough
    try:
        train(DistributedDataParallel(bare), windows, config, directory, description=None, on_step=stop)
    except Enough:
        pass
    return weights(bare)
halved = replace(CONFIG, accumulation_steps=1)
torch.save(run(None, None, halved), f"{folder}/two-{rank}.pt")
torch.save(run(None, folder + "/begun-by-one", halved), f"{folder}/one-two-{rank}.pt")
run(8, folder + "/begun-by-two", halved)
try:
    run(None, folder + "/begun-by-one", CONFIG)
except ValueError as error:
    report["refused"] = str(error)
json.dump(report, open(f"{folder}/report-{rank}.json", "w"))
dist.destroy_process_group()
"""


def test_two_real_processes_end_with_the_weights_of_one(dataset, tmp_path):
    """Gradients of any split, whole runs, and runs resumed with another number of processes (gloo)."""
    whole = tiny()
    train(whole, windows_of(dataset), CONFIG, description=None)

    class Enough(Exception):
        pass

    def stop(entry):
        if entry["step"] == 8:
            raise Enough

    with pytest.raises(Enough):
        train(tiny(), windows_of(dataset), CONFIG, tmp_path / "begun-by-one", description=None, on_step=stop)
    script = tmp_path / "two.py"
    script.write_text(TWO, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
               str(script), os.path.dirname(__file__), str(tmp_path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in (0, 1):
        report = json.loads((tmp_path / f"report-{rank}.json").read_text())
        assert report["worst"] < 1e-10
        assert report["synchronizations"] == [1], "the processes talk once a window, whatever it holds"
        assert "windows of 4 rows" in report["refused"] and "this run's have 8 (2 x 2 x 2)" in report["refused"]
    for name in ("two-0", "two-1", "one-two-0", "one-two-1"):
        assert (torch.load(tmp_path / f"{name}.pt") - weights(whole)).abs().max() < 1e-10, name
    resumed = tiny(seed=9)
    train(resumed, windows_of(dataset), CONFIG, tmp_path / "begun-by-two", description=None)
    assert (weights(resumed) - weights(whole)).abs().max() < 1e-10


@pytest.mark.parametrize("cost, chosen", [(0.8, torch.bfloat16), (0.95, torch.float32), (2.0, torch.float32)])
def test_bfloat16_is_chosen_if_it_is_a_tenth_faster(monkeypatch, cost, chosen):
    """By a clock that only the two formats move; the first pass of each is slow and does not count."""
    clock, passes = [0.0], {torch.float32: 0, torch.bfloat16: 0}

    def loss(model, micro_batch, device, number_format):
        passes[number_format] += 1
        clock[0] += (cost if number_format == torch.bfloat16 else 1.0) * (50 if passes[number_format] == 1 else 1)
        return torch.zeros((), requires_grad=True)

    monkeypatch.setattr(train_module, "summed_cross_entropy", loss)
    monkeypatch.setattr(train_module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    cpu = torch.device("cpu")
    assert train_module.choose_number_format(TrainConfig(), torch.nn.Linear(1, 1), None, cpu) == chosen
    assert train_module.choose_number_format(TrainConfig(number_format="bfloat16"), None, None, cpu) == torch.bfloat16
