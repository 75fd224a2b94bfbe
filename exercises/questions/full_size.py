"""What the checks of notebook 09 ask a student's function, and the reasons that they give."""

import tempfile
import time
from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from exercises.checks import expect, run, same, show, show_call
from minimind_lite.checkpoint import save_pretrained
from minimind_lite.model import ModelConfig, Transformer, rotary_angles, rotate
from minimind_lite.tokenizer import Tokenizer
from minimind_lite.train import TrainConfig, accumulate_gradients, make_optimizers


class Shape(ModelConfig):
    """A model's shape that prints as its most telling numbers."""

    def __repr__(self):
        return (
            f"shape(vocab {self.vocab_size}, hidden {self.hidden_size}, layers"
            f" {self.num_hidden_layers}, heads"
            f" {self.num_attention_heads}/{self.num_key_value_heads} of {self.head_dim},"
            f" intermediate {self.intermediate_size},"
            f" {'tied' if self.tie_word_embeddings else 'untied'})"
        )


def shape(
    vocab=20, hidden=24, layers=1, heads=2, kv_heads=2, head_dim=8, intermediate=32, tied=True
) -> Shape:
    return Shape(
        vocab, hidden, intermediate, layers, heads, kv_heads, head_dim, tie_word_embeddings=tied
    )


def collision(first_collision, number_format: torch.dtype, wanted: int) -> None:
    last = wanted - 1
    mistakes = [
        (
            last,
            f"{last} still exists, beside {last - 1}. It is the next one that is rounded to it.",
        ),
        (
            last // 2 + 1,
            (
                "From 1 to 2 the distance is eps, from 2 to 4 it is twice that, and so on. Up to"
                " where is it at most 1? (A digit is not written down: the leading one.)"
            ),
        ),
        (
            last // 2,
            (
                "From 1 to 2 the distance is eps, from 2 to 4 it is twice that, and so on. Up to"
                " where is it at most 1?"
            ),
        ),
        (2 * last + 1, "That is one doubling too far."),
        (
            wanted + 1,
            (
                f"{wanted} is lost already: it lies half-way, and is rounded to the even neighbour"
                f" {last}."
            ),
        ),
        (257, "That is bfloat16's answer."),
    ]
    name = str(number_format).removeprefix("torch.")
    here = [
        int(torch.tensor(n, dtype=torch.float64).to(number_format).double())
        for n in (last - 1, last, wanted)
    ]
    got = run(first_collision, number_format)
    same(
        got,
        wanted,
        show_call(first_collision, number_format),
        f"In {name} {last - 1}, {last}, {wanted} become {here}.",
        mistakes,
        0,
    )


def scores_five_apart(number_format: torch.dtype, length: int) -> list[float]:
    """The score of a query and a key that stand five apart, at every position."""
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 32, generator=generator)
    cos, sin = rotary_angles(32, length + 1, 1e4)
    at = torch.arange(length).to(number_format).long()  # the positions that this format can say
    queries = rotate(query.expand(1, 1, length, 32), cos[at], sin[at])
    keys = rotate(key.expand(1, 1, length, 32), cos[at], sin[at])
    return (queries[0, 0, 5:] * keys[0, 0, :-5]).sum(-1).tolist()


def draw_scores(scores: dict[torch.dtype, list[float]], length: int, first: int) -> None:
    """The scores of two formats against the position, and the first collision."""
    import matplotlib.pyplot as plt  # here and below, since no check draws

    figure, axis = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
    for (number_format, values), style in zip(scores.items(), ("-", "--")):
        label = str(number_format).removeprefix("torch.")
        axis.plot(range(5, length), values, style, label=label)
    axis.axvline(first, color="C2", linestyle=":", label=f"your {first}")
    axis.set(xlabel="position of the query", ylabel="score, key five before")
    axis.legend()
    plt.show()


class OnlyShort(TorchFunctionMode):
    """Stops a calculation that leaves the short format."""

    def __init__(self, number_format: torch.dtype):
        super().__init__()
        self.number_format = number_format

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, result = getattr(function, "__name__", ""), function(*args, **(kwargs or {}))
        expect(
            name not in ("sum", "cumsum", "mean", "nansum", "matmul", "dot"),
            f"torch's {name} adds in float32 inside and rounds at the end. Use + and - on single"
            " numbers.",
        )
        expect(
            name not in ("item", "tolist", "numpy", "__float__", "__array__"),
            "A number has left its format: .item(), .tolist() and float() make Python numbers of 53"
            " binary digits.",
        )
        made = result.dtype if isinstance(result, Tensor) else self.number_format
        expect(
            made == self.number_format or not made.is_floating_point,
            f"A tensor of {made} was made; only {self.number_format} is allowed.".replace(
                "torch.", ""
            ),
        )
        return result


