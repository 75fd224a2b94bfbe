"""The book in other languages: bring translations up to date, check them, render them.

A translated page is a .po file in book/locale/LANGUAGE/LC_MESSAGES, named like the page. Whatever has
no translation appears in English. `make zh` and `make zh-update` call this.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import yaml
from babel.messages.pofile import read_po
from sphinx_intl.basic import update as update_catalogs

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "book" / "locale"
LANGUAGE = "zh_CN"
FOLDER = "zh"  # below _build/html
# What a translation has to leave as it is: roles with their targets, and code.
ROLE = re.compile(r"\{(\S+?)\}`(?:[^`<]*<([^`<>]+)>|([^`]+))`")
CODE = re.compile(r"(?<![`}])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


def jupyter_book(source: Path, output: Path, *options: str) -> None:
    """Build with warnings as errors; exits with what was wrong. The result is below output/_build."""
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(source), "--path-output", str(output),
               "-W", "-n", "--keep-going", "-q", *options]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"Rendering failed:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")


def adapt(source: Path, **settings) -> None:
    """Add Sphinx settings to the _config.yml of a staged copy of the book."""
    path = source / "_config.yml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["sphinx"]["config"] |= settings
    path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")


def render_translation(staged: Path) -> Path:
    """Render the staged book once more, in the other language; returns the folder of its pages."""
    work = staged.parent / FOLDER
    shutil.rmtree(work, ignore_errors=True)  # its doctrees too: they keep the other language's text
    source = work / "source"
    shutil.copytree(staged, source)
    for path in source.rglob(f"*.{LANGUAGE}.*"):  # what was staged in the other language takes its place
        path.rename(path.with_name(path.name.replace(f".{LANGUAGE}.", ".")))
    settings = yaml.safe_load((LOCALE / LANGUAGE / "book.yml").read_text(encoding="utf-8"))
    words = source / "words.txt"  # the search index would cut some of them in two
    words.write_text("".join(f"{word} 100000\n" for word in glossary().values()), encoding="utf-8")
    adapt(source, language=LANGUAGE, locale_dirs=["book/locale"], gettext_compact=False,
          html_search_options={"dict": str(words)}, **settings)  # fmt: skip
    translate_captions(source / "_toc.yml")
    jupyter_book(source, work)
    return work / "_build" / "html"


def catalog(page: str) -> dict[str, str]:
    """A page's messages with their translations, without those that have none."""
    with (LOCALE / LANGUAGE / "LC_MESSAGES" / f"{page}.po").open("rb") as file:
        return {message.id: message.string for message in read_po(file) if message.id and message.string}


def glossary() -> dict[str, str]:
    """The term list: each term of the glossary and what it is called in the translation."""
    return {term: name for term, name in catalog("book/glossary").items() if not term.endswith(".")}


def translate_captions(path: Path) -> None:
    """The captions of a staged _toc.yml: Sphinx takes them for messages of the root page, but leaves them."""
    toc = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = catalog(toc["root"])
    for part in toc["parts"]:
        part["caption"] = words.get(part["caption"], part["caption"])
    path.write_text(yaml.safe_dump(toc, allow_unicode=True, sort_keys=False), encoding="utf-8")


def extract(staged: Path, target: Path) -> None:
    """Write a template (.pot) with the translatable messages of each page into a folder."""
    source = target / "source"
    shutil.copytree(staged, source)
    # Places would be cell numbers, which move with every edit of a chapter. Pictures have to be
    # chosen among a cell's outputs, or their alternative texts are not seen.
    adapt(source, gettext_compact=False, gettext_location=False, project="MiniMind Lite",
          nb_mime_priority_overrides=[["gettext", "image/png", 0]])  # fmt: skip
    jupyter_book(source, target, "--builder", "custom", "--custom-builder", "gettext")


def translated_pages() -> list[str]:
    folder = LOCALE / LANGUAGE / "LC_MESSAGES"
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.po"))


def update(staged: Path, pages: list[str]) -> None:
    """Bring the .po files up to date with the book; pages named are added to those that have one."""
    with tempfile.TemporaryDirectory() as folder:
        extract(staged, Path(folder))
        chosen = Path(folder) / "chosen"
        for page in dict.fromkeys([*translated_pages(), *pages]):
            template = Path(folder) / "_build" / "gettext" / f"{page}.pot"
            if not template.is_file():
                sys.exit(f"{page} is no page of the book: name it as _toc.yml does, such as book/setup")
            (chosen / page).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(template, chosen / f"{page}.pot")
        update_catalogs(str(LOCALE), str(chosen), (LANGUAGE,), line_width=100, jobs=1)


def kept(text: str) -> Counter:
    """The roles with their targets, and the pieces of code, of a message."""
    roles = Counter((name, target or whole) for name, target, whole in ROLE.findall(text))
    return roles + Counter(("code", code) for _, code in CODE.findall(ROLE.sub("", text)))


def problems(template: Path, translation: Path) -> list[str]:
    """What is untranslated, doubtful, out of date or damaged in a page's translation, a line each."""
    with template.open("rb") as pot, translation.open("rb") as po:
        wanted, have = read_po(pot), read_po(po)
    found = []
    for message in wanted:
        if not message.id or not re.search(r"[^\W\d_]", CODE.sub("", ROLE.sub("", message.id))):
            continue  # the header, or nothing but links and code
        start, done = " ".join(message.id.split())[:60], have.get(message.id)
        if done is None:
            found.append(f"out of date, run `make zh-update`: {start}")
        elif done.fuzzy:
            found.append(f"fuzzy, compare with the English and delete the word fuzzy: {start}")
        elif not done.string:
            found.append(f"untranslated: {start}")
        elif kept(message.id) != kept(done.string):
            lost, new = kept(message.id) - kept(done.string), kept(done.string) - kept(message.id)
            found.append(f"other links or code ({list(lost)} became {list(new)}): {start}")
    ids = {message.id for message in wanted}
    found += [f"no longer in the book, run `make zh-update`: {' '.join(message.id.split())[:60]}"
              for message in have if message.id and message.id not in ids]  # fmt: skip
    return [f"{translation.relative_to(LOCALE.parent)}: {line}" for line in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("update", help="bring the .po files up to date with the staged book")
    sub.add_argument("staged", type=Path)
    sub.add_argument("pages", nargs="*", help="pages to begin translating, such as chapters/05_pretraining")
    arguments = parser.parse_args()
    update(arguments.staged, arguments.pages)


if __name__ == "__main__":
    main()
