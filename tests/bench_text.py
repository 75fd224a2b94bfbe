"""Getting text out of a model, and learning a tokenizer."""

import subprocess
import sys
import time
from itertools import islice
from statistics import median

import torch

import bench_lineup
from bench_peers import OURS
from bench_timing import compare, in_turn
from bench_tokenizer import read_texts
from bench_train import SHAPES, TINY
from minimind_lite import corpus, recipe
from minimind_lite.bpe import train_bpe
from minimind_lite.decoder import Decoder
from minimind_lite.model import Transformer

MINBPE = """
import sys; sys.path.insert(0, sys.argv[1])
from minbpe.regex import RegexTokenizer
from minimind_lite.bpe import SPLIT_PATTERN
RegexTokenizer(SPLIT_PATTERN).train(sys.stdin.buffer.read().decode("utf-8"), 256 + int(sys.argv[2]))
"""


def real_prompts(tokenizer, config, rows: int, length: int) -> torch.Tensor:
    """The beginnings of held-out texts, all of one length, so that nobody has to pad."""
    texts = corpus.read_texts(recipe.corpus_files()["pretrain_valid"])
    ids = ([tokenizer.end_id, *tokenizer.encode(text)] for text in texts)
    prompts = list(islice((some[:length] for some in ids if len(some) >= length), rows))
    return torch.tensor(prompts) % config.vocab_size


def decode(options) -> list[dict]:
    """Greedy decoding with a cache, one text and sixteen; with the `lite` base model, and at 26 M."""
    trained, tokenizer = recipe.pretrained()
    torch.manual_seed(0)
    models = {"lite": trained} if not options.quick else {"tiny": Transformer(TINY[0]).eval()}
    if not options.quick:
        models["26 M"] = Transformer(SHAPES["26 M"][0]).eval()
    lines = []
    for size, ours in models.items():
        new = 8 if options.quick else 128
        peers, absent = bench_lineup.model_peers(options.directories)
        built = bench_lineup.attempt(
            peers,
            absent,
            lambda peer: (peer, ours if peer.name == OURS else peer.build(ours.config).eval()),
        )
        bench_lineup.same_weights(built, real_prompts(tokenizer, ours.config, 2, 8))
        against = [name for name, (peer, _) in built.items() if peer.same_function]
        began = time.perf_counter()
        Decoder(ours)  # laid out once, as `chat` does; outside the clock, so it is said
        prepared = time.perf_counter() - began
        for rows, target in ((1, 3.0), (16, 1.5)):
            prompts = real_prompts(tokenizer, ours.config, rows, 8)

            def job(peer):
                model = built[peer.name][1]
                return lambda: peer.generate(model, prompts, new)

            jobs = bench_lineup.attempt([peer for peer, _ in built.values()], absent, job)
            wanted = jobs[OURS]()
            same = {n: share_of_equal(wanted, jobs[n]()) for n in against if n != OURS}
            rounds = 2 if options.quick else {"lite": 9, "26 M": 5}[size]
            seconds = in_turn(jobs, rounds, f"decode, {size}, {rows}")
            speeds = {name: [rows * new / s for s in some] for name, some in seconds.items()}
            name = "one text" if rows == 1 else f"{rows} texts"
            lines.append(
                compare(
                    f"decoding {name}, {size}",
                    speeds,
                    target,
                    unit="tokens/s",
                    more_is_better=True,
                    against=against,
                    absent=absent,
                    new_tokens=new,
                    same_tokens=same,
                    prepared=prepared,
                    bound=("the matrix products, by the fastest way we know", products(ours, rows)),
                )
            )
    return lines


@torch.inference_mode()
def products(model, rows: int) -> float:
    """Tokens a second if decoding were nothing but the products with the weights."""
    decoder, config = Decoder(model), model.config
    narrow, wide = torch.randn(rows, config.hidden_size), torch.randn(rows, config.intermediate_size)
    mixed = torch.randn(rows, config.num_attention_heads * config.head_dim)

    def once():
        for qkv, _, output, gate_up, down in decoder.layers:
            for product, x in ((qkv, narrow), (output, mixed), (gate_up, narrow), (down, wide)):
                product(x)
        decoder.lm_head(narrow)

    return rows / median(in_turn({"products": once}, 40, "products")["products"])


def share_of_equal(left: list[list[int]], right: list[list[int]]) -> float:
    """What part of the tokens two decoders agree on; rounding may part them where two logits tie."""
    pairs = [(a, b) for some, others in zip(left, right) for a, b in zip(some, others)]
    return sum(a == b for a, b in pairs) / len(pairs)


def merges(options, least_seconds: float = 5.0) -> list[dict]:
    """Learning 2,000 merges from 1 MB, in Python.

    minbpe needs many minutes for it. So it is stopped, unfinished, once it has taken a tenth
    more than the target allows: the ratio is then what it is *at least*, and nothing is
    extrapolated.
    """
    size, count, rounds, target = (5_000, 50, 2, 50) if options.quick else (1_000_000, 2000, 5, 50)
    texts = read_texts(size)
    seconds = in_turn({OURS: lambda: train_bpe(texts, 256 + count)}, rounds, "merges")
    absent, finished = {}, True
    if "minbpe" in options.directories:
        limit = max(1.1 * target * median(seconds[OURS]), least_seconds)  # and time to start Python
        command = [sys.executable, "-c", MINBPE, str(options.directories["minbpe"]), str(count)]
        began = time.perf_counter()
        try:
            done = subprocess.run(
                command, input="\n".join(texts).encode(), capture_output=True, timeout=limit
            )
            if done.returncode:
                absent["minbpe"] = (
                    f"failed here: {done.stderr.decode().strip().splitlines()[-1][:120]}"
                )
        except subprocess.TimeoutExpired:
            finished = False
        if not absent:
            seconds["minbpe"] = [time.perf_counter() - began] * rounds
    else:
        absent["minbpe"] = "name a checkout with --minbpe FOLDER"
    work = f"learning {count:,} merges from {size / 1e6:g} MB, in Python"
    return [compare(work, seconds, target, absent=absent, lower_bound=not finished)]
