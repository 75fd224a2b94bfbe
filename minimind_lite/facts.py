"""Facts from a small table, and the sentences, questions and answers that are made of them.

`text/facts.tsv` holds the facts, `text/facts.txt` the phrasings of each relation.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

TEXT = Path(__file__).parent / "text"
LANGUAGES = ("en", "zh")

Phrasings = dict[str, dict[str, list[str]]]  # language -> use ("say", "ask", …) -> templates


@dataclass(frozen=True)
class Fact:
    """`row` numbers the line of the table, so that both languages can keep a secret together."""

    relation: str
    language: str
    row: int
    subject: str
    answer: str

    def fill(self, template: str) -> str:
        """The template in words: [subject] and [answer], or [first] and [second] of a sum."""
        first, _, second = self.subject.partition(" + ")
        return fill(template, subject=self.subject, answer=self.answer, first=first, second=second)

    @cache
    def sentences(self, use: str) -> tuple[str, ...]:
        """All sentences of one use: "say" states the fact, "wonder" wants to know it."""
        return tuple(map(self.fill, phrasings()[self.relation][self.language][use]))

    @property
    def key(self) -> str:
        """The answer without its article: what a right reply must contain."""
        return re.sub(r"^(the|an?) ", "", self.answer)


def fill(template: str, **values: str) -> str:
    """Puts values into a template: [name] as it is, [Name] with a big first letter.

    >>> fill("[Animal] met [friend].", animal="a fox", friend="Mia")
    'A fox met Mia.'
    """

    def value(match: re.Match) -> str:
        name = match[1]
        text = values[name[0].lower() + name[1:]]
        return text[:1].upper() + text[1:] if name[0].isupper() else text

    return re.sub(r"\[(\w+)\]", value, template)


def read_phrasings(path: Path) -> dict[str, Phrasings]:
    """Blocks: a header at the margin, then indented lines `LANGUAGE USE TEXT | TEXT …`.

    ValueError names the file and line of anything else.
    """
    blocks: dict[str, Phrasings] = {}
    block = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            block = blocks.setdefault(line.strip(), {language: {} for language in LANGUAGES})
            continue
        language, use, text = (*line.split(maxsplit=2), "", "")[:3]
        if block is None or language not in LANGUAGES or not text:
            raise ValueError(
                f"{path}, line {number}: {line.strip()!r} is not 'LANGUAGE USE TEXT' under a "
                f"header; begin it with {' or '.join(LANGUAGES)}, below a line at the margin."
            )
        block[language].setdefault(use, []).extend(text.split(" | "))
    return blocks


@cache
def phrasings() -> dict[str, Phrasings]:
    """Relation -> language -> use -> templates."""
    blocks = read_phrasings(TEXT / "facts.txt")
    return {header.split()[0]: block for header, block in blocks.items()}


@cache
def facts(language: str) -> tuple[Fact, ...]:
    """All facts of a language, relation after relation."""
    table: dict[str, list[tuple[int, str, str]]] = {}  # relation -> (row, left, right)
    column = 1 + 2 * LANGUAGES.index(language)
    for row, line in enumerate((TEXT / "facts.tsv").read_text(encoding="utf-8").splitlines()):
        if not line.startswith("#"):
            cells = line.split("\t")
            table.setdefault(cells[0], []).append((row, *cells[column : column + 2]))
    found = []
    for header in read_phrasings(TEXT / "facts.txt"):
        relation, _, how = header.partition(" ")
        forward = table[how.removeprefix("from ") if how.startswith("from ") else relation]
        reverse = [(row, right, left) for row, left, right in forward]
        lines = forward + reverse if how == "mirrored" else reverse if how else forward
        found += [Fact(relation, language, *line) for line in lines]
    return tuple(found)


def choices(language: str) -> dict[str, list[str]]:
    """The answers that each relation can give."""
    return {
        relation: list(dict.fromkeys(fact.key for fact in group))
        for relation, group in groupby(facts(language), key=lambda fact: fact.relation)
    }
