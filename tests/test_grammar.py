"""The stories: a generator that never changes, entropy that is exact, texts without a slip."""

import itertools
import math
import re
import statistics
from pathlib import Path

import pytest

from minimind_lite.grammar import Choice, Grammar, Random64, Reference

LANGUAGES = ("en", "zh")
TINY = """\
# two plots, a slot with a column, a second draw from it, nested choices
join " "
slot name: he
  Mia, she | Tom, he
  Zoë, she
slot friend: another name
words weather
  sunny | cold and {wet|windy}
plot meeting
  One <weather> day [name] met [friend].
  {[name.He] smiled.|They {danced|sang{| softly}}.}
plot nap
  [name] slept {well|badly}.
"""


@pytest.fixture(scope="module", params=LANGUAGES)
def grammar(request) -> Grammar:
    return Grammar.load(request.param)


@pytest.fixture
def tiny(tmp_path) -> Grammar:
    path = tmp_path / "tiny.txt"
    path.write_text(TINY, encoding="utf-8")
    return Grammar(path)


# ---- the generator --------------------------------------------------------------------------

def test_random64_is_splitmix64():
    # the published sequence for this seed: rosettacode.org, "Pseudo-random numbers/Splitmix64"
    random = Random64(1234567)
    assert [random.next() for _ in range(5)] == [
        6457827717110365317, 3203168211198807973, 9817491932198370423,
        4593380528125082431, 16408922859458223821]


def test_random64_is_pinned_for_strings_and_splits():
    random = Random64("stories")
    assert [random.below(1000) for _ in range(6)] == [768, 911, 13, 685, 953, 714]
    assert [random.split("en").below(1000) for _ in range(2)] == [917, 917]
    assert Random64(1).split("a").next() != Random64(1).split("b").next()
    assert Random64(1).split("a").next() != Random64("1").split("a").next()


def test_below_has_no_bias_and_its_limits():
    class Scripted(Random64):
        def next(self):
            return next(self.script)

    random = Scripted(0)
    random.script = iter([2**64 - 1, 7])  # 2**64 % 3 == 1, so the last value must be rejected
    assert random.below(3) == 1 and next(random.script, None) is None
    random.script = iter([2**64 - 1])
    assert random.below(2**64) == 2**64 - 1
    for n in (0, -1, 2**64 + 1):
        with pytest.raises(ValueError, match="below"):
            random.below(n)


def test_shuffle_and_sample_are_uniform_permutations():
    random, counts = Random64(3), {}
    for _ in range(6000):
        items = [1, 2, 3]
        random.shuffle(items)
        counts[tuple(items)] = counts.get(tuple(items), 0) + 1
    assert len(counts) == 6 and all(abs(c - 1000) < 5 * math.sqrt(1000) for c in counts.values())
    assert sorted(random.sample(range(9), 9)) == list(range(9))
    assert random.choice("x") == "x"
    with pytest.raises(ValueError, match="4 different items from 3"):
        random.sample("abc", 4)


# ---- exactness, by enumeration --------------------------------------------------------------

class Enumerator:
    """Stands in for Random64 and walks through every sequence of draws, one after the other."""

    def __init__(self):
        self.script: list[list[int]] = []  # [value, n] of each draw
        self.at = 0

    def below(self, n: int) -> int:
        if self.at == len(self.script):
            self.script.append([0, n])
        self.at += 1
        return self.script[self.at - 1][0]

    def advance(self) -> bool:
        self.at = 0
        while self.script and self.script[-1][0] == self.script[-1][1] - 1:
            self.script.pop()
        if self.script:
            self.script[-1][0] += 1
        return bool(self.script)


def every_story(grammar, **bound):
    walker, more = Enumerator(), True
    while more:
        walker.at = 0
        story = grammar.sample(walker, **bound)
        yield math.prod(1 / n for _, n in walker.script), story
        more = walker.advance()


