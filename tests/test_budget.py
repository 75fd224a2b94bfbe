"""What a run costs, predicted from shapes and compared with what PyTorch counts and allocates."""

import doctest
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from minimind_lite import budget
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.recipe import PRESETS
from minimind_lite.train import TrainConfig, make_optimizers, training_step
from process_memory import STATUS, held

# No two sizes are equal, so that a wrong one cannot hide behind another.
ODD = ModelConfig(vocab_size=1000, hidden_size=96, intermediate_size=288, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=2, head_dim=40)  # fmt: skip
TRAINING = TrainConfig(sequence_length=128, micro_batch_size=4)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_worked_examples():
    assert doctest.testmod(budget).failed == 0


@pytest.mark.parametrize("config", [ODD, replace(ODD, tie_word_embeddings=False), PRESETS["lite"].model])
def test_parameters(config):
    assert sum(budget.parameter_counts(config).values()) == sum(p.numel() for p in Transformer(config).parameters())


def test_the_arithmetic_of_forward_and_backward():
    model, length = Transformer(ODD), 64
    ids = torch.zeros(1, length, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        forward = model(ids)
        seen = counter.get_total_flops()
        forward.sum().backward()
    assert 3 * seen == budget.training_flops(ODD, length)
    # the first layer's input is an embedding, which needs a gradient too: nothing is saved there
    assert counter.get_total_flops() == budget.training_flops(ODD, length)


def window_of(config, training, walls):
    torch.manual_seed(0)
    rows, length = training.micro_batch_size, training.sequence_length
    ids = torch.randint(config.vocab_size, (rows, length + 1))
    segments = (torch.arange(length) >= length // 2).long().expand(rows, length).contiguous() if walls else None
    return [(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), segments)] * training.accumulation_steps


def measured_peak(config, training, number_format, walls) -> int:
    """The most bytes that a training step holds, from every allocation that the profiler saw."""
    model = Transformer(config)
    optimizers = make_optimizers(model, training)
    window = window_of(config, training, walls)
    training_step(model, optimizers, window, 0, training, number_format)  # now the optimizer has its memory
    model.zero_grad(set_to_none=True)
    standing = sum(t.nbytes for t in (*model.parameters(), model.cos, model.sin))
    standing += sum(t.nbytes for o in optimizers for state in o.state.values() for t in state.values())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        training_step(model, optimizers, window, 1, training, number_format)
    events = run.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = most = standing
    for _, change in changes:
        held += change
        most = max(most, held)
    assert most > standing
    return most


CASES = [
    (ODD, TRAINING, torch.float32, True),
    (ODD, TRAINING, torch.float32, False),
    (ODD, replace(TRAINING, accumulation_steps=2), torch.float32, True),
    (ODD, replace(TRAINING, optimizer="muon"), torch.bfloat16, True),
    (ODD, replace(TRAINING, micro_batch_size=1, sequence_length=16), torch.float32, False),  # the optimizer's step is the peak
    (PRESETS["lite"].model, PRESETS["lite"].pretrain, torch.float32, True),
    (PRESETS["lite"].model, PRESETS["lite"].pretrain, torch.bfloat16, True),
]  # fmt: skip


@pytest.mark.parametrize("config, training, number_format, walls", CASES)
def test_memory_is_predicted_within_15_percent(config, training, number_format, walls):
    predicted = budget.step_memory(config, training, number_format, walls)["peak"]
    measured = measured_peak(config, training, number_format, walls)
    print(f"predicted {predicted / 1e6:.1f} MB, measured {measured / 1e6:.1f} MB")
    assert abs(predicted / measured - 1) < 0.15


def test_the_peak_is_not_predicted_by_weights_alone():
    """The check above can fail: leave out the loss, or what bfloat16 saves, and it would."""
    memory = budget.step_memory(PRESETS["lite"].model, PRESETS["lite"].pretrain)
    assert memory["loss"] > 0.15 * memory["peak"] and memory["activations"] > 0.5 * memory["peak"]
    shorter = budget.step_memory(PRESETS["lite"].model, PRESETS["lite"].pretrain, torch.bfloat16)
    assert shorter["activations"] < 0.8 * memory["activations"]


def test_a_forecast_measures_and_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    device = torch.device("cpu")
    seen = budget.forecast(ODD, replace(TRAINING, total_steps=100), device)
    twice = budget.forecast(ODD, replace(TRAINING, total_steps=100, accumulation_steps=2), device, processes=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert seen.tokens_a_step == 4 * 128 and twice.tokens_a_step == 4 * seen.tokens_a_step
    assert seen.flops == 100 * 4 * budget.training_flops(ODD, 128) and twice.flops == 4 * seen.flops
    assert seen.seconds == pytest.approx(seen.flops / seen.flops_per_second)
    assert twice.seconds == pytest.approx(twice.flops / twice.flops_per_second / 2)
    assert 0 < seen.flops_per_second < 1e13
    text = str(seen)
    assert f"{seen.parameters:,}" in text and "100" in text and "Nothing was started." in text


def bytes_that_ddp_adds(config: ModelConfig, store: Path) -> int:
    """The memory that DistributedDataParallel takes for itself. Has to have a process of its own: a
    used one may have the memory in stock, and ask the system for none."""
    ids = torch.zeros(1, 8, dtype=torch.long)
    dist.init_process_group("gloo", store=dist.FileStore(str(store), 1), rank=0, world_size=1)
    DistributedDataParallel(torch.nn.Linear(1, 1))(torch.ones(1, 1)).sum().backward()  # loads what it needs
    model = Transformer(config)
    model(ids).sum().backward()
    before = held()  # with gradients
    model.zero_grad(set_to_none=True)
    model = DistributedDataParallel(model)
    model(ids).sum().backward()
    added = held() - before
    dist.destroy_process_group()
    return added


@pytest.mark.skipif(not STATUS.is_file(), reason="reads Linux's count of a process's memory")
def test_ddp_keeps_as_many_bytes_to_send_as_there_are_gradients(tmp_path):
    wide = replace(ODD, hidden_size=1024, intermediate_size=4096, num_hidden_layers=1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        to_send = pool.apply(bytes_that_ddp_adds, (wide, tmp_path / "store"))
    two = budget.step_memory(wide, TRAINING, processes=2)
    assert two["to send"] == pytest.approx(to_send, rel=0.15)
    assert two["peak"] == budget.step_memory(wide, TRAINING)["peak"] + two["to send"]
