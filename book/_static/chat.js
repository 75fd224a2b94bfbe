/* Chat with the model of chapter 08 in the page. What it could have said instead is shown for each
token that is pointed at or focused. The file of weights is loaded when a button is pressed. */
"use strict";
{
  const { Tokenizer, CharacterStream, Transformer, element, visible, softmax, generate, count } = MiniMind;
  const MAX_NEW_TOKENS = 200;
  const SHOWN = 8; // candidates for each token
  const HINT = "Point at a word of a reply to see what else could have come. With the keyboard: Tab to the " +
    "reply, then the arrow keys. Words under which dots run had less than even odds.";

  /** Let the browser draw and listen between two tokens. */
  const breathe = () => new Promise((done) => setTimeout(done));

  /** Load a script that lies beside this one. */
  function load(name) {
    const own = document.querySelector("script[src$='chat.js']").src;
    return new Promise((done, failed) => {
      const src = own.replace(/chat\.js$/, name);
      document.head.append(element("script", { src, onload: done, onerror: failed }));
    });
  }

  /** The likeliest tokens, [[id, probability], …], with the one that was drawn always among them. */
  function candidates(logits, drawn) {
    const ranked = softmax(Array.from(logits)).map((p, id) => [id, p]).sort((a, b) => b[1] - a[1]);
    const shown = ranked.slice(0, SHOWN);
    if (shown.some(([id]) => id === drawn)) return shown;
    return [...shown.slice(0, SHOWN - 1), ranked.find(([id]) => id === drawn)];
  }

  /** What was possible at one step, as a table; the token that was drawn is marked. */
  function oddsTable(tokenizer, { id: drawn, odds }) {
    const rows = odds.map(([id, p]) => element("tr", { class: id === drawn ? "drawn" : null },
      element("th", { scope: "row" }, (id === drawn ? "▸ " : "") + visible(tokenizer.decode([id]))),
      element("td", {}, p < 0.0005 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`),
      element("td", { class: "bar" }, element("span", { style: `width: ${100 * p}%` }))));
    return element("table", {}, ...rows);
  }

  /** What was said, and the ids of a prompt that leaves room for a reply. */
  class Conversation {
    constructor(tokenizer, positions) {
      this.tokenizer = tokenizer;
      this.room = positions - MAX_NEW_TOKENS;
      this.messages = [];
    }

    /** Ids up to where the reply begins; the oldest turns make room. Throws if the question alone is too long. */
    ask(question) {
      const messages = [...this.messages, { role: "user", content: question }];
      let { ids } = this.tokenizer.encodeChat(messages, true);
      while (ids.length > this.room && messages.length > 1) {
        messages.splice(0, 2);
        ({ ids } = this.tokenizer.encodeChat(messages, true));
      }
      if (ids.length > this.room) {
        const size = count(ids.length, "token");
        throw new RangeError(`That is ${size}, and the model has room for ${this.room}: say it shorter.`);
      }
      this.messages = messages;
      return ids;
    }
  }

  /** The part of the page that comes once the weights are there. */
  function chatRoom(tokenizer, model) {
    const log = element("div", { class: "chat log", tabindex: 0, role: "group", "aria-label": "The conversation" });
    const odds = element("div", { class: "odds", role: "group", "aria-label": "What could have come instead" });
    const heard = element("p", { class: "heard", role: "status" }); // for screen readers, once a reply is whole
    const trouble = element("p", { role: "alert" });
    const input = element("input", {
      type: "text", id: "chat-text", autocomplete: "off", maxlength: 1000, placeholder: "Hello! My name is Nora.",
    });
    const send = element("button", { type: "submit", class: "primary" }, "Send");
    const number = (words, attributes) => element("label", {}, words, element("input", { type: "number", ...attributes }));
    const temperature = number("temperature", { min: 0, max: 5, step: "any", value: 0, required: true });
    const topK = number("top-k", { min: 1, step: 1, placeholder: "all" });
    const topP = number("top-p", { min: 0.001, max: 1, step: "any", placeholder: "all" });
    let conversation;
    let speaking = null; // the turn that is being answered: a new object for each

    /** What the three fields say, as `generate` takes it; an empty field means no limit. */
    function sampling() {
      const value = (label) => (label.lastChild.value === "" ? null : Number(label.lastChild.value));
      return { temperature: value(temperature), topK: value(topK), topP: value(topP) };
    }

    function showOdds(steps) {
      odds.replaceChildren(element("p", {}, "What could have come here, before temperature, top-k and top-p:"),
        ...steps.map((step) => oddsTable(tokenizer, step)));
    }

    /** A word of a reply: points at the steps that made it. One of them is reached with Tab, the others with arrows. */
    function word(text, steps, isFirst) {
      const sure = steps.every(({ id, odds: all }) => all.find(([other]) => other === id)[1] >= 0.5);
      const special = tokenizer.special.has(text);
      const show = () => showOdds(steps);
      return element("span", {
        class: `token${special ? " special" : ""}${sure ? "" : " unsure"}`, role: "button", tabindex: isFirst ? 0 : -1,
        onmouseenter: show, onfocus: show,
      }, special ? text : text.replaceAll("\n", "⏎\n"));
    }

    function walk(event) {
      const words = [...event.currentTarget.querySelectorAll(".token")], at = words.indexOf(event.target);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: words.length - 1 }[event.key];
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // the arrows turn pages elsewhere
      words[to]?.focus();
    }

    function bubble(who, ...content) {
      const made = element("p", { class: who }, element("span", { class: "who" }, `${who}: `), ...content);
      log.append(made);
      log.scrollTop = log.scrollHeight;
      return made;
    }

    /** Stream the reply to a prompt into the log, as long as `turn` is the one being answered; its text. */
    async function answer(ids, turn) {
      const reply = bubble("model"), stream = new CharacterStream(tokenizer), all = [];
      reply.addEventListener("keydown", walk);
      let steps = [];
      const add = (group) => {
        reply.append(word(group.text, steps, all.length === group.ids.length));
        steps = [];
        log.scrollTop = log.scrollHeight;
      };
      for (let read = 8; read < ids.length && speaking === turn; read += 8) {
        model.read(ids.slice(0, read)); // in small bites, so that the page stays awake
        await breathe();
      }
      const options = { maxNewTokens: MAX_NEW_TOKENS, eosId: tokenizer.imEndId, ...sampling() };
      for (const { id, logits } of generate(model, ids, options)) {
        if (speaking !== turn) break;
        all.push(id);
        steps.push({ id, odds: candidates(logits, id) });
        const group = stream.push(id);
        if (group) add(group);
        await breathe();
      }
      const rest = stream.end();
      if (rest) add(rest);
      return tokenizer.decode(all.filter((id) => !tokenizer.special.has(tokenizer.decode([id]))));
    }

    async function submit(event) {
      event.preventDefault();
      if (speaking) return stop();
      const question = input.value.trim();
      if (!question) return;
      let ids;
      try {
        ids = conversation.ask(question);
        trouble.textContent = "";
      } catch (error) {
        return void (trouble.textContent = error.message);
      }
      bubble("you", question);
      input.value = "";
      const turn = speaking = { messages: conversation.messages };
      send.textContent = "Stop";
      const content = await answer(ids, turn);
      turn.messages.push({ role: "assistant", content });
      heard.textContent = content;
      if (speaking === turn) stop();
    }

    function stop() {
      speaking = null;
      send.textContent = "Send";
    }

    function startOver() {
      stop();
      conversation = new Conversation(tokenizer, model.config.max_position_embeddings);
      log.replaceChildren();
      odds.replaceChildren(element("p", {}, HINT));
      input.focus();
    }

    startOver();
    return [
      log,
      element("form", { class: "say", onsubmit: submit },
        element("label", { for: "chat-text" }, "Say something, in English or Chinese"),
        element("div", { class: "controls" }, input, send,
          element("button", { type: "button", onclick: startOver }, "Start over")),
        element("details", {}, element("summary", {}, "Sampling"),
          element("div", { class: "controls" }, temperature, topK, topP))),
      trouble, odds, heard,
    ];
  }

  function build() {
    const size = `${(MiniMind.weightsSize / 1e6).toFixed(1)} MB`;
    const state = element("p", { role: "status" },
      "The model is a file beside this page. It runs in your browser: nothing you type leaves it.");
    const button = element("button", { type: "button", class: "primary", onclick: async () => {
      button.disabled = true;
      state.textContent = "Loading…";
      try {
        await load("lite_weights.js");
      } catch {
        state.textContent = "The file lite_weights.js is not beside this page any more: run `make html`.";
        return;
      }
      const room = chatRoom(new Tokenizer(MiniMind.tokenizerFile), new Transformer(MiniMind.weightsFile));
      document.getElementById("lite-chat").replaceChildren(...room);
      document.getElementById("chat-text").focus();
    } }, `Load the model (${size})`);
    return [button, state];
  }

  Object.assign(MiniMind, { Conversation, candidates });
  MiniMind.start("lite-chat", MiniMind.weightsSize, build);
}
