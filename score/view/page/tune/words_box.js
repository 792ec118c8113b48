// New words: labels that are typed, embedded and shown.

import { el } from "../shared/dom.js";
import { makeButton, makeLabel, makeLine } from "./parts.js";
import { GoneError } from "./api.js";

const WORDS_LOOK_MS = 250;

/** Labels of a text, one a line, each once. */
export function labelsOf(text) {
  const lines = text.split("\n").map((line) => line.trim());
  return [...new Set(lines.filter((line) => line !== ""))];
}

/** The box of new words. */
export class WordsBox {
  /**
   * @param {HTMLElement} host
   * @param {{api: object, onSet: function(string)}} page onSet hears of a new label set's name.
   */
  constructor(host, { api, onSet }) {
    this.api = api;
    this.onSet = onSet;
    this.box = el("textarea", {
      id: "words",
      attributes: { rows: 4, spellcheck: "false", "aria-describedby": "words-line" },
    });
    this.box.placeholder = "dog barking\nrain on a roof";
    this.button = makeButton("Show them", () => this.ask(), "primary");
    this.line = makeLine("hint", "words-line");
    const label = makeLabel("One label a line", "words");
    host.append(label, this.box, el("div", { class: "line-row" }, this.button, this.line));
    this.box.addEventListener("focus", () => this.warm());
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.ask();
    });
  }

  /** Take whether the text side is there, and why not. */
  setAvailable({ available, why }) {
    this.available = available;
    this.box.disabled = !available;
    this.button.disabled = !available;
    this.line.textContent = available ? "Ctrl+Enter shows them" : why;
  }

  async warm() {
    if (this.warmed || !this.available) return;
    this.warmed = true;
    try {
      await this.api.post("/api/words/warm");
    } catch {
      this.warmed = false;
    }
  }

  async ask() {
    if (this.button.disabled) return;
    this.button.disabled = true;
    this.line.textContent = "embedding …";
    try {
      await this.api.post("/api/words", { labels: labelsOf(this.box.value) });
      await this.follow();
    } catch (error) {
      this.line.textContent = error instanceof GoneError ? "the server does not answer" : error.message;
    } finally {
      this.button.disabled = !this.available;
    }
  }

  async follow() {
    for (;;) {
      const found = await this.api.get("/api/words");
      if (found.status === "done") {
        const seconds = found.ms === null ? "" : ` in ${(found.ms / 1000).toFixed(1)} s`;
        await this.onSet(found.text);
        this.line.textContent = `${found.labels.length} labels embedded${seconds}`;
        return;
      }
      if (found.status === "failed" || found.status === "idle") {
        this.line.textContent = found.error ?? "nothing came of it: ask again";
        return;
      }
      if (found.status === "warming") this.line.textContent = "the text encoder is being loaded …";
      await new Promise((done) => setTimeout(done, WORDS_LOOK_MS));
    }
  }
}