def kahan(kahan_sum, values: list[float], number_format: torch.dtype, told: str) -> None:
    terms, true = torch.tensor(values, dtype=torch.float64).to(number_format), float(sum(values))
    call = f"kahan_sum of {told}, in {str(number_format).removeprefix('torch.')}"

    @wraps(kahan_sum)
    def watched(terms):
        with OnlyShort(number_format):
            return kahan_sum(terms)

    got = run(watched, terms)
    expect(
        isinstance(got, Tensor) and got.numel() == 1,
        f"{call} gave {show(got)}; it should be a tensor with one number.",
    )
    found = got.double().item()
    running = torch.zeros((), dtype=number_format)
    for term in terms:
        running = running + term
    off = abs(found - true) / max(abs(true), 1)
    if off > torch.finfo(number_format).eps:
        same(
            found,
            true,
            call,
            "What was rounded away has to come back with the next term; look at the sign of the"
            " carry, and at what `term` is when you compute it.",
            [
                (
                    running.double().item(),
                    (
                        f"It stalls at {running.item():g}, as the plain running sum does, where a"
                        " term is less than half of the distance to the next number. If there is a"
                        " carry: what do you add, what is missing then, and with which sign?"
                    ),
                ),
                (0.0, "Nothing was added."),
            ],
        )


