// A list of clips to choose from: search, filters, orders; only the rows in sight exist.

import { CLIP_ORDERS, ClipIndex } from "./clip_order.js";
import { clear, el, labelled, setText } from "./dom.js";
import { SHOWN, STREAMS, STREAM_NAMES, countText, figureText, plainText } from "./words.js";

const CLIP_ROW_HEIGHT = 54;
const CLIP_ROWS_ASIDE = 6;
let clipLists = 0;

/**
 * The list; a row is `{id, counts, score, labels, wrong, missing, split}`, of which most may be null, and may have
 * `also`, all labels by which it is found, and `differs`, how far layers are apart in percent.
 */
export class ClipList {
  /**
   * @param {HTMLElement} host
   * @param {{labels: string[], onSelect?: function(number), truth?: boolean, several?: boolean}} options
   *   onSelect: called with a row's number whenever another one is selected; truth: whether there are annotations;
   *   several: whether rows have `differs`
   */
  constructor(host, { labels, onSelect = () => {}, truth = false, several = false }) {
    this.name = `clips-${++clipLists}`;
    this.labels = labels;
    this.onSelect = onSelect;
    this.truth = truth;
    this.several = several;
    this.rows = [];
    this.order = [];
    this.places = new Map();
    this.chosen = -1;
    this.falling = false;
    this.index = new ClipIndex();
    this.shown = new Map();
    this.made = 0;
    this.build(host);
    this.setLabels(labels);
  }

  build(host) {
    const without = [this.truth ? "" : "disagreement", this.several ? "" : "difference"];
    const orders = Object.keys(CLIP_ORDERS).filter((name) => !without.includes(name));
    this.search = el("input", { attributes: { type: "search", placeholder: "names and labels", spellcheck: "false" } });
    this.byLabel = el("select");
    this.byStream = el(
      "select",
      {},
      el("option", { text: "any stream", attributes: { value: "" } }),
      ...SHOWN.map((at) => el("option", { text: STREAM_NAMES[STREAMS[at]], attributes: { value: at } })),
    );
    this.byOrder = el("select", {}, ...orders.map((name) => el("option", { text: name, attributes: { value: name } })));
    this.turn = el("button", { class: "turn", attributes: { type: "button" } });
    this.status = el("p", { class: "clips-status", attributes: { role: "status" } });
    this.inner = el("div", { class: "clips-inner", attributes: { role: "presentation" } });
    this.view = el(
      "div",
      { class: "clips-view", attributes: { role: "listbox", tabindex: 0, "aria-label": "Clips" } },
      this.inner,
    );
    const order = el("div", { class: "clips-order" }, labelled("order", this.byOrder), this.turn);
    const filters = el("div", { class: "clips-filters" });
    filters.append(labelled("label", this.byLabel), labelled("stream", this.byStream), order);
    this.root = el("section", { class: "clips", attributes: { "aria-label": "Clips" } });
    this.root.append(labelled("search", this.search, "clips-search"), filters, this.status, this.view);
    host.append(this.root);
    this.listen();
    this.showTurn();
  }

