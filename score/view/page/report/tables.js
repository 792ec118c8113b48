// Tables of text and numbers.

import { el } from "../shared/dom.js";
import { plainText } from "../shared/words.js";

/**
 * A table.
 * @param {string[]} header
 * @param {Array<Array<string|number|null|Node>>} rows the first cell is the row's name
 * @param {string} said what it is a table of
 * @returns {HTMLElement}
 */
export function tableOf(header, rows, said) {
  const head = el("tr", {}, ...header.map((name) => el("th", { text: plainText(name), attributes: { scope: "col" } })));
  const broken = header.map((_, at) => rows.some((row) => typeof row[at] === "number" && !Number.isInteger(row[at])));
  const body = rows.map((row) => el("tr", {}, ...row.map((cell, at) => cellOf(cell, at === 0, broken[at]))));
  const table = el("table", { class: "facts" });
  table.append(el("thead", {}, head), el("tbody", {}, ...body));
  const scroll = el("div", { class: "table-scroll", attributes: { tabindex: 0, role: "group" } }, table);
  scroll.setAttribute("aria-label", plainText(said));
  return scroll;
}

/**
 * Names with values.
 * @param {Array<[string, string|number|boolean|null|Node]>} pairs
 * @returns {HTMLElement}
 */
export function pairsOf(pairs) {
  const list = el("dl", { class: "pairs" });
  for (const [name, value] of pairs) {
    const shown = value instanceof Node ? value : plainText(value === null ? "–" : String(value));
    list.append(el("dt", { text: plainText(name) }), el("dd", {}, shown));
  }
  return list;
}

function cellOf(value, first, broken) {
  const number = typeof value === "number";
  const text = value === null ? "–" : number ? numberText(value, broken) : value;
  const cell = el(first ? "th" : "td", { class: number || value === null ? "number" : "name" });
  if (first) cell.setAttribute("scope", "row");
  cell.append(text instanceof Node ? text : plainText(text));
  return cell;
}

function numberText(value, broken) {
  return broken ? value.toFixed(1) : value.toLocaleString("en");
}
