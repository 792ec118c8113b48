// The keyboard.

import { el } from "../shared/dom.js";
import { makeButton } from "./parts.js";

const KEYS = [
  ["space", "play, pause"],
  ["← →", "a segment back, on"],
  ["↑ ↓", "the clip before, after"],
  ["Ctrl+Z", "undo"],
  ["Ctrl+Shift+Z", "redo"],
  ["c", "to the controls"],
  ["/", "search clips"],
  ["?", "this list"],
];

/**
 * Hear keys that no input takes for itself.
 * @param {{toggle: function(), segment: function(number), clip: function(number), undo: function(), redo: function(),
 *   controls: function(), search: function()}} act
 * @returns {{show: function()}} shows the list of keys.
 */
export function listenToKeys(act) {
  const dialog = keysDialog();
  const show = () => dialog.showModal();
  const plain = {
    " ": act.toggle,
    ArrowLeft: () => act.segment(-1),
    ArrowRight: () => act.segment(1),
    ArrowUp: () => act.clip(-1),
    ArrowDown: () => act.clip(1),
    c: act.controls,
    "/": act.search,
    "?": show,
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.ctrlKey || event.metaKey) {
      const undoes = event.key.toLowerCase() === "z";
      const redoes = (undoes && event.shiftKey) || event.key.toLowerCase() === "y";
      if ((!undoes && !redoes) || writesText(event.target)) return;
      event.preventDefault();
      (redoes ? act.redo : act.undo)();
      return;
    }
    const found = plain[event.key];
    if (!found || takesKey(event.target, event.key)) return;
    event.preventDefault();
    found();
  });
  return { show };
}

function writesText(node) {
  if (node instanceof HTMLTextAreaElement) return true;
  return node instanceof HTMLInputElement && ["text", "search", "number"].includes(node.type);
}

function takesKey(node, key) {
  if (!(node instanceof Element) || node === document.body) return false;
  if (writesText(node) || node instanceof HTMLSelectElement) return true;
  const arrow = key.startsWith("Arrow");
  if (node instanceof HTMLInputElement) return node.type === "range" ? arrow : key === " ";
  if (node.closest("video, audio")) return arrow || key === " ";
  if (node.closest("[role=slider]")) return arrow || key === " ";
  if (node.closest(".event")) return false; // space goes on playing, or stops it; Enter plays the event
  return key === " " && node.closest("button, summary, a") !== null;
}

function keysDialog() {
  const rows = KEYS.map(([key, does]) =>
    el("div", { class: "key-row" }, el("kbd", { text: key }), el("span", { text: does })),
  );
  const title = el("h2", { id: "keys-title", text: "Keys" });
  const dialog = el("dialog", { attributes: { "aria-labelledby": "keys-title" } }, title, ...rows);
  dialog.append(
    el(
      "div",
      { class: "dialog-buttons" },
      makeButton("Close", () => dialog.close(), "primary"),
    ),
  );
  document.body.append(dialog);
  return dialog;
}
