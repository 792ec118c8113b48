// Figures over the split, with their change since the settings were last saved.

import { el, clear } from "../shared/dom.js";
import { countText } from "../shared/words.js";
import { makeButton } from "./parts.js";

const SMALLEST = 0.005;
const LESS_IS_BETTER = /error|deletion|insertion|substitution/;

function figureCell(value) {
  return value === null || value === undefined ? "–" : value.toFixed(2);
}

/** The panel of figures. */
export class Figures {
  /** @param {HTMLElement} host */
  constructor(host) {
    this.title = el("h2", { text: "Figures" });
    this.about = el("span", { class: "dim about" });
    this.more = makeButton("all", () => this.showAll(this.more.ariaPressed !== "true"), "quiet", {
      "aria-pressed": "false",
    });
    this.since = el("th", { attributes: { scope: "col" } });
    const named = (text) => el("th", { attributes: { scope: "col" } }, el("span", { class: "visually-hidden", text }));
    const head = el("tr", {}, named("figure"), named("value"), this.since);
    this.body = el("tbody", {});
    this.table = el("table", { class: "figures" }, el("thead", {}, head), this.body);
    this.note = el("p", { class: "hint" });
    this.node = el("section", { class: "panel figures-panel", attributes: { "aria-label": "Figures" } });
    this.node.append(
      el("div", { class: "panel-head" }, this.title, this.about, el("span", { class: "grow" }), this.more),
    );
    this.node.append(this.table, this.note);
    host.append(this.node);
    this.rows = new Map();
    this.base = null;
    this.figures = null;
    this.setSince("since the start");
  }

  /** Take what is measured; null: nothing is. */
  setDataset(dataset) {
    this.dataset = dataset;
    clear(this.body);
    this.rows.clear();
    this.table.hidden = dataset === null;
    this.more.hidden = dataset === null || dataset.figures.length <= dataset.shown.length;
    if (dataset === null) {
      this.about.textContent = "";
      this.note.textContent =
        "No annotations: with --annotations DIR --dataset NAME --split val figures stand here, and move.";
      return;
    }
    const found = dataset.found < dataset.clips ? `${dataset.found} of ` : "";
    const whose = [dataset.title ?? dataset.name, dataset.split].filter(Boolean).join(" ");
    this.about.textContent = `${whose}, ${found}${countText(dataset.clips, dataset.of)}`;
    for (const name of new Set([...dataset.shown, ...dataset.figures])) this.addRow(name);
    this.showAll(false);
  }

  addRow(name) {
    const value = el("td", { class: "value" });
    const change = el("td", { class: "change" });
    const node = el("tr", { dataset: { name } }, el("th", { text: name, attributes: { scope: "row" } }), value, change);
    node.classList.toggle("objective", name === this.dataset.objective);
    this.rows.set(name, { node, value, change });
    this.body.append(node);
  }

  showAll(all) {
    this.more.setAttribute("aria-pressed", String(all));
    for (const [name, row] of this.rows) row.node.hidden = !all && !this.dataset.shown.includes(name);
  }

  setSince(text) {
    this.since.textContent = text;
  }

  /** What changes are counted from: what is shown now. */
  keepAsBase(text) {
    this.base = this.figures;
    this.setSince(text);
    if (this.figures) this.show(this.figures, this.note.textContent);
  }

  /** Count changes from these figures. */
  setBase(figures) {
    this.base = figures;
  }

  /** Show figures; those are the base if there is none yet. */
  show(figures, note) {
    this.figures = figures;
    if (this.base === null && Object.keys(figures).length > 0) this.base = figures;
    for (const [name, row] of this.rows) {
      const value = figures[name];
      const text = figureCell(value);
      if (row.value.textContent !== text) row.value.textContent = text;
      this.showChange(row.change, name, value, this.base?.[name]);
    }
    if (this.dataset) this.note.textContent = note ?? "";
  }

  showChange(cell, name, value, base) {
    const known = typeof value === "number" && typeof base === "number";
    const change = known ? value - base : 0;
    const moved = Math.abs(change) >= SMALLEST;
    const better = LESS_IS_BETTER.test(name) ? change < 0 : change > 0;
    const text = !known ? "" : !moved ? "±0" : `${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(2)}`;
    if (cell.textContent !== text) cell.textContent = text;
    cell.classList.toggle("better", moved && better);
    cell.classList.toggle("worse", moved && !better);
  }

  /** Whether what is shown is not yet of the newest settings. */
  setLate(late) {
    this.node.classList.toggle("late", late);
  }
}
