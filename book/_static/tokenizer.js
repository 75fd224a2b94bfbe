/* The book's tokenizer, as minimind_lite/tokenizer.py has it: the same ids for the same text.

It reads the contents of tokenizer.json, which the build wraps into lite_data.js. These are classic
scripts, not modules: a browser does not load modules from a file. All share the one name MiniMind. */
"use strict";
var MiniMind = globalThis.MiniMind || {};
{
  // GPT-2's pattern. \s is spelled out: JavaScript's own has U+FEFF in it and lacks U+0085.
  const SPACE = "\\p{White_Space}";
  const WORD = new RegExp(
    `'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|${SPACE}+(?!\\P{White_Space})|${SPACE}+`, "gu");
  const utf8 = new TextEncoder();

  /** The printable character that stands for each byte in a vocabulary: byte -> character. */
  function byteAlphabet() {
    const alphabet = [];
    let next = 256; // bytes that cannot be printed get the characters from U+0100 on
    for (let byte = 0; byte < 256; byte++) {
      const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
      alphabet.push(String.fromCharCode(printable ? byte : next++));
    }
    return alphabet;
  }

  /** Words, each with the space before it, so that joined they are the text again. */
  function splitWords(text) {
    return text.match(WORD) ?? [];
  }

  /** Two ids as one number, to look a pair up by. */
  const pair = (left, right) => left * 2 ** 24 + right;

  class Tokenizer {
    /** file: the contents of a tokenizer.json of byte-level BPE. */
    constructor(file) {
      const alphabet = byteAlphabet();
      const byteOf = new Map(alphabet.map((character, byte) => [character, byte]));
      const { vocab, merges } = file.model;
      this.bytes = []; // id -> its bytes
      for (const [token, id] of Object.entries(vocab)) {
        this.bytes[id] = Uint8Array.from(token, (character) => byteOf.get(character));
      }
      this.special = new Map(); // spelling -> id
      for (const { content, id } of file.added_tokens) {
        this.special.set(content, id);
        this.bytes[id] = utf8.encode(content);
      }
      const spellings = [...this.special.keys()].map((spelling) => spelling.replaceAll("|", "\\|"));
      this.specialPattern = new RegExp(`(${spellings.join("|")})`);
      this.endId = this.special.get("<|endoftext|>");
      this.imStartId = this.special.get("<|im_start|>");
      this.imEndId = this.special.get("<|im_end|>");
      this.byteIds = alphabet.map((character) => vocab[character]);
      this.ranks = new Map(); // pair of ids -> [rank, id of the merged token]
      merges.forEach((merge, rank) => {
        const [left, right] = typeof merge === "string" ? merge.split(" ") : merge;
        this.ranks.set(pair(vocab[left], vocab[right]), [rank, vocab[left + right]]);
      });
    }

    get vocabSize() {
      return this.bytes.length;
    }

    /** Ids of a text; never a special id, whatever the text spells. */
    encode(text, addPrefixSpace = false) {
      if (addPrefixSpace && text && !text.startsWith(" ")) text = " " + text;
      return splitWords(text).flatMap((word) => this.merge(utf8.encode(word)));
    }

    /** Ids of one word: its bytes, and again and again the pair that was learned earliest, merged. */
    merge(bytes) {
      let ids = Array.from(bytes, (byte) => this.byteIds[byte]);
      for (;;) {
        let best = [Infinity];
        for (let i = 0; i + 1 < ids.length; i++) {
          const found = this.ranks.get(pair(ids[i], ids[i + 1]));
          if (found && found[0] < best[0]) best = [...found, ids[i], ids[i + 1]];
        }
        const [rank, product, left, right] = best;
        if (rank === Infinity) return ids;
        const merged = [];
        for (let i = 0; i < ids.length; i++) {
          const here = ids[i] === left && ids[i + 1] === right;
          merged.push(here ? product : ids[i]);
          if (here) i++;
        }
        ids = merged;
      }
    }

    /** Ids of a text in which special tokens are recognized, as most programs read a chat.
        The flag puts its space before every piece between two special tokens. */
    encodeWithSpecial(text, addPrefixSpace = false) {
      const pieces = text.split(this.specialPattern);
      return pieces.flatMap((piece) =>
        this.special.has(piece) ? [this.special.get(piece)] : this.encode(piece, addPrefixSpace));
    }

    /** A chat's ids, and for each whether it belongs to an assistant's reply or ends it.
        messages: a list of {role, content}. Header, content and end are encoded apart. */
    encodeChat(messages, addGenerationPrompt = false) {
      const ids = [], supervised = [];
      const add = (more, isTarget) => {
        ids.push(...more);
        supervised.push(...more.map(() => isTarget));
      };
      for (const { role, content } of messages) {
        add([this.imStartId, ...this.encode(role + "\n")], false);
        add([...this.encode(content), this.imEndId], role === "assistant");
        add(this.encode("\n"), false);
      }
      if (addGenerationPrompt) add([this.imStartId, ...this.encode("assistant\n")], false);
      return { ids, supervised };
    }

    /** The text of ids; bytes that are no UTF-8 (half a character, say) become U+FFFD. */
    decode(ids) {
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      return ids.map((id) => decoder.decode(this.bytes[id], { stream: true })).join("") + decoder.decode();
    }
  }

  /** Groups a stream of ids so that none ends within a character. */
  class CharacterStream {
    constructor(tokenizer) {
      this.tokenizer = tokenizer;
      this.waiting = []; // ids whose last character still lacks bytes
    }

    /** The group that is complete with this id, {ids, text}, or null while a character is open. */
    push(id) {
      this.waiting.push(id);
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      const text = this.waiting.map((i) => decoder.decode(this.tokenizer.bytes[i], { stream: true })).join("");
      const open = decoder.decode() !== ""; // what is half here becomes U+FFFD at the end
      return open ? null : { ids: this.waiting.splice(0), text };
    }

    /** What is left at the end, or null. */
    end() {
      return this.waiting.length ? { ids: this.waiting, text: this.tokenizer.decode(this.waiting) } : null;
    }
  }

  /** All groups of a list of ids. */
  function wholeCharacters(tokenizer, ids) {
    const stream = new CharacterStream(tokenizer);
    return [...ids.map((id) => stream.push(id)), stream.end()].filter((group) => group !== null);
  }

  Object.assign(MiniMind, { splitWords, Tokenizer, CharacterStream, wholeCharacters });
}
