// Parts of which the panels are made.

import { el } from "../shared/dom.js";

/** A button of a word. */
export function makeButton(word, act, kind = "", attributes = {}) {
  const on = act ? { click: act } : {};
  return el("button", { class: kind, text: word, on, attributes: { type: "button", ...attributes } });
}

/** Options of a select; those that are refused say why. */
export function makeOptions(names, refused = {}) {
  return names.map((name) => {
    const why = refused[name] ?? null;
    return el("option", { text: name, attributes: { value: name, disabled: why !== null, title: why } });
  });
}

/** A word that names a control. */
export function makeLabel(word, id, kind = "") {
  return el("label", { class: kind, text: word, attributes: { for: id } });
}

/** A line that is written later, and read out then. */
export function makeLine(kind = "hint", id = "") {
  return el("p", { class: kind, id, attributes: { role: "status" } });
}