def draw_sums(counts: Tensor, stalled: list[float], marks: range, yours: list[float]) -> None:
    """Three running sums of counts: the true one, a plain one, and the student's at some places."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
    axis.plot(counts.cumsum(0), label="the truth")
    axis.plot(stalled, "--", label="bfloat16, running")
    axis.plot(marks, yours, "o", label="bfloat16, yours")
    axis.set(xlabel="micro-batch", ylabel="tokens so far")
    axis.legend()
    plt.show()


LARGE = {
    "as large as Llama 7B": ModelConfig(
        vocab_size=32_000,
        hidden_size=4096,
        intermediate_size=11_008,
        num_hidden_layers=32,
        num_attention_heads=32,
        tie_word_embeddings=False,
    )
}


def memory(standing_bytes, config: Shape) -> None:
    model = Transformer(config)  # built here, to count what is really there
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    total, call = sum(sizes.values()), show_call(standing_bytes, config)

    def of(*parts: str) -> int:
        return sum(size for name, size in sizes.items() if any(part in name for part in parts))

    table, queries, keys = of("embed_tokens"), of("q_proj"), of("k_proj")
    layers = of("layers.")
    mistakes = [
        (4 * total, "These are the weights alone; gradients and AdamW's two numbers are missing."),
        (total, "These are numbers, not bytes, and the weights alone."),
        (
            4 * total * 3,
            (
                "Weights and two more are 12 bytes a parameter: weight, gradient, *two* of AdamW's"
                " make 16."
            ),
        ),
        (2 * 4 * total, "Everything is in float32: four bytes a number, not two."),
        (16 * (total + table), "Tied means that the head is the embedding: it is there once."),
        (16 * (total - table), "Untied means that the head is a matrix of its own."),
        (16 * (total - of("norm")), "The norms are missing."),
        (
            16 * (total - of("q_norm", "k_norm")),
            "Queries and keys have norms, too: two of head_dim in each layer.",
        ),
        (16 * (total - sizes["norm.weight"]), "The last norm, after all layers, is missing."),
        (
            16 * (total + 2 * (queries - keys)),
            (
                "Keys and values have only num_key_value_heads heads: they are narrower than the"
                " queries."
            ),
        ),
        (16 * (total - of("gate_proj")), "The feed-forward part has three matrices, not two."),
        (
            16 * (total - layers + layers // config.num_hidden_layers),
            f"There are {config.num_hidden_layers} layers, and you counted one.",
        ),
    ]
    mistakes = [(value, reason) for value, reason in mistakes if value != 16 * total]
    got = run(standing_bytes, config)
    parts = {name.split(".")[-2]: size for name, size in sizes.items()}
    same(
        got,
        16 * total,
        call,
        f"The model was built, and its first layer and tables have {parts} numbers.",
        mistakes,
        0,
    )


@torch.no_grad()
def seconds_forward(model: Transformer, rows: int, length: int) -> float:
    """How long a forward pass takes, the second time."""
    ids = torch.randint(model.config.vocab_size, (rows, length))
    model(ids)
    began = time.perf_counter()
    model(ids)
    return time.perf_counter() - began


def flops(forward_flops, config: Shape, length: int) -> None:
    model, call = Transformer(config), show_call(forward_flops, config, length)
    matrices = {
        name: p.numel()
        for name, p in model.named_parameters()
        if p.dim() == 2 and "embed" not in name
    }
    head = config.vocab_size * config.hidden_size
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, length, dtype=torch.long))
    layers = {name: size for name, size in matrices.items() if name.startswith("layers")}
    in_layers = 2 * length * sum(layers.values())
    attention = (
        4 * config.num_hidden_layers * length**2 * config.num_attention_heads * config.head_dim
    )
    # on some machines PyTorch's counter does not know its attention kernel; then it counts the matrices alone
    counted = counter.get_total_flops()
    wanted = counted if counted > in_layers + 2 * length * head else counted + attention
    wide = sum(size for name, size in layers.items() if "q_proj" in name) - sum(
        s for n, s in layers.items() if "k_proj" in n
    )
    mistakes = [
        (wanted // 2, "Each weight is multiplied *and* added: two operations."),
        (
            wanted - 2 * length * head,
            "The output head is missing: tied or not, it is multiplied with every token.",
        ),
        (wanted + 2 * length * head, "The embedding is a table; looking up computes nothing."),
        (
            wanted - attention,
            (
                "Attention itself is missing: every query with every key, and the mixing of the"
                " values."
            ),
        ),
        (
            wanted - attention // 2,
            (
                "Half of attention is missing: scores *and* the mixing of the values, each"
                " multiplied and added."
            ),
        ),
        (
            wanted - attention + attention // length,
            "Attention counts pairs of positions: length times length.",
        ),
        (3 * wanted, "That is forward and backward; here only forward is asked for."),
        (wanted // length, "That is for one token; a row has several."),
        (wanted + 2 * length * 2 * wide, "Keys and values have only num_key_value_heads heads."),
        (
            wanted
            - in_layers
            + in_layers // config.num_hidden_layers
            - attention
            + attention // config.num_hidden_layers,
            f"There are {config.num_hidden_layers} layers, and you counted one.",
        ),
    ]
    mistakes = [(value, reason) for value, reason in mistakes if value != wanted]
    same(
        run(forward_flops, config, length),
        wanted,
        call,
        "PyTorch's counter, on a model of this shape, says otherwise.",
        mistakes,
        0,
    )


def moments(optimizer) -> dict[str, Tensor]:
    return {
        f"{name} {i}": value.clone()
        for i, state in enumerate(optimizer.state.values())
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def resume(
    save_state, restore_state, advance, begin, first: int, second: int, times: int = 1
) -> None:
    told = f"Saved after {first} steps, restored into a new model: "
    model, optimizer = begin()
    advance(model, optimizer, 0, first)
    weight, was, random = model.weight.detach().clone(), moments(optimizer), torch.get_rng_state()
    saved = run(save_state, model, optimizer, first)
    expect(isinstance(saved, dict), f"save_state gave {show(saved)}; it should be a dict.")
    expect(
        torch.equal(torch.get_rng_state(), random),
        "save_state has drawn a random number: saving must change nothing.",
    )
    advance(model, optimizer, first, first + second)
    uninterrupted = model.weight.detach().clone()
    for attempt in range(times):
        told = told if attempt == 0 else f"Saved after {first} steps, restored a second time: "
        again, fresh = begin(seed=7)
        advance(again, fresh, 0, 1)  # it has a past of its own
        try:
            step = restore_state(saved, again, fresh)
        except NotImplementedError:
            run(restore_state, saved, again, fresh)
        except Exception as error:
            expect(False, f"{told}restore_state failed with {type(error).__name__}: {error}.")
        found = again.weight.detach()
        alias = torch.equal(found, uninterrupted)
        expect(
            not alias,
            f"{told}the weights are those of step {first + second}: what you saved are not copies,"
            " but the tensors that the training goes on to change.",
        )
        expect(
            attempt == 0 or torch.equal(found, weight),
            f"{told}the weights have changed since: the first restored run went on to "
            "train in the saved tensors. Restore from a copy.",
        )
        expect(
            torch.equal(found, weight),
            f"{told}the weights differ from those that were saved by up to "
            f"{(found - weight).abs().max().item():.1e}. Were they saved in a shorter format?",
        )
        now = moments(fresh)
        missing = [name for name in was if name not in now or not torch.equal(now[name], was[name])]
        if missing and attempt:
            expect(
                False,
                f"{told}the optimizer's {missing[0]} has changed since: the first restored run went"
                " on to train in the saved tensors. Restore from a copy.",
            )
        expect(
            not missing,
            f"{told}the weights are right, but the optimizer's {missing[:1]} is not what it was."
            " AdamW remembers its moments and its own step; without them the loss jumps after each"
            " interruption.",
        )
        same(
            step,
            first,
            "restore_state(saved, model, optimizer)",
            f"{told}the step should come back: the learning rate and the data hang on it.",
        )
        expect(
            torch.equal(torch.get_rng_state(), random),
            f"{told}model and optimizer are right, but the random state is another: the "
            "resumed run sees other data.",
        )
        advance(again, fresh, step, first + second)
        expect(
            torch.equal(again.weight, uninterrupted),
            f"{told}after {second} more steps the weights are not those of the run that was not"
            " interrupted.",
        )


def losses_of_80_steps(
    save: Callable | None = None, restore: Callable | None = None
) -> list[float]:
    """The losses of a small model; if there is a `save`, it is interrupted at step 40 of 80."""
    torch.manual_seed(0)
    small = ModelConfig(vocab_size=31, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    config = TrainConfig(optimizer="adamw", weight_decay=0.0)
    model, found = Transformer(small), []
    (optimizer,) = make_optimizers(model, config)
    for step in range(80):
        if step == 40 and save:
            saved = save(model, optimizer, step)
            model = Transformer(small)  # a new process: nothing is left but what was saved
            (optimizer,) = make_optimizers(model, config)
            restore(saved, model, optimizer)
        ids = torch.randint(31, (4, 1)) + torch.arange(17) * torch.randint(1, 3, (4, 1))
        ids = ids % 31
        found.append(accumulate_gradients(model, [(ids[:, :-1], ids[:, 1:].contiguous())]))
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = 1e-2
        optimizer.step()
    return found


def draw_losses(colleagues: list[float], whole: list[float], yours: list[float]) -> None:
    """The losses of three trainings, the first and the last interrupted at step 40."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
    axis.plot(colleagues, label="the colleague's", color="C1")
    axis.plot(whole, label="never interrupted", color="C0", lw=3)
    axis.plot(yours, "--", label="yours", color="C2")
    axis.axvline(40, linestyle=":", color="#808890")
    axis.set(xlabel="step", ylabel="loss (nats/token)")
    axis.legend()
    plt.show()


