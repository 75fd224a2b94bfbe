"""The GPU's bench, run on the CPU at a size of seconds: what it counts must be what it says."""

from dataclasses import replace

import bench_gpu
import pytest
import torch

from minimind_lite import budget
from minimind_lite.model import ModelConfig
from minimind_lite.recipe import PRESETS
from minimind_lite.train import TrainConfig

TINY = ModelConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
TRAINING = TrainConfig(sequence_length=32, micro_batch_size=2, accumulation_steps=3)


@pytest.mark.parametrize("number_format", [torch.float32, torch.bfloat16])
def test_speed_and_arithmetic_belong_together(number_format):
    row = bench_gpu.measure(TINY, TRAINING, number_format, torch.device("cpu"), compile=False, steps=2)
    a_token = budget.training_flops(TINY, 32) / 32
    assert row["flops_per_second"] == pytest.approx(row["tokens_per_second"] * a_token) and row["tokens_per_second"] > 0
    assert row["memory_predicted"] == budget.step_memory(TINY, TRAINING, number_format)["peak"]


def test_the_largest_micro_batch_is_the_last_that_fits():
    base = PRESETS["base"]
    found = bench_gpu.largest(base.model, base.pretrain, 80e9)
    rows = found.micro_batch_size
    fits = [budget.step_memory(base.model, replace(found, micro_batch_size=n), torch.bfloat16)["peak"] < 72e9
            for n in (rows, 2 * rows)]  # fmt: skip
    assert fits == [True, False]


def test_without_a_gpu_it_says_so_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_gpu, "RESULTS", tmp_path / "gpu.json")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="nothing was measured"):
        bench_gpu.main()
    assert not (tmp_path / "gpu.json").exists()