@pytest.mark.parametrize("bound", [{}, {"name": "Tom"}, {"friend": "Tom"}])
def test_tiny_grammar_by_enumeration(tiny, bound):
    stories = list(every_story(tiny, **bound))
    assert len({story.text for _, story in stories}) == len(stories)
    assert sum(p for p, _ in stories) == pytest.approx(1, abs=1e-12)
    for p, story in stories:
        assert story.bits == pytest.approx(-math.log2(p), abs=1e-12)
        assert bound.items() <= story.slots.items()
        assert story.slots["name"] != story.slots.get("friend")
    if not bound:
        # 3 * 2 pairs of names, 3 kinds of weather, 4 endings; 3 names, 2 naps
        assert len(stories) == 6 * 3 * 4 + 3 * 2
        assert tiny.entropy_bits() == pytest.approx(
            sum(p * -math.log2(p) for p, _ in stories), abs=1e-12)
        assert tiny.expected_bytes() == pytest.approx(
            sum(p * len(story.text.encode("utf-8")) for p, story in stories), abs=1e-9)
        assert all(tiny.bits(s.text) == pytest.approx(s.bits) for _, s in stories)


def test_parse_refuses_other_texts_and_finds_every_derivation(tiny, tmp_path):
    assert tiny.bits("Mia slept well.") == pytest.approx(1 + math.log2(3) + 1)
    assert tiny.bits("One sunny day Mia met Mia. She smiled.") is None
    assert tiny.bits("One sunny day Mia met Tom. He smiled.") is None
    assert tiny.bits("Mia slept well. ") is None
    path = tmp_path / "two.txt"
    path.write_text("plot a\n  {x|xy}{yz|z}\n", encoding="utf-8")
    two_ways = Grammar(path)
    assert len(two_ways.parse("xyz")) == 2 and collision(two_ways) == "xyz"
    with pytest.raises(ValueError, match="2 derivations"):
        two_ways.bits("xyz")


# ---- no two derivations give the same text: a proof -----------------------------------------

def collision(grammar: Grammar) -> str | None:
    """A text with two derivations, or None if there is none.

    The grammar becomes a finite automaton that reads one character a step and forgets slots (each
    mention is free to take any value), so it accepts every story and more. It is ambiguous if two
    different paths spell the same text: a search through the pairs of states that the same text
    reaches (Book, Even, Greibach and Ott 1971, "Ambiguity in graphs and expressions").
    """
    steps: list[list[tuple[str, int]]] = [[], []]  # state -> (character or "", next state)
    start, accept = 0, 1

    def spell(text: str, here: int, there: int) -> None:
        for character in text[:-1]:
            steps.append([])
            steps[here].append((character, len(steps) - 1))
            here = len(steps) - 1
        steps[here].append((text[-1:], there))

    def build(template, here: int, there: int) -> None:
        for i, part in enumerate(template):
            last = i == len(template) - 1
            if not last:
                steps.append([])
            after = there if last else len(steps) - 1
            if isinstance(part, str):
                spell(part, here, after)
            elif isinstance(part, Reference):
                for value in {row[part.column] for row in grammar.rows[part.slot].values()}:
                    spell(value, here, after)
            else:
                assert isinstance(part, Choice)
                for alternative in part.alternatives:
                    build(alternative, here, after)
            here = after
        if not template:
            steps[here].append(("", there))

    for template in grammar.plots.values():
        build((*template, "\0"), start, accept)

    def moves(state: int):
        """One entry for each way to the next character: skipping "" steps, then reading one."""
        for character, after in steps[state]:
            if character:
                yield character, after
            else:
                yield from moves(after)

    readable: dict[int, list[tuple[str, int]]] = {}
    seen, todo = {(start, start, False)}, [(start, start, False, "")]
    while todo:
        one, other, apart, text = todo.pop()
        if one == other == accept:
            if apart:
                return text.removesuffix("\0")
            continue
        first, second = (readable.setdefault(s, list(moves(s))) for s in (one, other))
        for (i, (a, p)), (j, (b, q)) in itertools.product(enumerate(first), enumerate(second)):
            state = (p, q, apart or (one == other and i != j) or p != q)
            if a == b and state not in seen:
                seen.add(state)
                todo.append((*state, text + a))
    return None


