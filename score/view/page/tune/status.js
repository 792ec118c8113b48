// What the page says of itself: a status line, and banners for what does not pass by itself.

import { el } from "../shared/dom.js";
import { makeButton } from "./parts.js";

/** The status line and the banners. */
export class Status {
  /**
   * @param {HTMLElement} line
   * @param {HTMLElement} banners
   */
  constructor(line, banners) {
    this.line = line;
    this.banners = banners;
    this.shown = new Map();
  }

  /** Write a line; wrong ones stand out. */
  say(text, wrong = false) {
    this.line.textContent = text;
    this.line.classList.toggle("wrong", wrong);
  }

  /** What was wrong is so no more. */
  right() {
    if (this.line.classList.contains("wrong")) this.say("");
  }

  /**
   * Show a banner, or take it away where there is no text.
   * @param {string} name of it.
   * @param {string|null} text
   * @param {{word: string, act: function()}=} button
   */
  banner(name, text, button) {
    const before = this.shown.get(name);
    if (before?.dataset.text === text) return;
    before?.remove();
    this.shown.delete(name);
    if (!text) return;
    const node = el(
      "div",
      { class: `banner banner-${name}`, dataset: { text }, attributes: { role: "alert" } },
      el("span", { text }),
    );
    if (button) node.append(makeButton(button.word, button.act));
    this.shown.set(name, node);
    this.banners.append(node);
  }
}
