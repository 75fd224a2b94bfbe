"""Check rendered pages: `python tests/check_pages.py _build/html`. Exits with 1 and a list if any fails."""

import json
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]


# Words that a reader will look for; the index holds their stems. Chinese is cut into words by jieba, and in the
# English book the glossary has it. tests/rendered_pages.py types them.
SEARCHED = {"": ("add_prefix_spac", "nan", "补齐"), "zh": ("add_prefix_spac", "nan", "补齐", "词元", "静默")}


def unfindable(html: Path) -> list[str]:
    """Words that the search of the English or the Chinese pages does not know."""
    found = []
    for folder, words in SEARCHED.items():
        index = (html / folder / "searchindex.js").read_text(encoding="utf-8")
        terms = json.loads(index[index.index("(") + 1 : index.rindex(")")])["terms"]
        found += [f"{folder or '.'}: the search does not find {word}" for word in words if word not in terms]
    return found


def check(html: Path) -> list[str]:
    """Everything that is wrong with the pages below a folder, a sentence each."""
    problems = unfindable(html)
    pages = {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
             for path in html.rglob("*.html") if "_static" not in path.parts}  # fmt: skip
    anchors = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        page = pages.get(html / "chapters" / f"{path.stem}.html")
        if page is None:
            problems.append(f"{path.stem} was not rendered")
            continue
        cells = nbformat.read(path, as_version=4).cells
        visible = [c for c in cells if c.cell_type == "code" and c.outputs and any(
            "glue" not in str(o.get("metadata", {}).get("scrapbook", "")) and
            not o.get("metadata", {}).get("scrapbook") for o in c.outputs)]  # fmt: skip
        number = int(path.stem[:2])
        if not page.select(f'svg.path[aria-label*="station {number},"]'):
            problems.append(f"{path.stem} does not show where it is on the path")
        shown = page.select("div.cell_output")
        if len(shown) < len(visible):
            problems.append(f"{path.stem} shows {len(shown)} outputs of {len(visible)}")
    for path in html.rglob("*.css"):
        for url in re.findall(r"""url\(["']?(https?:[^)"']+)""", path.read_text(encoding="utf-8")):
            problems.append(f"{path.relative_to(html)}: loads {url} from the network")
    for path, page in pages.items():
        name = path.relative_to(html)
        for tag in page.select("span.problematic, div.system-message"):
            problems.append(f"{name}: {tag.get_text(' ', strip=True)[:100]}")
        for image in page.find_all("img"):
            if image.get("alt") is None:
                problems.append(f"{name}: the picture {image.get('src')} has no alternative text")
        for tag, key in [(t, "href") for t in page.find_all("a", href=True)] + [
            (t, "src") for t in page.find_all(["img", "script"], src=True)
        ] + [(t, "href") for t in page.find_all("link", href=True)]:  # fmt: skip
            link = urlsplit(tag[key])
            if link.scheme or link.netloc:
                if tag.name != "a" and link.scheme in ("http", "https"):
                    problems.append(f"{name}: loads {tag[key]} from the network")
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            if not target.exists():
                problems.append(f"{name}: the link {tag[key]} leads nowhere")
            elif link.fragment and target in anchors and unquote(link.fragment) not in anchors[target]:
                problems.append(f"{name}: {tag[key]} names an anchor that does not exist")
    return problems


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = check(folder)
    for problem in found:
        print(problem)
    count = len(list(folder.rglob("*.html")))
    print(f"{count} pages checked, {len(found)} problems")
    sys.exit(bool(found) or count == 0)