def test_no_two_derivations_give_the_same_text(grammar):
    assert collision(grammar) is None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_two_rounds_of_a_game_give_the_same_text(language):
    games = Grammar.load(language, "games")
    assert collision(games) is None
    rng = Random64(1)
    rounds = [games.sample(rng) for _ in range(20_000)]
    mean = sum(r.bits for r in rounds) / len(rounds)
    spread = (sum((r.bits - mean) ** 2 for r in rounds) / len(rounds)) ** 0.5
    assert abs(mean - games.entropy_bits()) < 4 * spread / len(rounds) ** 0.5


def test_the_proof_finds_collisions(tiny, tmp_path):
    assert collision(tiny) is None
    for i, (plots, text) in enumerate([
            ("plot a\n  so {it|{it|we}} ran\n", "so it ran"),
            ("plot a\n  we {ran|sat}\nplot b\n  we {sat|hid}\n", "we sat"),
            ("plot a\n  {a|}{a|}\n", "a")]):
        path = tmp_path / f"{i}.txt"
        path.write_text(plots, encoding="utf-8")
        assert collision(Grammar(path)) == text


def test_parsing_gives_back_the_derivation(grammar):
    random = Random64("parse")
    for _ in range(400):
        story = grammar.sample(random)
        found, = grammar.parse(story.text)
        assert (found.slots, found.plot) == (story.slots, story.plot)
        assert found.bits == pytest.approx(story.bits, abs=1e-9)


# ---- the stories ----------------------------------------------------------------------------

def test_entropy_and_length_agree_with_twenty_thousand_stories(grammar):
    random = Random64("monte carlo")
    stories = [grammar.sample(random) for _ in range(20_000)]
    for values, exact in [([s.bits for s in stories], grammar.entropy_bits()),
                          ([len(s.text.encode("utf-8")) for s in stories],
                           grammar.expected_bytes())]:
        error = statistics.stdev(values) / math.sqrt(len(values))
        assert 0 < error and abs(statistics.fmean(values) - exact) < 4 * error
    assert len({s.text for s in stories}) == len(stories)


def test_there_is_enough_to_tell(grammar):
    assert len(grammar.plots) >= 12
    assert 16 <= len(grammar.slots["animal"]) <= 24
    assert 16 <= len(grammar.slots["object"]) <= 24
    assert len(grammar.slots["name"]) >= 24
    for slots in grammar.plot_slots.values():
        assert {"name", "animal", "object"} <= set(slots)


def test_every_pair_of_animal_and_object_is_told(grammar):
    random = Random64("pairs")
    for animal, thing in itertools.product(grammar.slots["animal"], grammar.slots["object"]):
        story = grammar.sample(random, animal=animal, object=thing)
        assert animal in story.text and thing in story.text
        assert story.slots.get("pal") != animal
        assert story.slots.get("friend") != story.slots["name"]


def test_no_wrong_article_or_leftover_bracket_for_any_animal_in_any_plot(grammar):
    random, seen = Random64("articles"), set()
    wanted = {(plot, slot, value) for plot, slots in grammar.plot_slots.items()
              for slot in ("animal", "pal", "object") if slot in slots
              for value in grammar.slots[slot]}
    while not wanted <= seen:
        story = grammar.sample(random)
        seen |= {(story.plot, slot, value) for slot, value in story.slots.items()}
        assert not re.search(r"[][{}<>|]", story.text), story.text
        if grammar.join:
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  | [.,!?]", story.text, re.I)
            # lower case may follow a quotation's ! or ?, but never a sentence's end
            assert not re.search(r"\. [a-z]|^[a-z]", story.text), story.text
        else:
            assert not re.search(r"[ -~]|，，|。。|的的|地地", story.text), story.text