PLAIN = {  # theirs: ours; those with a layer stand behind "layers.0." in both
    "tokens": "embed_tokens.weight",
    "final_norm": "norm.weight",
    "norm_1": "input_layernorm.weight",
    "norm_2": "post_attention_layernorm.weight",
    "out": "self_attn.o_proj.weight",
    "down": "mlp.down_proj.weight",
}


def original(config: Shape) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(
                parameter
            )  # norms, too, so that their order matters
    return model


def as_they_write(model: Transformer) -> dict[str, Tensor]:
    """The foreign checkpoint of one of our models."""
    config, ours = model.config, {name: p.detach() for name, p in model.named_parameters()}
    d = config.head_dim
    back = torch.arange(d).view(2, -1).T.flatten()  # their number j is our back[j]
    theirs = {"tokens": ours["embed_tokens.weight"], "final_norm": ours["norm.weight"]}
    for i in range(config.num_hidden_layers):
        at = f"layers.{i}."
        q, k, v = (
            ours[f"{at}self_attn.{kind}_proj.weight"].view(-1, d, config.hidden_size)
            for kind in "qkv"
        )
        theirs[at + "qkv"] = torch.cat((q[:, back], k[:, back], v)).flatten(0, 1)
        theirs[at + "gate_up"] = torch.cat(
            [ours[f"{at}mlp.{kind}_proj.weight"] for kind in ("gate", "up")]
        )
        for kind in "qk":
            theirs[f"{at}{kind}_scale"] = ours[f"{at}self_attn.{kind}_norm.weight"][back]
        theirs |= {
            at + name: ours[at + PLAIN[name]] for name in ("norm_1", "norm_2", "out", "down")
        }
    return theirs


