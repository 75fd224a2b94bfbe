"""Pictures of the rendered pages, as a reader sees them: 1280 and 390 px wide, light and dark.

    python tests/screenshots.py _build/html /tmp/shots                       # every page
    python tests/screenshots.py _build/html /tmp/shots index book/glossary   # these
    python tests/screenshots.py _build/html /tmp/shots --axe node_modules/axe-core/axe.min.js

It also lists what pictures do not show: script errors, requests that leave the page, text wider than
the screen and, with --axe, the findings of axe-core (from npm). Exits with 1 if there are any.
Needs Debian's chromium (`apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji`) and websocket-client, which jupyter
brings along.
"""

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import websocket

SIZES = {1280: 900, 390: 844}
PIECE = 2400  # px: a long page is cut into pictures of this height
# Elements that reach beyond the right edge of the screen, or of an ancestor that hides what sticks out
# (but for what is there for screen readers alone, in a box of one pixel), unless an ancestor scrolls.
TOO_WIDE = """[...document.querySelectorAll('main *, header *')].filter(e => {
  const r = e.getBoundingClientRect();
  if (r.width == 0 || r.left >= innerWidth) return false;
  for (let p = e; p && p !== document.body; p = p.parentElement) {
    const how = getComputedStyle(p).overflowX, box = p.getBoundingClientRect();
    if (how === 'auto' || how === 'scroll') return false;
    if (how !== 'visible') return box.width > 2 && r.right > box.right + 1;
  }
  return r.right > innerWidth + 1;
}).slice(0, 3).map(e => e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 40))"""
AXE = """axe.run(document, {resultTypes: ['violations']}).then(found => found.violations
  .map(v => v.impact + ' ' + v.id + ' (' + v.nodes.length + '): ' + v.nodes.slice(0, 2).map(
    n => n.html.slice(0, 110) + ' ' + n.any.map(a => a.message).join(' ').slice(0, 160)).join(' | ')))"""


class Browser:
    """Chromium without a window, driven over its debugging protocol."""

    def __init__(self, program: str):
        self.profile = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={self.profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port_file = Path(self.profile) / "DevToolsActivePort"
        for _ in range(300):
            if port_file.exists() and port_file.read_text().strip():
                break
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            target = next(t for t in json.load(answer) if t["type"] == "page")
        self.socket = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=900)  # s; a busy machine is slow, not wrong
        self.sent, self.events = 0, []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params) -> dict:
        """Send one command, return its result; events that arrive meanwhile are kept."""
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.sent:
                if "navigated" in str(message.get("error")):
                    return self.call(method, **params)  # asked of a page that was just left
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def evaluate(self, script: str):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description", script[:80]))
        return result["result"].get("value")

    def open(self, page: Path, width: int, theme: str) -> list[str]:
        """Show a page; returns what went wrong while it loaded."""
        self.events = []
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=SIZES[width], deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip
        # Without the theme's fading in of colours, half-way through which axe would measure contrast.
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme},
                                                          {"name": "prefers-reduced-motion", "value": "reduce"}])  # fmt: skip
        self.call("Page.navigate", url=page.resolve().as_uri())
        time.sleep(0.3)  # a page that only redirects is left behind
        while self.evaluate("document.readyState") != "complete":
            time.sleep(0.05)
        self.evaluate("document.fonts.ready.then(() => true)")
        return list(self.complaints())

    def complaints(self):
        for event in self.events:
            params = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                yield "script error: " + str(params["exceptionDetails"].get("exception", {}).get("description"))[:200]
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                yield "console: " + params["entry"]["text"][:200]
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] == "error":
                yield "console: " + str([a.get("value") for a in params["args"]])[:200]
            elif event["method"] == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:", "blob:")):
                    yield f"leaves the page: {url[:120]}"

    def pictures(self, stem: Path, width: int) -> None:
        """The whole page, in pieces."""
        height = self.evaluate("document.documentElement.scrollHeight")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip
        self.evaluate("scrollTo(0, 0); new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        pieces = range(0, height, PIECE)
        for number, top in enumerate(pieces):
            clip = {"x": 0, "y": top, "width": width, "height": min(PIECE, height - top), "scale": 1}
            data = self.call("Page.captureScreenshot", format="png", clip=clip)["data"]
            name = f"{stem.name}-{number}.png" if len(pieces) > 1 else f"{stem.name}.png"
            stem.with_name(name).write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


def visit(browser: Browser, page: Path, name: str, out: Path, axe: str | None, widths, themes) -> list[str]:
    """All renderings of one page; returns what is wrong with it."""
    found = {}
    for width in widths:
        for theme in themes:
            problems = browser.open(page, width, theme)
            problems += [f"wider than the screen: {e}" for e in browser.evaluate(TOO_WIDE)]
            if axe:
                browser.evaluate(axe + ";0")
                problems += [f"axe: {e}" for e in browser.evaluate(AXE)]
            browser.pictures(out / f"{name.replace('/', '_')}-{width}-{theme}", width)
            for problem in problems:
                found.setdefault(problem, []).append(f"{width} {theme}")
    return [f"{name} ({', '.join(where)}): {problem}" for problem, where in found.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("html", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("pages", nargs="*", help="such as chapters/01_corpus_and_score; all when none is named")
    parser.add_argument("--axe", type=Path, help="axe.min.js of npm's axe-core")
    parser.add_argument("--width", type=int, choices=SIZES, action="append")
    parser.add_argument("--theme", choices=("light", "dark"), action="append")
    arguments = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is not installed: apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji")
    names = arguments.pages or sorted(
        str(p.relative_to(arguments.html).with_suffix(""))
        for p in arguments.html.rglob("*.html") if "_static" not in p.parts)  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    axe = arguments.axe.read_text(encoding="utf-8") if arguments.axe else None
    browser, problems = Browser(program), []
    try:
        for name in names:
            found = visit(browser, arguments.html / f"{name}.html", name, arguments.out, axe,
                          arguments.width or SIZES, arguments.theme or ("light", "dark"))  # fmt: skip
            print("\n".join(found) if found else f"{name}: nothing to report", flush=True)
            problems += found
    finally:
        browser.close()
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
