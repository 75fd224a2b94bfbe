"""The Chinese pages: complete, up to date, with the links and the words of the term list."""

import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import languages  # noqa: E402
import notebooks  # noqa: E402

CATALOGS = languages.LOCALE / languages.LANGUAGE / "LC_MESSAGES"


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """What of the book as it is now would have to be translated: a folder of .pot files."""
    folder = tmp_path_factory.mktemp("messages")
    staged = notebooks.stage(ROOT / "chapters", folder / "staged")
    languages.extract(staged, folder)
    return folder / "_build" / "gettext"


def test_translations_are_complete_and_up_to_date(templates):
    found = []
    for page in languages.translated_pages():
        found += languages.problems(templates / f"{page}.pot", CATALOGS / f"{page}.po")
    assert not found, "\n".join(found)


def test_the_pages_that_a_reader_meets_first_are_translated():
    pages = languages.translated_pages()
    chapters = [page for page in pages if page.startswith("chapters/03_")]
    assert {"book/intro", "book/setup", "book/glossary", "book/silent_bugs", *chapters} <= set(pages) and chapters


def test_words_in_tables_buttons_titles_and_pictures_are_extracted(templates):
    """Sphinx alone would leave these four in English."""
    index = (templates / "book" / "silent_bugs.pot").read_text(encoding="utf-8")
    front = (templates / "book" / "intro.pot").read_text(encoding="utf-8")
    chapter = next((templates / "chapters").glob("03_*.pot")).read_text(encoding="utf-8")
    assert 'msgid "what you see"' in index and 'msgid "Run it yourself"' in front
    assert 'msgid "Find the planted bug"' in chapter and 'msgid "Four lines of bits' in chapter


def write(path, messages):
    lines = ['msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n']
    lines += [f"{'#, fuzzy' if doubtful else '#'}\nmsgid \"{text}\"\nmsgstr \"{done}\"\n" for text, done, doubtful in messages]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("english", "chinese", "fuzzy", "problem"),
    [
        ("A {term}`token`.", "一个{term}`词元 <token>`。", False, None),
        ("A {term}`token`.", "", False, "untranslated: A {term}`token`."),
        ("A {term}`token`.", "一个{term}`词元 <token>`。", True, "fuzzy"),
        ("A {term}`token`.", "一个{term}`词元 <merge>`。", False, "other links or code"),
        ("A {glue:text}`a.ipynb::b:.2f`.", "一个 {glue:text}`a.ipynb::b:.3f`。", False, "other links or code"),
        ("It is `None`.", "它是 `Nil`。", False, "other links or code"),
        ("`make book`", "", False, None),  # nothing but code needs no translation
        ("{chapter}`01`, {chapter}`05`", "", False, None),
    ],
)
def test_what_is_wrong_with_a_translation_is_named(tmp_path, monkeypatch, english, chinese, fuzzy, problem):
    monkeypatch.setattr(languages, "LOCALE", tmp_path / "locale")
    found = languages.problems(write(tmp_path / "a.pot", [(english, "", False)]),
                               write(tmp_path / "a.po", [(english, chinese, fuzzy)]))  # fmt: skip
    assert (found == []) if problem is None else (len(found) == 1 and found[0].startswith(f"a.po: {problem}"))


def test_an_edited_book_is_noticed_and_the_update_keeps_what_was_done(tmp_path, monkeypatch):
    monkeypatch.setattr(languages, "LOCALE", tmp_path / "locale")
    folder = tmp_path / "locale" / languages.LANGUAGE / "LC_MESSAGES" / "book"
    folder.mkdir(parents=True)
    po = write(folder / "a.po", [("The first loss is about nine.", "第一个损失大约是九。", False),
                                 ("Stays.", "不变。", False)])  # fmt: skip

    def extract(staged, target):
        (target / "_build" / "gettext" / "book").mkdir(parents=True)
        write(target / "_build" / "gettext" / "book" / "a.pot", edited)

    edited = [("The first loss is about eight.", "", False), ("Stays.", "", False)]
    pot = write(tmp_path / "a.pot", edited)
    assert [line.split(":")[1].split(",")[0].strip() for line in languages.problems(pot, po)] == [
        "out of date", "no longer in the book"]  # fmt: skip
    monkeypatch.setattr(languages, "extract", extract)
    languages.update(tmp_path, [])
    found = languages.problems(pot, po)
    assert len(found) == 1 and "fuzzy" in found[0]  # the old sentence waits there to be adapted
    with po.open("rb") as file:
        catalog = read_po(file)
    assert catalog.get("Stays.").string == "不变。"
    catalog.get("The first loss is about eight.").flags.discard("fuzzy")
    with po.open("wb") as file:
        write_po(file, catalog)
    assert languages.problems(pot, po) == []
    with pytest.raises(SystemExit, match="book/b is no page of the book"):
        languages.update(tmp_path, ["book/b"])


def test_terms_have_the_names_of_the_term_list():
    """A word that links to the glossary is the glossary's word for it."""
    names, wrong = languages.glossary(), []
    for page in languages.translated_pages():
        for message in languages.catalog(page).values():
            for role, target, _ in languages.ROLE.findall(message):
                shown = message.split(f" <{target}>")[0].rpartition("`")[2]
                if role == "term" and shown != names[target]:
                    wrong.append(f"{page}: {shown} for {target}, which is {names[target]} in the glossary")
    assert not wrong, "\n".join(wrong)
    assert len(set(names.values())) == len(names), "two terms with one name"
