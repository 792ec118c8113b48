// The right side: figures, rule, label set, controls, the search, new words.

import { el, clear, setText } from "../shared/dom.js";
import { plainText } from "../shared/words.js";
import { Controls } from "./controls.js";
import { Figures } from "./figures.js";
import { Find } from "./find.js";
import { makeButton, makeLabel, makeOptions } from "./parts.js";
import { WordsBox } from "./words_box.js";

/** The panels of the right side. */
export class SidePanel {
  /**
   * @param {HTMLElement} host
   * @param {object} page its api; asked() for what is shown; onParameter(name, value, gesture), onDone(name),
   *   onRule(name), onText(name), onUsual(), onFound(parameters, from), onWords(name) for what a person does.
   */
  constructor(host, page) {
    this.figures = new Figures(host);
    const scroll = el("div", { class: "side-scroll" });
    host.append(scroll);
    this.rule = el("select", { id: "rule" });
    this.rule.addEventListener("change", () => page.onRule(this.rule.value));
    this.text = el("select", { id: "text" });
    this.text.addEventListener("change", () => page.onText(this.text.value));
    this.text_row = el("div", { class: "choice-row" }, makeLabel("Labels", "text"), this.text);
    this.about = el("p", { class: "hint" });
    this.usual = makeButton("all usual", () => page.onUsual(), "quiet", { title: "every value as it usually is" });
    const head = el("div", { class: "panel-head" }, el("h2", { text: "Settings" }), el("span", { class: "grow" }));
    head.append(this.usual);
    const choices = el("div", { class: "choices" });
    choices.append(el("div", { class: "choice-row" }, makeLabel("Rule", "rule"), this.rule), this.text_row);
    const controls = el("div", { class: "controls" });
    const panel = el(
      "section",
      { class: "panel", attributes: { "aria-label": "Settings" } },
      head,
      choices,
      this.about,
    );
    panel.append(controls);
    this.controls = new Controls(controls, {
      onInput: page.onParameter,
      onDone: page.onDone,
      onVary: (name, on) => this.find.setVary(name, on),
    });
    const [find_panel, find_body] = foldedPanel("Find the best", "a search from these values");
    const [words_panel, words_body] = foldedPanel("New words", "type labels, and see them");
    scroll.append(panel, find_panel, words_panel);
    this.find = new Find(find_body, { ...page, onVary: (names) => this.controls.showVary(names) });
    find_panel.addEventListener("toggle", () => scroll.classList.toggle("searching", find_panel.open));
    this.words = new WordsBox(words_body, { api: page.api, onSet: page.onWords });
  }

  /** Take the server's state, the first or a newer one. */
  setState(state) {
    this.rules = state.rules;
    const refused = Object.fromEntries(
      state.rules.filter((rule) => rule.why_not).map((rule) => [rule.name, rule.why_not]),
    );
    clear(this.rule).append(
      ...makeOptions(
        state.rules.map((rule) => rule.name),
        refused,
      ),
    );
    this.setTexts(state.texts);
    this.figures.setDataset(state.dataset);
    this.find.setDataset(state.dataset);
    this.words.setAvailable(state.words);
    this.built = null;
  }

  /** Take other label sets. */
  setTexts(texts) {
    const options = texts.map(({ name, labels }) =>
      el("option", { text: `${plainText(name)} (${labels.length})`, attributes: { value: name } }),
    );
    clear(this.text).append(...options);
    this.text_row.hidden = texts.length < 2;
  }

  /** Show settings. */
  show(settings) {
    if (this.built !== settings.rule) {
      this.built = settings.rule;
      this.rule.value = settings.rule;
      const { about, inferred } = settings.rules.get(settings.rule);
      setText(this.about, inferred ? `${about}; ${inferred}` : about);
      this.controls.build(settings.parameters, settings.usual_values);
      this.find.setParameters(settings.rule, settings.parameters);
    }
    if (this.text.value !== settings.text) this.text.value = settings.text;
    this.controls.show(settings.values);
    this.usual.disabled = Object.entries(settings.usual_values).every(
      ([name, value]) => settings.values[name] === value,
    );
  }
}

function foldedPanel(title, about) {
  const heading = el("h2", { text: title });
  const body = el("div", { class: "panel-body" });
  const summary = el("summary", {}, heading, el("span", { class: "dim", text: about }));
  return [el("details", { class: "panel" }, summary, body), body];
}
