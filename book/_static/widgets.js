/* What the widgets share: making elements, showing what cannot be seen, the language, starting up. */
"use strict";
var MiniMind = globalThis.MiniMind || {};
{
  /** A new element: element("p", {class: "note"}, "text", child, …). "on…" attributes are listeners. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  const SIGNS = { " ": "␣", "\n": "⏎", "\t": "⇥" };

  /** A token's text with white space as signs, what has no shape as its number, accents on a circle. */
  function visible(text) {
    const shown = text.replace(/[ \n\t]/g, (character) => SIGNS[character])
      .replace(/[\p{Cc}\p{Cf}\p{Z}]/gu, (c) => "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0"));
    return /^\p{M}/u.test(shown) ? "◌" + shown : shown;
  }

  /** Tokens as running text; kind(group, i) names the colour. A line break is shown and done. */
  function runningTokens(groups, kind) {
    return groups.flatMap((group, i) => {
      const span = element("span", { class: `token ${kind(group, i)}` }, group.text.replaceAll("\n", "⏎"));
      return group.text.includes("\n") ? [span, element("br")] : [span, element("wbr")];
    });
  }

  /** A row of choices of which one holds: radio buttons, moved through with the arrow keys.
      choices: [[value, words], …]; chosen(value) is called on every change. */
  function choices(legend, name, options, chosen) {
    const label = ([value, words], i) => element("label", {},
      element("input", { type: "radio", name, value, checked: i === 0, onchange: () => chosen(value) }), words);
    return element("fieldset", {}, element("legend", {}, legend), ...options.map(label));
  }

  /** "1 token", "2 tokens" */
  function count(number, noun) {
    return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  }

  const NOT_TRAINED = {
    en: "This needs what the book trains on your machine, and it is not there yet: " +
      "run `make book`, then open this page again.",
    zh: "这里要用到本书在你的机器上训练出来的文件，现在还没有：请运行 `make book`，再打开本页。",
  };
  /** Widgets speak the language of the book around them, also on a page that is not translated yet. */
  const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";

  /** Build a widget into its place in the page, or say what is missing. */
  function start(id, needed, build) {
    const place = document.getElementById(id);
    place.replaceChildren(...(needed ? build() : [element("p", { class: "missing" }, NOT_TRAINED[language])]));
  }

  Object.assign(MiniMind, { element, visible, runningTokens, choices, count, start, language });
}