  listen() {
    for (const control of [this.search, this.byLabel, this.byStream]) {
      control.addEventListener("input", () => this.refresh(true));
    }
    this.byOrder.addEventListener("input", () => {
      this.falling = CLIP_ORDERS[this.byOrder.value].falling;
      this.refresh(true);
    });
    this.turn.addEventListener("click", () => {
      this.falling = !this.falling;
      this.refresh(true);
    });
    this.view.addEventListener("scroll", () => this.draw(), { passive: true });
    this.view.addEventListener("keydown", (event) => this.onKey(event));
    this.view.addEventListener("click", (event) => {
      const row = event.target.closest("[data-row]");
      if (row) this.select(Number(row.dataset.row));
    });
    new ResizeObserver(() => this.draw()).observe(this.view);
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.view.clientHeight / CLIP_ROW_HEIGHT) - 1);
    const far = this.rows.length;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -far, End: far };
    const by = steps[event.key];
    if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.step(by);
  }

  /** @param {Array<object>} rows all clips; the selection stays with its clip */
  setRows(rows) {
    const id = this.rows[this.chosen]?.id;
    this.rows = rows;
    if (rows[this.chosen]?.id !== id) this.chosen = id === undefined ? -1 : rows.findIndex((row) => row.id === id);
    this.index.set(rows, this.labels);
    this.refresh(false);
  }

  /** @param {string[]} labels */
  setLabels(labels) {
    const before = this.byLabel.value && this.labels[Number(this.byLabel.value)];
    this.labels = labels;
    this.index.set(this.rows, labels);
    clear(this.byLabel).append(el("option", { text: "any label", attributes: { value: "" } }));
    labels.forEach((label, at) => {
      this.byLabel.append(el("option", { text: plainText(label), attributes: { value: at } }));
    });
    this.byLabel.value = before && labels.includes(before) ? String(labels.indexOf(before)) : "";
    this.refresh(false);
  }

  /** Number of the row that is selected, -1 where none is. */
  get selected() {
    return this.chosen;
  }

  /** @param {number} index number of a row: it is selected, and brought into sight */
  select(index) {
    if (!this.rows[index]) return;
    const changed = index !== this.chosen;
    this.chosen = index;
    this.reveal();
    this.draw();
    if (changed) this.onSelect(index);
  }

  /** @param {number} by how many clips on, in the order that is shown */
  step(by) {
    if (!this.order.length) return;
    const at = this.places.get(this.chosen);
    const next = at === undefined ? 0 : Math.max(0, Math.min(this.order.length - 1, at + by));
    this.select(this.order[next]);
  }

  refresh(fromTop) {
    this.order = this.index.chosen({
      words: this.search.value,
      label: this.byLabel.value === "" ? null : Number(this.byLabel.value),
      stream: this.byStream.value === "" ? null : Number(this.byStream.value),
      order: this.byOrder.value,
      falling: this.falling,
    });
    this.places = new Map(this.order.map((row, at) => [row, at]));
    const all = countText(this.rows.length, "clip");
    const some = this.order.length === this.rows.length ? all : `${this.order.length.toLocaleString("en")} of ${all}`;
    setText(this.status, some);
    this.inner.style.height = `${this.order.length * CLIP_ROW_HEIGHT}px`;
    this.showTurn();
    if (fromTop) this.view.scrollTop = 0;
    this.draw();
  }

  showTurn() {
    const order = this.byOrder.value;
    const [rising, falling] = order === "name" ? ["A to Z", "Z to A"] : ["least first", "largest first"];
    const said = this.falling ? falling : rising;
    setText(this.turn, this.falling ? "↓" : "↑");
    this.turn.setAttribute("aria-label", `${order}: ${said}; turn it round`);
    this.turn.title = said;
  }

  reveal() {
    const at = this.places.get(this.chosen);
    if (at === undefined || !this.view.clientHeight) return;
    const top = at * CLIP_ROW_HEIGHT;
    const most = top + CLIP_ROW_HEIGHT - this.view.clientHeight;
    this.view.scrollTop = Math.min(top, Math.max(most, this.view.scrollTop));
  }

  draw() {
    const height = this.view.clientHeight;
    const first = Math.max(0, Math.floor(this.view.scrollTop / CLIP_ROW_HEIGHT) - CLIP_ROWS_ASIDE);
    const rows = Math.ceil(height / CLIP_ROW_HEIGHT) + 2 * CLIP_ROWS_ASIDE;
    const last = height ? Math.min(this.order.length, first + rows) : 0;
    const gone = new Map(this.shown);
    const before = new Map(this.shown);
    this.shown = new Map();
    for (let at = first; at < last; at++) gone.delete(this.order[at]);
    const free = [...gone.values()];
    for (let at = first; at < last; at++) {
      const number = this.order[at];
      const node = before.get(number) ?? free.pop() ?? this.newRow();
      this.fill(node, number, at);
      this.shown.set(number, node);
    }
    for (const node of free) node.root.remove();
    let place = this.inner.firstChild; // nodes stand in the order that is seen
    for (const { root } of this.shown.values()) {
      if (root === place) place = place.nextSibling;
      else this.inner.insertBefore(root, place);
    }
    const active = this.shown.get(this.chosen);
    if (active) this.view.setAttribute("aria-activedescendant", active.root.id);
    else this.view.removeAttribute("aria-activedescendant");
  }

  newRow() {
    const node = {
      name: el("span", { class: "clip-name" }),
      score: el("span", { class: "clip-score" }),
      counts: SHOWN.map((at) => el("span", { class: `clip-count ${STREAM_NAMES[STREAMS[at]]}` })),
      labels: el("span", { class: "clip-labels" }),
      wrong: el("span", { class: "clip-wrong" }),
    };
    this.made++;
    node.root = el(
      "div",
      { class: "clip-row", id: `${this.name}-${this.made}`, attributes: { role: "option" } },
      el("span", { class: "clip-line" }, node.name, node.wrong),
      el("span", { class: "clip-line" }, ...node.counts, node.labels, node.score),
    );
    this.inner.append(node.root);
    return node;
  }

  fill(node, number, at) {
    const row = this.rows[number];
    node.root.style.transform = `translateY(${at * CLIP_ROW_HEIGHT}px)`;
    node.root.dataset.row = number;
    node.root.setAttribute("aria-selected", number === this.chosen);
    node.root.setAttribute("aria-setsize", this.order.length);
    node.root.setAttribute("aria-posinset", at + 1);
    const apart = this.several && (!this.truth || this.byOrder.value === "difference");
    if (node.row === row && node.names === this.labels && node.apart === apart) return;
    node.row = row;
    node.names = this.labels;
    node.apart = apart;
    const name = plainText(row.id);
    setText(node.name, name);
    node.root.title = row.missing ? `${name} (without ${row.missing})` : name;
    setText(node.score, row.score === null || row.score === undefined ? "" : row.score.toFixed(2));
    SHOWN.forEach((stream, place) => {
      const count = row.counts?.[stream];
      setText(node.counts[place], count ? `${count} ${STREAM_NAMES[STREAMS[stream]]}` : "");
      node.counts[place].hidden = !count;
    });
    const labels = row.labels.map((label) => plainText(this.labels[label] ?? "")).join(", ");
    setText(node.labels, row.counts && !labels ? "no events" : labels);
    const far = apart ? row.differs : this.truth ? row.wrong : null;
    const known = far !== null && far !== undefined;
    const said = apart ? (far === 0 ? "equal" : `≠ ${figureText(far)} %`) : `${figureText(far)} % wrong`;
    setText(node.wrong, known ? said : "");
    node.wrong.classList.toggle("bad", known && far >= 50);
  }
}