HABITS = {
    "q_proj": "the rows of each query head have to change from neighbours to halves, head by head",
    "k_proj": "the rows of each key head have to change from neighbours to halves, head by head",
    "v_proj": (
        "values are not turned by rotary positions, so their rows stay as they are; and they are as"
        " many as those of the keys"
    ),
    "q_norm": "q_scale scales the numbers of a query, and those have changed places",
    "gate": "gate comes first, then up",
    "k_norm": "k_scale scales the numbers of a key, and those have changed places",
    "up": "gate comes first, then up",
}


def convert(convert, config: Shape) -> None:
    model, call = original(config), f"convert(theirs, {config})"
    theirs = as_they_write(model)
    wanted = {name: p.detach() for name, p in model.named_parameters()}
    got = run(convert, theirs, config)
    expect(isinstance(got, dict), f"{call} gave {show(got)}; it should be a dict of tensors.")
    expect(
        not wanted.keys() - got.keys(),
        f"{call}: {sorted(wanted.keys() - got.keys())[:1]} is missing.",
    )
    extra = sorted(got.keys() - wanted.keys())
    expect(
        not extra,
        f"{call}: {extra[:1]} does not belong there"
        + ("; tied weights are stored once." if extra == ["lm_head.weight"] else "."),
    )
    for name, value in wanted.items():
        found, why = (
            got[name],
            next(
                (reason for part, reason in HABITS.items() if part in name),
                "it only changes its name",
            ),
        )
        fits = isinstance(found, Tensor) and found.shape == value.shape
        expect(
            fits,
            f"{call}: {name} is {show(found)}; its shape should be {list(value.shape)}: {why}.",
        )
        if not torch.allclose(found, value):
            d = config.head_dim
            swapped = (
                value.dim()
                and len(value) % d == 0
                and any(
                    torch.allclose(
                        found, value.view(-1, d, *value.shape[1:])[:, how].reshape(value.shape)
                    )
                    for how in (
                        torch.arange(d).view(2, -1).T.flatten(),
                        torch.arange(d).view(-1, 2).T.flatten(),
                    )
                )
            )
            hint = " The right numbers are there, in another order." if swapped else ""
            expect(
                False,
                f"{call}: {name} is off by up to {(found - value).abs().max().item():.2f}:"
                f" {why}.{hint}",
            )
        expect(
            found.is_contiguous(),
            f"{call}: {name} is not contiguous, and safetensors would refuse it.",
        )
        shared = any(
            found.untyped_storage().data_ptr() == given.untyped_storage().data_ptr()
            for given in theirs.values()
        )
        expect(
            not shared and found.untyped_storage().nbytes() == found.nbytes,
            f"{call}: {name} is a view into another tensor: make a copy.",
        )
    with torch.no_grad():
        opened, ids = Transformer(config).double(), torch.arange(6)[None]
        opened.load_state_dict(got, strict=False)
        off = (opened(ids) - model(ids)).abs().max().item()
    expect(off < 1e-9, f"{call}: the logits are off by {off:.1e}.")


def rotary_forgotten(weights: dict[str, Tensor], head_dim: int) -> dict[str, Tensor]:
    """Converted weights, but the rows of queries and keys stay in the order of neighbours."""
    careless, back = dict(weights), torch.arange(head_dim).view(2, -1).T.flatten()
    for name, weight in weights.items():
        if "q_proj" in name or "k_proj" in name:
            careless[name] = weight.view(-1, head_dim, weight.shape[1])[:, back].flatten(0, 1)
    return careless


def said_by_transformers(model: Transformer, tokenizer: Tokenizer, start: str) -> str:
    """How the transformers library goes on after a start, greedily, with the model's files."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # here: no check needs it
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(folder + "/model", model, tokenizer)
        theirs = AutoModelForCausalLM.from_pretrained(folder + "/model")
        tokens = AutoTokenizer.from_pretrained(folder + "/model")(start, return_tensors="pt")
        new = theirs.generate(**tokens, max_new_tokens=30, do_sample=False, pad_token_id=0)
    said = new[0, tokens.input_ids.shape[1] :].tolist()
    return tokenizer.decode(said, skip_special_tokens=True)
