"""Conversations, evaluation items and preference pairs, and what counts as a right reply.

Everything is split by prompt. A hash of what the user says puts it into training, validation or
test; a story belongs where the pair of its animal and object belongs. Three quarters of the
facts are asked about in training, in all phrasings but one; the rest is kept for the evaluation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from minimind_lite.facts import LANGUAGES, TEXT, Fact, choices, facts, fill, phrasings
from minimind_lite.facts import read_phrasings
from minimind_lite.grammar import Grammar, Random64

# How often a conversation is of each kind, out of the sum of all.
CONVERSATIONS = {
    "story": 12, "facts_seen": 20, "sum": 3, "repeat": 18, "reverse": 7, "greeting": 4,
    "identity": 4, "persona": 6, "name": 17, "mixed": 9,
}  # fmt: skip
# What may stand between other turns; a story is too long to come often.
SHORT = ("facts_seen", "sum", "repeat", "reverse", "greeting", "identity")
EVALUATED = (
    "story", "facts_seen", "facts_unseen", "sum", "repeat", "reverse", "greeting", "identity",
    "persona", "name", "mixed",
)  # fmt: skip
VALID, TEST = 8, 12  # percent of the prompts; the others are for training


@dataclass(frozen=True)
class Turn:
    """What the user says, a good reply, and what must be true of any good reply."""

    user: str
    reply: str
    expect: dict
    system: str = ""
    before: list[dict] = field(default_factory=list)  # the messages of earlier turns

    def prompt(self) -> list[dict]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, *self.before, {"role": "user", "content": self.user}]

    def messages(self) -> list[dict]:
        return [*self.prompt(), {"role": "assistant", "content": self.reply}]


@cache
def texts() -> dict:
    """Section -> language -> use -> templates and words of `text/chat.txt`."""
    return read_phrasings(TEXT / "chat.txt")


@cache
def names(language: str) -> tuple[str, ...]:
    """What a user may be called."""
    return (*Grammar.load(language).slots["name"], *texts()["name"][language]["name"])


def split_of(text: str) -> str:
    """Where a prompt belongs, for ever: "train", "valid" or "test"."""
    percent = Random64(f"split/{text}").below(100)
    return "test" if percent < TEST else "valid" if percent < TEST + VALID else "train"


@cache
def asked_rows(seed: int) -> frozenset[int]:
    """The lines of the fact table that training asks about: three quarters of each relation."""
    asked, decided = set(), set()
    for relation in phrasings():
        rows = {fact.row: None for fact in facts("en") if fact.relation == relation}
        rows = [row for row in rows if row not in decided]  # "from X" shares the rows of X
        Random64(f"asked/{seed}/{relation}").shuffle(rows)
        asked.update(rows[: len(rows) - len(rows) // 4])
        decided.update(rows)
    return frozenset(asked)


class Chat:
    """Draws turns and conversations of one language. The seed chooses which facts are asked."""

    def __init__(self, language: str, seed: int):
        self.language, self.seed = language, seed
        self.grammar = Grammar.load(language)
        self.asked = asked_rows(seed)
        self.choices = choices(language)

    def draw(self, skill: str, rng: Random64, split: str) -> Turn:
        """A turn of a skill (or several turns, of which the last matters) from one split."""
        if skill.startswith("facts") or skill == "sum":
            return self.fact_turn(*self.fact(skill, rng, split), rng)
        if skill in ("name", "mixed"):
            return getattr(self, skill)(rng, split)
        while True:
            turn = getattr(self, skill)(rng)
            if split_of(turn.expect.get("pair", turn.user)) == split:
                return turn

    def fact(self, skill: str, rng: Random64, split: str) -> tuple[Fact, str]:
        """A fact and a question. Only sums and facts_unseen are evaluated on facts never asked."""
        asked = skill == "facts_seen" or split != "test"
        held_out = asked and split != "train"
        of_skill = [
            fact for fact in facts(self.language)
            if (fact.relation == "sum") == (skill == "sum") and (fact.row in self.asked) == asked
        ]  # fmt: skip
        fact = rng.choice(of_skill)
        questions = phrasings()[fact.relation][self.language]["ask"]
        return fact, questions[-1] if held_out else rng.choice(questions[:-1])

    def fact_turn(self, fact: Fact, question: str, rng: Random64) -> Turn:
        reply = rng.choice(phrasings()[fact.relation][self.language]["reply"])
        expect = {"answer": fact.key, "choices": self.choices[fact.relation]}
        return Turn(fact.fill(question), fact.fill(reply), expect | {"relation": fact.relation})

    def pick(self, rng: Random64, section: str, use: str, **values: str) -> str:
        return fill(rng.choice(texts()[section][self.language][use]), **values)

    def story(self, rng: Random64) -> Turn:
        animal, thing = (rng.choice(self.grammar.slots[slot]) for slot in ("animal", "object"))
        asked = {"animal": animal, "object": thing}
        if self.language == "en":
            asked = {slot: f"{self.grammar.rows[slot][w]['a']} {w}" for slot, w in asked.items()}
        reply = self.grammar.sample(rng, animal=animal, object=thing).text
        expect = {"contains": [animal, thing], "pair": f"{animal}/{thing}"}
        return Turn(self.pick(rng, "story", "ask", **asked), reply, expect)

    def repeat(self, rng: Random64) -> Turn:
        if rng.below(4) == 0:  # what the facts are about, asked or not, is worth saying too
            phrase = rng.choice(facts(self.language)).subject
        else:
            kinds = texts()["repeat"][self.language].keys() - {"ask", "phrase"}
            words = {kind: self.pick(rng, "repeat", kind) for kind in sorted(kinds)}
            phrase = self.pick(rng, "repeat", "phrase", **words)
        return Turn(self.pick(rng, "repeat", "ask", phrase=phrase), phrase, {"exact": phrase})

    def reverse(self, rng: Random64) -> Turn:
        words = rng.sample(texts()["reverse"][self.language]["word"], 2 + rng.below(3))
        join = " " if self.language == "en" else "、"
        reply = join.join(reversed(words))
        user = self.pick(rng, "reverse", "ask", words=join.join(words))
        return Turn(user, reply, {"exact": reply})

    def greeting(self, rng: Random64) -> Turn:
        hello = self.pick(rng, "greeting", "hello")
        address = self.pick(rng, "greeting", "address", hello=hello)
        user = self.pick(rng, "greeting", "ask", address=address)
        return Turn(user, self.pick(rng, "greeting", "reply", hello=hello), {"contains": [hello]})

    def identity(self, rng: Random64, system: str = "", me: str = "") -> Turn:
        me = me or texts()["identity"][self.language]["me"][0]
        parts = {use: self.pick(rng, "identity", use) for use in ("before", "question", "after")}
        user = self.pick(rng, "identity", "ask", **parts)
        every = texts()["identity"][self.language]
        expect = {"answer": me, "choices": every["me"] + every["other"]}
        return Turn(user, self.pick(rng, "identity", "reply", me=me), expect, system)

    def persona(self, rng: Random64) -> Turn:
        """Who the assistant is, according to a system prompt."""
        me = self.pick(rng, "identity", "other")
        return self.identity(rng, self.pick(rng, "identity", "system", me=me), me)

    def name(self, rng: Random64, split: str) -> Turn:
        """The user gives a name, talks of something else, and asks for the name."""
        name = rng.choice(names(self.language))
        told, reply, recall, recalled = (
            self.pick(rng, "name", use, name=name) for use in ("ask", "reply", "recall", "recalled")
        )
        between = self.draw(rng.choice(SHORT), rng, split)
        before = [*Turn(told, reply, {}).messages(), *between.messages()]
        expect = {"answer": name, "choices": list(names(self.language))}
        return Turn(recall, recalled, expect, before=before)

    def mixed(self, rng: Random64, split: str) -> Turn:
        """Two to four turns of different skills; at most the last one is a story."""
        *first, last = rng.sample(SHORT, 2 + rng.below(3))
        before = [m for skill in first for m in self.draw(skill, rng, split).messages()]
        turn = self.draw("story" if rng.below(4) == 0 else last, rng, split)
        return Turn(turn.user, turn.reply, turn.expect, before=before)


def conversations(seed: int, count: int, split: str) -> Iterator[list[dict]]:
    """Chats of all skills, half of them English."""
    rng = Random64(f"chat/{seed}/{split}")
    chats = {language: Chat(language, seed) for language in LANGUAGES}
    skills = [skill for skill, often in CONVERSATIONS.items() for _ in range(often)]
    for _ in range(count):
        yield chats[rng.choice(LANGUAGES)].draw(rng.choice(skills), rng, split).messages()


def evaluation_items(seed: int, per_skill: int) -> Iterator[dict]:
    """Up to `per_skill` different prompts of each skill and language, none of them trained on."""
    for language in LANGUAGES:
        chat = Chat(language, seed)
        for skill in EVALUATED:
            rng, seen = Random64(f"evaluation/{seed}/{skill}/{language}"), set()
            for _ in range(20 * per_skill):
                turn = chat.draw(skill, rng, "test")
                if len(seen) < per_skill and str(turn.prompt()) not in seen:
                    seen.add(str(turn.prompt()))
                    yield {"skill": skill, "language": language,
                           "messages": turn.prompt(), "expect": turn.expect}  # fmt: skip


def preferences(seed: int, count: int) -> Iterator[dict]:
    """A good reply and a bad one to the same prompt: wrong fact, wrong language, does not stop."""
    rng = Random64(f"preference/{seed}")
    chats = {language: Chat(language, seed) for language in LANGUAGES}
    for _ in range(count):
        language, flaw = rng.choice(LANGUAGES), rng.below(3)
        chat, other = chats[language], chats["zh" if language == "en" else "en"]
        fact, question = chat.fact("facts_seen", rng, "train")
        turn = chat.fact_turn(fact, question, rng)
        if flaw == 0:  # the reply about another fact, with this subject
            wrong = [a for a in chat.choices[fact.relation] if a not in (fact.key, fact.subject)]
            bad = turn.reply.replace(fact.key, rng.choice(wrong))
            bad = bad[0].upper() + bad[1:]
        elif flaw == 1:
            twin = facts(other.language)[facts(language).index(fact)]
            bad = other.fact_turn(twin, question, rng).reply
        else:
            bad = f"{turn.reply} {chat.draw(rng.choice(SHORT), rng, 'train').reply}"
        rejected = [*turn.prompt(), {"role": "assistant", "content": bad}]
        yield {"chosen": turn.messages(), "rejected": rejected}


def mentions(text: str, words: list[str]) -> set[str]:
    """Which of the words occur in a text: whole words, the longest where two overlap.

    >>> mentions("十二月过后是一月。", ["一月", "二月", "十二月"]) == {"一月", "十二月"}
    True
    """
    longest = sorted(words, key=len, reverse=True)
    pattern = "|".join(re.escape(word) for word in longest)
    lower = {word.lower(): word for word in words}
    found = re.findall(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", text, re.IGNORECASE)
    return {lower[word.lower()] for word in found}


def is_correct(item: dict, reply: str) -> bool:
    """Does a reply do what an evaluation item asks for?

    expect has one of: "exact", the reply itself; "contains", words that must all occur;
    "answer" and "choices", where of the choices only the answer may occur, apart from what the
    question mentions.
    """
    expect = item["expect"]
    if "exact" in expect:
        return reply.strip() == expect["exact"]
    if "contains" in expect:
        return mentions(reply, expect["contains"]) == set(expect["contains"])
    question = mentions(item["messages"][-1]["content"], expect["choices"])
    return mentions(reply, expect["choices"]) - question == {expect["answer"]}


def in_language(item: dict, reply: str) -> bool:
    """Is a reply in the language of its question? A reply of numbers and signs is in both."""
    if not reply.strip():
        return False
    chinese = re.search(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]", reply)
    return not (chinese if item["language"] == "en" else re.search(r"[A-Za-z]", reply))
