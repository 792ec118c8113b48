// What stands around: the cache's name, undo and redo, outputs, keys.

import { el, clear } from "../shared/dom.js";
import { countText, plainText } from "../shared/words.js";
import { listenToKeys } from "./keys.js";
import { Outputs } from "./outputs.js";
import { makeButton } from "./parts.js";

const partOf = (id) => document.getElementById(id);

/** The head of the page, and its keys. */
export class Frame {
  /** @param {object} page what outputs need, and what keys do. */
  constructor(page) {
    this.undo = makeButton("Undo", page.undo, "", { title: "Ctrl+Z", disabled: true });
    this.redo = makeButton("Redo", page.redo, "", { title: "Ctrl+Shift+Z", disabled: true });
    partOf("history").append(this.undo, this.redo);
    this.outputs = new Outputs(partOf("outputs"), page);
    const keys = listenToKeys(page);
    partOf("help").append(makeButton("?", () => keys.show(), "", { "aria-label": "keys", title: "keys" }));
  }

  /** Show whether there are steps to undo, and to redo. */
  showSteps({ undo, redo }) {
    this.undo.disabled = undo === 0;
    this.redo.disabled = redo === 0;
  }

  /** Take the server's state. */
  setState(state) {
    const { path, backbone, clips, kind, identity } = state.cache;
    const name = plainText(path);
    const last = name.split(/[\\/]/).filter(Boolean).at(-1) ?? name;
    const holds = `${backbone}, ${countText(clips, "clip")}`;
    clear(partOf("cache")).append(el("b", { text: last }), el("span", { text: holds }));
    partOf("cache").title = `${name}: ${kind}, ${identity}`;
    this.outputs.setState(state);
  }
}
