"""Stories from a probabilistic grammar whose entropy is known exactly.

A template file (`text/stories.en.txt`, `text/stories.zh.txt`) is plain text. Lines that start
at the margin open a block, indented lines fill it, and `#` starts a comment line:

    join " "                      what stands between two sentences of a plot
    slot name: he                 a slot and the columns after its value; | or a line ends a row
      Mia, she | Tom, he
    slot friend: another name     the same values, never the one that `name` has in this story
    words weather                 a named choice, drawn anew wherever <weather> stands
      sunny | cold and {wet|windy}
    plot rain                     a plot; each indented line is a sentence
      One <weather> day [name] met [friend]. {[name.He] smiled.|They {danced|sang}.}

`[name]` is the slot's value, `[name.he]` another column of its row, `[name.He]` the same with a
capital. A slot is drawn once a story, then reused. Every draw is uniform: the plot, each slot,
each `{choice}` on the way. So a derivation's probability is a product of 1/n, and by linearity
its mean surprise (Shannon 1948, the entropy) and its mean length follow from the structure. The
text has the derivation's probability only if no two derivations spell the same text; loading
refuses what would break that at once, and `tests/test_grammar.py` proves the rest.
"""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MASK = 2**64 - 1


class Random64:
    """splitmix64: seeded integers that are the same on every platform and Python version.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    A seed that is a string is hashed with SHA-256 (Python's own `hash` changes by process).
    """

    def __init__(self, seed: int | str):
        self.seed = seed
        if isinstance(seed, str):
            seed = int.from_bytes(hashlib.sha256(seed.encode("utf-8")).digest()[:8], "big")
        self.state = seed & MASK

    def next(self) -> int:
        """The next integer in [0, 2**64)."""
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """A uniform integer in [0, n), for n from 1 to 2**64."""
        if not 1 <= n <= 2**64:
            raise ValueError(f"below(n) needs 1 <= n <= 2**64, not {n}")
        limit = 2**64 - 2**64 % n  # the last, incomplete run of n would favour small values
        value = self.next()
        while value >= limit:
            value = self.next()
        return value % n

    def choice(self, items):
        """One item of a non-empty sequence."""
        return items[self.below(len(items))]

    def shuffle(self, items: list) -> None:
        """Shuffles a list in place (Fisher and Yates)."""
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]

    def sample(self, items, k: int) -> list:
        """k items at different positions, in random order."""
        if not 0 <= k <= len(items):
            raise ValueError(f"cannot draw {k} different items from {len(items)}")
        items = list(items)
        self.shuffle(items)
        return items[:k]

    def split(self, name: str) -> "Random64":
        """An independent stream; depends on seed and name, not on what was drawn so far."""
        return Random64(f"{self.seed!r}/{name}")


@dataclass(frozen=True)
class Story:
    """A text, its surprise in bits (-log2 P given the bound slots), its slots and plot."""

    text: str
    bits: float
    slots: dict[str, str]
    plot: str


@dataclass(frozen=True)
class Reference:
    """`[slot]` or `[slot.column]`."""

    slot: str
    column: str


@dataclass(frozen=True)
class Choice:
    """`{one|another}`: alternatives of equal probability."""

    alternatives: tuple["Template", ...]
    bits: float = field(init=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "bits", math.log2(len(self.alternatives)))


Template = tuple[str | Reference | Choice, ...]


