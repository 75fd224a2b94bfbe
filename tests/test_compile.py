"""Training at its fastest: compiled, with FlexAttention, losses in parts, nobody waiting for a GPU."""

import shutil
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from minimind_lite import model as model_file
from minimind_lite import train as train_module
from minimind_lite.data import IGNORE, collate, widened
from minimind_lite.model import ModelConfig, Transformer, attend, attention_mask, block_mask
from minimind_lite.train import TrainConfig, accumulate_gradients, make_optimizers, train, training_step

SHAPE = ModelConfig(
    vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
)
CONFIG = TrainConfig(total_steps=6, warmup_steps=1, max_lr=1e-2, sequence_length=24, number_format="float32")


def new_model(layers: int = 2) -> Transformer:
    torch.manual_seed(0)
    return Transformer(replace(SHAPE, num_hidden_layers=layers))


def packed(seed: int, rows: int = 3) -> tuple:
    """Rows of two documents, the last tokens of some not asked about; widths differ by seed."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for row in range(rows):
        sizes = torch.randint(4, 12, (2,), generator=generator).tolist()
        ids = [torch.randint(61, (size,), generator=generator).tolist() for size in sizes]
        samples.append([(some, [False] + [True] * (len(some) - 2) + [bool(row)]) for some in ids])
    return collate(samples)


WINDOWS = [[packed(2 * step), packed(2 * step + 1)] for step in range(CONFIG.total_steps)]


def flat(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler: apt install g++")
def test_a_compiled_run_learns_what_an_eager_one_does(monkeypatch):
    frames = []
    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: compiler(model, backend=counted(frames)))
    eager, compiled = new_model(layers=1), new_model(layers=1)
    log = train(eager, WINDOWS, CONFIG, description=None)
    widths, summed = set(), train_module.summed_cross_entropy
    monkeypatch.setattr(
        train_module, "summed_cross_entropy", lambda model, micro_batch, *rest:
        widths.add(micro_batch[0].shape[1]) or summed(model, micro_batch, *rest),
    )  # fmt: skip
    fast = train(compiled, WINDOWS, replace(CONFIG, compile=True), description=None)
    assert widths == {CONFIG.sequence_length}
    for slow_entry, entry in zip(log, fast, strict=True):
        assert entry["loss"] == pytest.approx(slow_entry["loss"], rel=1e-5)
        assert entry["tokens"] == slow_entry["tokens"]
    assert (flat(eager) - flat(compiled)).norm() < 1e-4 * flat(eager).norm()
    # one width for all windows: compiled for the first, and once more for any number of targets
    assert 1 <= len(frames) <= 2
    assert list(compiled.state_dict()) == list(eager.state_dict())


def counted(frames: list):
    """The usual compiler, which notes every graph that it is given."""
    from torch._inductor.compile_fx import compile_fx

    def backend(graph, inputs):
        frames.append(graph)
        return compile_fx(graph, inputs)

    return backend


def test_without_a_compiler_it_says_so_before_anything_is_done(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match="compile needs the C\\+\\+ compiler"):
        train(new_model(), WINDOWS, replace(CONFIG, compile=True), description=None)


def test_widened_changes_neither_loss_nor_gradient():
    model, (narrow, *_) = new_model().double(), WINDOWS[0]
    loss = accumulate_gradients(model, [narrow])
    gradients = [p.grad.clone() for p in model.parameters()]
    wide = widened(narrow, 40)
    assert [t.shape[1] for t in wide] == [40] * 3 and (wide[1] != IGNORE).sum() == (narrow[1] != IGNORE).sum()
    assert accumulate_gradients(model, [wide]) == pytest.approx(loss, abs=1e-12)
    for parameter, before in zip(model.parameters(), gradients):
        assert (parameter.grad - before).abs().max() < 1e-12
    alone = collate([[([1, 2, 3], [False, True, True])]])
    assert widened(alone, 8)[2] is None


@torch.no_grad()  # FlexAttention learns on GPUs only
def test_flex_attention_looks_where_the_mask_says(monkeypatch):
    input_ids, _, segment_ids = packed(5)
    queries, keys = torch.randn(3, 4, 24, 8), torch.randn(3, 2, 24, 8)
    segments = torch.nn.functional.pad(segment_ids, (0, 24 - segment_ids.shape[1]), value=-1)
    dense = attend(queries, keys, keys, attention_mask(segments, segments, 24, 24, "cpu"), False)
    blocks = attend(queries, keys, keys, block_mask(segments), False)
    assert (dense - blocks).abs().max() < 1e-5
    model = new_model()
    logits = model(input_ids, segment_ids=segment_ids)
    monkeypatch.setattr(model_file, "blocks_are_faster", lambda device: True)
    assert (model(input_ids, segment_ids=segment_ids) - logits).abs().max() < 1e-5


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler: apt install g++")
@torch.no_grad()
def test_a_compiled_model_makes_its_blocks_itself(monkeypatch):
    """And outside of the compiled model, in validation, the dense mask is used."""
    made = []
    blocks = model_file.block_mask
    monkeypatch.setattr(model_file, "block_mask", lambda segments: made.append(1) or blocks(segments))
    monkeypatch.setattr(model_file, "blocks_are_faster", lambda device: torch.compiler.is_compiling())
    model, (input_ids, _, segment_ids) = new_model(layers=1), packed(5)
    logits = model(input_ids, segment_ids=segment_ids)
    assert made == []
    fast = torch.compile(model)(input_ids, segment_ids=segment_ids)
    assert made and (fast - logits).abs().max() < 1e-5


def test_many_targets_are_taken_in_parts(monkeypatch):
    """With parts of five targets: the same loss and gradient, never more than five rows of logits."""
    model, window = new_model().double(), WINDOWS[0]
    loss = accumulate_gradients(model, window)
    gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
    monkeypatch.setattr(model_file, "TARGETS_AT_ONCE", 5)
    sizes = []
    model.lm_head.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    assert accumulate_gradients(model, window) == pytest.approx(loss, rel=1e-12)
    assert (torch.cat([p.grad.flatten() for p in model.parameters()]) - gradient).abs().max() < 1e-12
    targets = sum(int((labels != IGNORE).sum()) for _, labels, _ in window)
    assert max(sizes) == 5 and sum(sizes) == 2 * targets  # forward, and again in backward


def test_the_loss_of_short_logits_is_summed_in_float32():
    logits, labels = torch.randn(4096, 61).bfloat16(), torch.randint(61, (4096,))
    exact = torch.nn.functional.cross_entropy(logits.double(), labels, reduction="sum")
    assert model_file.summed_loss(logits, labels).item() == pytest.approx(exact.item(), rel=1e-6)


def test_logits_are_made_only_where_something_is_asked():
    model, (window, *_) = new_model(), WINDOWS
    shapes = []
    model.lm_head.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape[:-1].numel()))
    accumulate_gradients(model, window)
    asked = [int((labels != IGNORE).sum()) for _, labels, _ in window]
    assert shapes == asked and sum(asked) < sum(labels.numel() for _, labels, _ in window)


class Readings(TorchDispatchMode):
    """Notes every time that a number of the computation is asked for: there a GPU would be waited for."""

    def __init__(self):
        super().__init__()
        self.read = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        if function is torch.ops.aten._local_scalar_dense.default and arguments[0].is_floating_point():
            self.read.append(arguments[0])
        return function(*arguments, **(keywords or {}))


def test_a_step_reads_numbers_once(monkeypatch):
    model, window = new_model(), WINDOWS[0]
    optimizers = make_optimizers(model, CONFIG)
    lists = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: lists.append(self) or tolist(self))
    with Readings() as readings:
        training_step(model, optimizers, window, 0, CONFIG)
    assert readings.read == [] and len(lists) == 1
    with Readings() as readings:  # what it would say of a loss read for every micro-batch
        for micro_batch in window:
            train_module.summed_cross_entropy(model, micro_batch, torch.device("cpu")).item()
    assert len(readings.read) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this needs a CUDA device")
def test_a_step_on_a_gpu_waits_once():
    model = new_model().cuda()
    optimizers = make_optimizers(model, CONFIG)
    training_step(model, optimizers, WINDOWS[0], 0, CONFIG)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchronizing CUDA operation") as warnings:
            training_step(model, optimizers, WINDOWS[0], 1, CONFIG)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(warnings) == 1
