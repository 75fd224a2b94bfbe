/* Chat with the model of chapter 08 in the page. What it could have said instead is shown for each
token that is pointed at or focused. The file of weights is loaded when a button is pressed. */
"use strict";
{
  const { Tokenizer, CharacterStream, Transformer, element, visible, softmax, generate, count, language } = MiniMind;
  const MAX_NEW_TOKENS = 200;
  const SHOWN = 8; // candidates for each token
  const TEXTS = {
    en: {
      load: (size) => `Load the model (${size} MB)`,
      about: "The model is a file beside this page. It runs in your browser: nothing you type leaves it.",
      loading: "Loading…",
      gone: "The file lite_weights.js is not beside this page any more: run `make html`.",
      log: "The conversation", odds: "What could have come instead",
      hint: "Point at a word of a reply to see what else could have come. With the keyboard: Tab to the " +
        "reply, then the arrow keys. Words under which dots run had less than even odds.",
      before: "What could have come here, before temperature, top-k and top-p:",
      you: "you: ", model: "model: ",
      ask: "Say something, in English or Chinese", example: "Hello! My name is Nora.",
      send: "Send", stop: "Stop", again: "Start over",
      sampling: "Sampling", temperature: "temperature", topK: "top-k", topP: "top-p", all: "all",
      long: (size, room) => `That is ${count(size, "token")}, and the model has room for ${room}: say it shorter.`,
    },
    zh: {
      load: (size) => `加载模型（${size} MB）`,
      about: "模型是这一页旁边的一个文件，就在你的浏览器里运行：你输入的内容不会离开这里。",
      loading: "正在加载……",
      gone: "文件 lite_weights.js 已不在这一页旁边：请运行 `make html`。",
      log: "对话", odds: "这里还可能出现什么",
      hint: "把鼠标移到回复里的一个词上，看看这里还可能出现什么。用键盘：按 Tab 进入回复，再按方向键。" +
        "带点状下划线的词，概率不到一半。",
      before: "这里可能出现的词元，按温度、top-k 和 top-p 处理之前的概率：",
      you: "你：", model: "模型：",
      ask: "说点什么，中文或英文都行", example: "你好！我叫小明。",
      send: "发送", stop: "停止", again: "重新开始",
      sampling: "采样", temperature: "温度", topK: "top-k", topP: "top-p", all: "不限",
      long: (size, room) => `这有 ${size} 个词元，而模型只容得下 ${room} 个：请说短一些。`,
    },
  };
  const say = TEXTS[language];

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
      if (ids.length > this.room) throw new RangeError(say.long(ids.length, this.room));
      this.messages = messages;
      return ids;
    }
  }

  /** The part of the page that comes once the weights are there. */
  function chatRoom(tokenizer, model) {
    const log = element("div", { class: "chat log", tabindex: 0, role: "group", "aria-label": say.log });
    const odds = element("div", { class: "odds", role: "group", "aria-label": say.odds });
    const heard = element("p", { class: "heard", role: "status" }); // for screen readers, once a reply is whole
    const trouble = element("p", { role: "alert" });
    const input = element("input", {
      type: "text", id: "chat-text", autocomplete: "off", maxlength: 1000, placeholder: say.example,
    });
    const send = element("button", { type: "submit", class: "primary" }, say.send);
    const number = (words, attributes) => element("label", {}, words, element("input", { type: "number", ...attributes }));
    const temperature = number(say.temperature, { min: 0, max: 5, step: "any", value: 0, required: true });
    const topK = number(say.topK, { min: 1, step: 1, placeholder: say.all });
    const topP = number(say.topP, { min: 0.001, max: 1, step: "any", placeholder: say.all });
    let conversation;
    let speaking = null; // the turn that is being answered: a new object for each

    /** What the three fields say, as `generate` takes it; an empty field means no limit. */
    function sampling() {
      const value = (label) => (label.lastChild.value === "" ? null : Number(label.lastChild.value));
      return { temperature: value(temperature), topK: value(topK), topP: value(topP) };
    }

    function showOdds(steps) {
      odds.replaceChildren(element("p", {}, say.before),
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
      const made = element("p", { class: who }, element("span", { class: "who" }, say[who]), ...content);
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
      send.textContent = say.stop;
      const content = await answer(ids, turn);
      turn.messages.push({ role: "assistant", content });
      heard.textContent = content;
      if (speaking === turn) stop();
    }

    function stop() {
      speaking = null;
      send.textContent = say.send;
    }

    function startOver() {
      stop();
      conversation = new Conversation(tokenizer, model.config.max_position_embeddings);
      log.replaceChildren();
      odds.replaceChildren(element("p", {}, say.hint));
      input.focus();
    }

    startOver();
    return [
      log,
      element("form", { class: "say", onsubmit: submit },
        element("label", { for: "chat-text" }, say.ask),
        element("div", { class: "controls" }, input, send,
          element("button", { type: "button", onclick: startOver }, say.again)),
        element("details", {}, element("summary", {}, say.sampling),
          element("div", { class: "controls" }, temperature, topK, topP))),
      trouble, odds, heard,
    ];
  }

  function build() {
    const state = element("p", { role: "status" }, say.about);
    const button = element("button", { type: "button", class: "primary", onclick: async () => {
      button.disabled = true;
      state.textContent = say.loading;
      try {
        await load("lite_weights.js");
      } catch {
        state.textContent = say.gone;
        return;
      }
      const room = chatRoom(new Tokenizer(MiniMind.tokenizerFile), new Transformer(MiniMind.weightsFile));
      document.getElementById("lite-chat").replaceChildren(...room);
      document.getElementById("chat-text").focus();
    } }, say.load((MiniMind.weightsSize / 1e6).toFixed(1)));
    return [button, state];
  }

  Object.assign(MiniMind, { Conversation, candidates });
  MiniMind.start("lite-chat", MiniMind.weightsSize, build);
}