class Grammar:
    """The stories of one template file.

    `slots` maps a slot to its values, `rows` to its values' columns, `base` to the slot whose
    values it shares (itself, unless it is `another` one), `plots` maps a name to a template.
    """

    def __init__(self, path: str | Path):
        self.path, self.join = Path(path), " "
        self.slots: dict[str, list[str]] = {}
        self.rows: dict[str, dict[str, dict[str, str]]] = {}
        self.base: dict[str, str] = {}
        self.words: dict[str, Choice] = {}
        self.plots: dict[str, Template] = {}
        self.plot_slots: dict[str, list[str]] = {}  # the slots each plot draws, in order
        self._read(self.path.read_text(encoding="utf-8"))

    @classmethod
    def load(cls, language: str, of: str = "stories") -> "Grammar":
        """A grammar that comes with the package: "stories" or "games", in "en" or "zh"."""
        path = Path(__file__).parent / "text" / f"{of}.{language}.txt"
        if not path.exists():
            raise ValueError(f"there are no {of} in {language!r}; choose 'en' or 'zh'")
        return cls(path)

    def sample(self, rng: Random64, **bound: str) -> Story:
        """A random story; slots given by name are fixed and cost no bits.

        ValueError for a slot or a value that the grammar does not have.
        """
        plots = self._plots_for(bound)
        plot = plots[rng.below(len(plots))]
        bits, values, family = math.log2(len(plots)), dict(bound), {}
        for slot, value in bound.items():
            family.setdefault(self.base[slot], []).append(value)
        for slot in self.plot_slots[plot]:
            if slot not in bound:
                taken = family.setdefault(self.base[slot], [])
                free = self.slots[slot]
                if taken:
                    free = [value for value in free if value not in taken]
                values[slot] = free[rng.below(len(free))]
                taken.append(values[slot])
                bits += math.log2(len(free))
        rows = {slot: self.rows[slot][value] for slot, value in values.items()}
        out: list[str] = []
        bits += _write(self.plots[plot], rows, rng, out)
        return Story("".join(out), bits, values, plot)

    def entropy_bits(self) -> float:
        """The entropy of a story in bits, exact: the mean of -log2 P over all stories."""
        plots = [self._slot_bits(plot) + _entropy(parts) for plot, parts in self.plots.items()]
        return math.log2(len(plots)) + sum(plots) / len(plots)

    def expected_bytes(self) -> float:
        """The mean length of a story in UTF-8 bytes, exact.

        Each slot alone is uniform, `another` one too (by symmetry), and means add up.
        """
        return sum(self._length(parts) for parts in self.plots.values()) / len(self.plots)

    def parse(self, text: str) -> list[Story]:
        """All derivations of a text: one if the grammar can tell it, none if it cannot."""
        found = []
        for plot, parts in self.plots.items():
            bits = math.log2(len(self.plots)) + self._slot_bits(plot)
            for end, inner, values in self._match(parts, text, 0, {}):
                if end == len(text):
                    found.append(Story(text, bits + inner, values, plot))
        return found

    def bits(self, text: str) -> float | None:
        """-log2 P(text), or None for a text that the grammar cannot tell."""
        found = self.parse(text)
        if len(found) > 1:
            raise ValueError(f"{self.path}: {len(found)} derivations give the text {text!r}")
        return found[0].bits if found else None

    def _plots_for(self, bound: Mapping[str, str]) -> list[str]:
        seen: set[tuple[str, str]] = set()
        for slot, value in bound.items():
            if slot not in self.slots:
                raise ValueError(f"no slot {slot!r}; there are {', '.join(self.slots)}")
            if value not in self.rows[slot]:
                allowed = ", ".join(self.slots[slot])
                raise ValueError(f"{slot} cannot be {value!r}; choose one of {allowed}")
            if (self.base[slot], value) in seen:
                raise ValueError(f"{slot} cannot be {value!r}: another slot has that value")
            seen.add((self.base[slot], value))
        plots = [plot for plot, slots in self.plot_slots.items() if bound.keys() <= set(slots)]
        if not plots:
            raise ValueError(f"no plot has all of the slots {', '.join(bound)}")
        return plots

    def _slot_bits(self, plot: str) -> float:
        bases = [self.base[slot] for slot in self.plot_slots[plot]]
        return sum(math.log2(len(self.slots[base]) - bases[:i].count(base))
                   for i, base in enumerate(bases))

    def _length(self, template: Template) -> float:
        total = 0.0
        for part in template:
            if isinstance(part, str):
                total += len(part.encode("utf-8"))
            elif isinstance(part, Reference):
                rows = self.rows[part.slot].values()
                total += sum(len(row[part.column].encode("utf-8")) for row in rows) / len(rows)
            else:
                total += sum(map(self._length, part.alternatives)) / len(part.alternatives)
        return total

    def _match(self, template: Template, text: str, at: int,
               values: dict[str, str]) -> Iterator[tuple[int, float, dict[str, str]]]:
        """Every way to read `template` at position `at`: (end, bits of choices, slots)."""
        if not template:
            yield at, 0.0, values
            return
        part, rest = template[0], template[1:]
        if isinstance(part, str):
            if text.startswith(part, at):
                yield from self._match(rest, text, at + len(part), values)
        elif isinstance(part, Reference):
            rows, base = self.rows[part.slot], self.base[part.slot]
            taken = {v for slot, v in values.items() if self.base[slot] == base}
            known = part.slot in values
            for value in [values[part.slot]] if known else rows:
                spelled = rows[value][part.column]
                if (known or value not in taken) and text.startswith(spelled, at):
                    more = values if known else {**values, part.slot: value}
                    yield from self._match(rest, text, at + len(spelled), more)
        else:
            for alternative in part.alternatives:
                for middle, bits, inner in self._match(alternative, text, at, values):
                    for end, more, outer in self._match(rest, text, middle, inner):
                        yield end, part.bits + bits + more, outer

    def _fail(self, line: int, problem: str) -> None:
        raise ValueError(f"{self.path}, line {line}: {problem}")

    def _read(self, text: str) -> None:
        blocks: list[tuple[int, str, list[tuple[int, str]]]] = []  # line, header, body
        for line, content in enumerate(text.splitlines(), 1):
            if not content.strip() or content.startswith("#"):
                continue
            if content[0] not in " \t":
                blocks.append((line, content.strip(), []))
            elif blocks:
                blocks[-1][2].append((line, content.strip()))
            else:
                self._fail(line, "an indented line needs a header such as 'plot rain' above it")
        for line, header, body in blocks:
            kind, _, rest = header.partition(" ")
            name, _, columns = (part.strip() for part in rest.partition(":"))
            if kind == "join":
                self.join = rest.strip().strip('"')
            elif kind not in ("slot", "words", "plot"):
                self._fail(line, f"{kind!r} is not one of join, slot, words, plot")
            elif not name or name in {"slot": self.slots, "words": self.words,
                                      "plot": self.plots}[kind]:
                self._fail(line, f"{kind} needs a name that no other {kind} has")
            elif kind == "slot":
                self._read_slot(line, name, columns.split(), body)
            elif not body:
                self._fail(line, f"{kind} {name!r} is empty; indent its lines under it")
            elif kind == "words":
                found = [one for n, content in body for one in self._parse(content, n)]
                if () in found:
                    self._fail(line, f"words {name!r} has an empty alternative")
                self.words[name] = self._choice(found, line)
            else:
                self._read_plot(line, name, body)
        if not self.plots:
            self._fail(1, "the file has no plot; add 'plot NAME' and indented sentences")

    def _read_slot(self, line: int, name: str, columns: list[str],
                   body: list[tuple[int, str]]) -> None:
        self.base[name] = name
        if columns[:1] == ["another"]:
            if len(columns) != 2 or columns[1] not in self.slots or body:
                self._fail(line, "write 'slot NAME: another SLOT', with SLOT defined above")
            self.base[name] = self.base[columns[1]]
            self.slots[name], self.rows[name] = self.slots[columns[1]], self.rows[columns[1]]
            return
        rows: dict[str, dict[str, str]] = {}
        for n, content in body:
            for row in content.split("|"):
                fields = [f.strip() for f in row.split(",")]
                if len(fields) != 1 + len(columns) or not all(fields) or fields[0] in rows:
                    self._fail(n, f"a row of {name!r} needs a new value, then {columns}: {row!r}")
                rows[fields[0]] = {"": fields[0]}
                for column, f in zip(columns, fields[1:]):
                    rows[fields[0]] |= {column: f,
                                        column.capitalize(): f[0].upper() + f[1:]}
        if len(rows) < 2:
            self._fail(line, f"slot {name!r} needs at least two values")
        self.slots[name], self.rows[name] = list(rows), rows

    def _read_plot(self, line: int, name: str, body: list[tuple[int, str]]) -> None:
        parts: list[str | Reference | Choice] = []
        for n, content in body:
            sentence = self._parse(content, n)
            if len(sentence) > 1:
                self._fail(n, "a bar | stands outside of braces")
            parts += ([self.join] if parts and self.join else []) + list(sentence[0])
        used, always = _mentions(tuple(parts), any), _mentions(tuple(parts), all)
        for slot in used:
            if slot not in always:
                self._fail(line, f"plot {name!r} can leave out [{slot}]; name it in every story")
        # a value is drawn before `another` one, whatever the order of the sentences
        self.plot_slots[name] = [slot for slot in self.slots if slot in used]
        self.plots[name] = tuple(parts)

    def _choice(self, alternatives: list[Template], line: int) -> Choice:
        for i, alternative in enumerate(alternatives):
            if alternative in alternatives[:i]:
                self._fail(line, f"the alternative {_show(alternative)!r} stands twice")
        if len(alternatives) < 2:
            self._fail(line, f"only one alternative: {_show(alternatives[0])!r}; add another")
        return Choice(tuple(alternatives))

    def _parse(self, text: str, line: int) -> list[Template]:
        """The alternatives of one line; spaces on both sides of a bar do not count."""
        open_choices: list[list[list]] = [[[]]]  # innermost last; alternatives of parts
        text = re.sub(r" +\| +", "|", text)
        for token in re.split(r"([{}|]|\[[^][{}|]*\]|<[^<>{}|]*>)", text):
            if token == "{":
                open_choices.append([[]])
            elif token == "|":
                open_choices[-1].append([])
            elif token == "}":
                if len(open_choices) == 1:
                    self._fail(line, "a brace } closes nothing")
                alternatives = [tuple(parts) for parts in open_choices.pop()]
                open_choices[-1][-1].append(self._choice(alternatives, line))
            elif token[:1] == "[" and token[-1] == "]":
                slot, _, column = token[1:-1].partition(".")
                if slot not in self.slots:
                    self._fail(line, f"slot {token} is not defined above this line")
                if column not in next(iter(self.rows[slot].values())):
                    self._fail(line, f"slot [{slot}] has no column {column!r}")
                open_choices[-1][-1].append(Reference(slot, column))
            elif token[:1] == "<" and token[-1] == ">":
                if token[1:-1] not in self.words:
                    self._fail(line, f"words {token} are not defined above this line")
                open_choices[-1][-1].append(self.words[token[1:-1]])
            elif set(token) & set("[]<>"):
                self._fail(line, f"a bracket is not closed or not opened in {token!r}")
            elif token:
                open_choices[-1][-1].append(token)
        if len(open_choices) > 1:
            self._fail(line, "a brace { is not closed")
        return [tuple(parts) for parts in open_choices[0]]


