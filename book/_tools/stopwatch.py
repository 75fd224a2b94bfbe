"""Run a command and note how long it took: stopwatch.py TIMES.json NAME COMMAND ...

`stopwatch.py --report TIMES.json` prints what was noted.
"""

import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path


def read(path: Path) -> dict:
    """{"machine": {...}, "seconds": {name: seconds}}; empty before the first command."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"seconds": {}}


def processor() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def device() -> str:
    """The graphics processor, if torch sees one; asked of torch itself, which takes a second."""
    code = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
    return name or "none"


def machine() -> dict[str, str]:
    """What a reader needs to judge the times."""
    return {
        "Processor": f"{processor()}, {os.cpu_count()} logical cores",
        "Graphics processor": device(),
        "System": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "PyTorch": version("torch"),
        "Preset": os.environ.get("MINIMIND_LITE_PRESET", "lite"),
        "Date": date.today().isoformat(),
    }


def measure(path: Path, name: str, command: list[str]) -> int:
    """Run the command; note its time only if it succeeds. Returns its exit status."""
    start = time.perf_counter()
    status = subprocess.run(command).returncode
    if status == 0:
        noted = read(path)
        noted["seconds"][name] = round(time.perf_counter() - start, 1)
        noted["machine"] = machine()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8", newline="\n")
    return status


def report(path: Path) -> None:
    seconds = read(path)["seconds"]
    for name, value in sorted(seconds.items(), key=lambda item: (item[0] != "models", item[0])):
        print(f"{value:8.1f} s  {name}")
    print(f"{sum(seconds.values()):8.1f} s  in all")


if __name__ == "__main__":
    if sys.argv[1] == "--report":
        report(Path(sys.argv[2]))
    else:
        sys.exit(measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
