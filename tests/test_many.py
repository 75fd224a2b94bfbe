"""Real processes, started by torchrun: the model of one, a death that is noticed, and going on."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_record import files, losses, pretrain, run  # noqa: F401 (files and run are fixtures)

from minimind_lite.checkpoint import load_model
from minimind_lite.files import read_json

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
SAME = ["--number-format=float32", "--optimizer=adamw", "--max-lr=1e-3"]


def two_processes(*command):
    return subprocess.run([*TORCHRUN, *map(str, command)], capture_output=True, text=True, timeout=300, env=ENVIRONMENT)


DIES = """
import os, sys, time
import minimind_lite.recipe as recipe
from minimind_lite.__main__ import main
real = recipe.train
def train(*args, **named):
    def on_step(entry):
        if entry["step"] == 4 and os.environ["RANK"] == "1":
            print("died at", time.time(), flush=True)
            raise RuntimeError("the power went out on rank 1")
    return real(*args, **(named | {"on_step": on_step}))
recipe.train = train
sys.exit(main())
"""


def test_two_processes_learn_what_one_does_and_outlive_a_death(files, run):  # noqa: F811
    """A process dies: its traceback is shown, the other one ends, and one or two can go on."""
    assert run(*pretrain(files, "one", *SAME, "--save-every=2"))[0] == 0
    script = files / "dies.py"
    script.write_text(DIES, encoding="utf-8")
    done = two_processes(script, *pretrain(files, "by-one", *SAME, "--micro-batch-size=1", "--save-every=2"))
    ended = time.time()
    assert done.returncode != 0 and "RuntimeError: the power went out on rank 1" in done.stderr
    assert ended - float(done.stdout.split("died at ")[1].split()[0]) < 60, "the other process waited"
    saved = [path.name for path in (files / "by-one").glob("step-*")]
    assert saved in (["step-00000002"], ["step-00000004"]) and not (files / "by-one" / "model").exists()

    shutil.copytree(files / "by-one", files / "by-two")
    assert run(*pretrain(files, "by-one", *SAME, "--save-every=2", "--resume"))[0] == 0
    done = two_processes("-m", "minimind_lite",
                         *pretrain(files, "by-two", *SAME, "--micro-batch-size=1", "--save-every=2", "--resume"))  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert read_json(files / "by-two" / "run.json")["machine"]["processes"] == 2
    one = list(load_model(files / "one" / "model").parameters())
    for name in ("by-one", "by-two"):
        assert losses(files / name) == pytest.approx(losses(files / "one"), abs=1e-5)
        found = load_model(files / name / "model").parameters()
        assert max((a - b).abs().max() for a, b in zip(one, found)) < 1e-4