def _write(template: Template, rows: Mapping[str, Mapping[str, str]], rng: Random64,
           out: list[str]) -> float:
    """Appends the pieces of a random text to `out`; the surprise of its choices in bits."""
    bits = 0.0
    for part in template:
        if part.__class__ is str:
            out.append(part)
        elif part.__class__ is Reference:
            out.append(rows[part.slot][part.column])
        else:
            alternatives = part.alternatives
            bits += part.bits + _write(alternatives[rng.below(len(alternatives))], rows, rng, out)
    return bits


def _entropy(template: Template) -> float:
    """The entropy of a template's choices in bits: log2 n each, plus the mean of what follows."""
    return sum(part.bits + sum(map(_entropy, part.alternatives)) / len(part.alternatives)
               for part in template if isinstance(part, Choice))


def _mentions(template: Template, quantifier) -> set[str]:
    """The slots whose own value stands in any (or all) of the texts of a template."""
    slots = {part.slot for part in template if isinstance(part, Reference)
             and (not part.column or quantifier is any)}
    for part in template:
        if isinstance(part, Choice):
            inner = [_mentions(alternative, quantifier) for alternative in part.alternatives]
            slots |= set.union(*inner) if quantifier is any else set.intersection(*inner)
    return slots


def _show(template: Template) -> str:
    """A template as it may be written in the file, for messages."""
    return "".join(part if isinstance(part, str) else f"[{part.slot}]"
                   if isinstance(part, Reference) else "{...}" for part in template)
