"""What the checks of notebook 02 ask a student's function, and the reasons that they give."""

import time

from exercises.checks import expect, run, same, show_call
from minimind_lite.bpe import train_bpe


def count(count_pairs, words, wanted, reason, *mistakes):
    words = [(list(word), weight) for word, weight in words]
    same(run(count_pairs, words), wanted, show_call(count_pairs, words), reason, mistakes)


def encode(encode_word, text, merges, wanted, reason, *mistakes):
    tokens = [bytes([byte]) for byte in text.encode()]
    ranks = {tuple(part.encode() for part in merge.split("+")): i for i, merge in enumerate(merges)}
    call, wanted = show_call(encode_word, tokens, ranks), [part.encode() for part in wanted.split()]
    known = [([part.encode() for part in value.split()], why) for value, why in mistakes]
    same(run(encode_word, tokens, ranks), wanted, call, reason, known)


def order(train, texts, count, reason, *mistakes):
    wanted = train_bpe(texts, 256 + count)[1]
    same(run(train, texts, count), wanted, show_call(train, texts, count), reason, mistakes)


def digits(split_digits, text, wanted, reason, *mistakes):
    got, call = run(split_digits, text), show_call(split_digits, text)
    expect(all(isinstance(piece, str) for piece in got), f"Return a list of str: {call}")
    if all(list(got) != value for value, _ in mistakes):
        joined = "".join(got)
        expect(joined == text, f"Joined, your pieces are {joined!r}: some is lost or added. {call}")
    same(list(got), wanted, call, reason, mistakes)


def fast(train_fast, naive_train, words, count, reason, *mistakes):
    call, wanted = show_call(train_fast, words, count), naive_train(words, count)
    same(run(train_fast, words, count), wanted, call, reason, mistakes)


def seconds(trainer, words, count):
    start = time.process_time()
    merges = run(trainer, words, count)
    return time.process_time() - start, merges
