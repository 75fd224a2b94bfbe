"""Which of a tokenizer's two files wins, in many versions of transformers? Measured, not remembered.

`python tests/measure_prefix_space.py [VERSION …]` makes a small tokenizer whose files disagree
about `add_prefix_space`, opens it in a throwaway environment with each version of transformers,
and writes what every reader made of it, with the date, to book/prefix_space.json, which chapter 03
draws. It needs a package index and about 20 seconds a version. With `--probe DIRECTORY` it only
prints what the transformers of this Python does; that is what runs in the throwaway environments.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import venv
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "book" / "prefix_space.json"
VERSIONS = ("4.40.2", "4.44.2", "4.47.1", "4.48.0", "4.51.3", "4.54.1", "4.57.1", "5.0.0", "5.10.1", "5.23.0")
READERS = ("AutoTokenizer", "PreTrainedTokenizerFast", "GPT2TokenizerFast")
TEXT = "Hello"
CASES = ((False, True), (True, False))  # the flag in tokenizer.json, and in tokenizer_config.json


def write_disagreeing(directory: Path, json_flag: bool, config_flag: bool) -> None:
    """The two files of a small tokenizer of ours, with a flag of its own in each."""
    from minimind_lite.tokenizer import Tokenizer  # the throwaway environments do not have it

    Tokenizer.train(["Hello, hello! It says Hello."] * 3, 300).save_pretrained(directory)
    path = directory / "tokenizer.json"
    fast = json.loads(path.read_text(encoding="utf-8"))
    fast["pre_tokenizer"]["add_prefix_space"] = json_flag
    # tokenizers before 0.20 want "a b" where newer ones write ["a", "b"], and read both
    fast["model"]["merges"] = [" ".join(merge) for merge in fast["model"]["merges"]]
    path.write_text(json.dumps(fast), encoding="utf-8")
    path = directory / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"add_prefix_space": config_flag}), encoding="utf-8")


def probe(directory: Path) -> dict:
    """What the libraries of this Python make of a directory: versions, and one row a reader.

    A row has the tokens of TEXT, the file that was followed ("json", "config"), the attribute
    `add_prefix_space` of the object, and the flags in the two files when it saves itself.
    """
    import tokenizers
    import transformers

    wanted = [read_flag(directory, name) for name in ("json", "config")]
    raw = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    rows = [{"reader": "tokenizers", "tokens": raw.encode(TEXT).tokens}]
    for name in READERS:
        opened = getattr(transformers, name).from_pretrained(str(directory))
        row = {"reader": name, "tokens": opened.convert_ids_to_tokens(opened(TEXT)["input_ids"])}
        with tempfile.TemporaryDirectory() as saved:
            opened.save_pretrained(saved)
            row["saves"] = [read_flag(Path(saved), file) for file in ("json", "config")]
        rows.append(row | {"attribute": getattr(opened, "add_prefix_space", None)})
    for row in rows:
        flag = row["tokens"][0].startswith("Ġ")
        row["follows"] = "json" if flag == wanted[0] else "config"
    return {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__, "rows": rows}


def read_flag(directory: Path, name: str) -> bool | None:
    """`add_prefix_space` in one of the two files; None where it is not written."""
    file = {"json": "tokenizer.json", "config": "tokenizer_config.json"}[name]
    content = json.loads((directory / file).read_text(encoding="utf-8"))
    return (content["pre_tokenizer"] if name == "json" else content).get("add_prefix_space")


def run(*command) -> str:
    """What a command prints. Exits with its last words if it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def measure(version: str, directories: dict) -> list[dict]:
    """The rows of one version of transformers, from an environment that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"transformers=={version}")
        found = []
        for (json_flag, config_flag), directory in directories.items():
            # a library may print as well: the answer is the last line
            answer = json.loads(run(python, __file__, "--probe", directory).splitlines()[-1])
            case = {"json": json_flag, "config": config_flag}
            versions = {name: answer[name] for name in ("transformers", "tokenizers")}
            found += [versions | case | row for row in answer["rows"]]
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", default=VERSIONS, help="versions of transformers")
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--probe", type=Path, metavar="DIRECTORY")
    arguments = parser.parse_args()
    if arguments.probe:
        print(json.dumps(probe(arguments.probe)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        directories = {case: Path(folder) / f"{case[0]}-{case[1]}" for case in CASES}
        for case, directory in directories.items():
            write_disagreeing(directory, *case)
        for version in arguments.versions:
            found = measure(version, directories)
            rows += found
            follows = {r["reader"]: r["follows"] for r in found if not r["json"]}
            print(f"transformers {version:>7}: " + ", ".join(f"{k} {v}" for k, v in follows.items()), flush=True)
    table = {"measured": date.today().isoformat(), "python": platform.python_version(), "text": TEXT}
    lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    head = json.dumps(table)[:-1]
    arguments.output.write_text(f'{head}, "rows": [\n  {lines}\n]}}\n', encoding="utf-8")
    print(f"{len(rows)} rows in {arguments.output}")


if __name__ == "__main__":
    main()