def test_pronouns_agree_with_the_names(grammar):
    """Where everyone in a story has the same gender, the other pronoun never occurs."""
    patterns = {"he": r"\b[Hh](e|im|is)\b", "she": r"\b([Ss]he|[Hh]er)\b",
                "他": "他(?!们)", "她": "她"}
    column = "he" if grammar.join else "ta"
    pronouns = ("he", "she") if grammar.join else ("他", "她")
    random, met = Random64("pronouns"), set()
    for _ in range(3000):
        story = grammar.sample(random)
        people = [story.slots[slot] for slot in ("name", "friend") if slot in story.slots]
        genders = {grammar.rows["name"][name][column] for name in people}
        for pronoun in pronouns:
            if re.search(patterns[pronoun], story.text):
                assert pronoun in genders, story.text
                met.add((story.plot, pronoun))
    assert len(met) >= len(grammar.plots)  # not every plot needs a pronoun


def test_measure_words_stand_before_their_nouns():
    grammar, random = Grammar.load("zh"), Random64("measure")
    words = "只匹头面盏个把条本支顶张"
    nouns = {noun: row["mw"] for slot in ("animal", "object")
             for noun, row in grammar.rows[slot].items()}
    pattern = re.compile(f"[一那这同]([{words}])(?:[^，。：！“]*?的)?({'|'.join(nouns)})")
    found = set()
    for _ in range(3000):
        for measure, noun in pattern.findall(grammar.sample(random).text):
            assert measure == nouns[noun], noun
            found.add(noun)
    assert found == set(nouns)


# ---- what goes wrong, said clearly ----------------------------------------------------------

def test_bound_slots_are_checked(grammar):
    first = grammar.slots["name"][0]
    fourth = grammar.slots["animal"][3]
    with pytest.raises(ValueError, match=f"animal cannot be 'unicorn'.*{fourth}"):
        grammar.sample(Random64(1), animal="unicorn")
    with pytest.raises(ValueError, match="no slot 'hat'"):
        grammar.sample(Random64(1), hat="red")
    with pytest.raises(ValueError, match="another slot has that value"):
        grammar.sample(Random64(1), name=first, friend=first)
    with pytest.raises(ValueError, match="'fr'.*'en' or 'zh'"):
        Grammar.load("fr")


SLOT = "slot name: he\n  Mia, she | Tom, he\n"


@pytest.mark.parametrize("text, line, problem", [
    (SLOT + "plot a\n  Hello [nam].", 4, r"slot \[nam\] is not defined"),
    (SLOT + "plot a\n  [name] [name.she].", 4, "no column 'she'"),
    (SLOT + "plot a\n  [name] <ran>.", 4, "words <ran> are not defined"),
    (SLOT + "plot a\n  [name] {ran|sat.", 4, "brace { is not closed"),
    (SLOT + "plot a\n  [name] ran}.", 4, "brace } closes nothing"),
    (SLOT + "plot a\n  [name ran.", 4, "bracket is not closed"),
    (SLOT + "plot a\n  [name] ran|sat.", 4, "outside of braces"),
    (SLOT + "plot a\n  [name] {ran|sat|ran}.", 4, "'ran' stands twice"),
    (SLOT + "plot a\n  [name] {ran}.", 4, "only one alternative"),
    (SLOT + "plot a\n", 3, "plot 'a' is empty"),
    (SLOT + "plot a\n  A\nplot a\n  B", 5, "no other plot has"),
    (SLOT + "plot a\n  {[name]|It} ran.", 3, r"can leave out \[name\]"),
    (SLOT + "plot a\n  So [name.he] ran.", 3, r"can leave out \[name\]"),
    (SLOT + "slot pal: another mane\nplot a\n  A", 3, "SLOT defined above"),
    ("slot name: he\n  Mia, she | Tom\nplot a\n  A", 2, "needs a new value"),
    ("slot name:\n  Mia\nplot a\n  A", 1, "at least two values"),
    ("words w\n  a | | b\nplot a\n  A", 1, "empty alternative"),
    ("  Hello\nplot a\n  A", 1, "needs a header"),
    ("story a\n  A", 1, "'story' is not one of"),
    (SLOT, 1, "no plot"),
])
def test_a_bad_template_is_one_sentence_with_file_and_line(tmp_path: Path, text, line, problem):
    path = tmp_path / "bad.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=problem) as error:
        Grammar(path)
    assert str(error.value).startswith(f"{path}, line {line}: ")
    assert "\n" not in str(error.value)
