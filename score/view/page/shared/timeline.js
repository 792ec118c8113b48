// Three timelines, seen, heard and both: a row a label, layers above each other, truth below, one playhead.

import { differingSpans } from "./differences.js";
import { clear, el, setText } from "./dom.js";
import { TimeAxis } from "./time_axis.js";
import { TimelineRow } from "./timeline_row.js";
import { SHOWN, STREAMS, STREAM_NAMES, countText, plainText } from "./words.js";

const LAYER_TAGS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const MOST_ZOOM = 64;

/** The timelines of one clip. */
export class Timelines {
  /**
   * @param {HTMLElement} host
   * @param {{labels: string[], onSeek?: function(number), onPlay?: function(number, number),
   *   onLabel?: function(number, number)}} options onLabel: called with a label's and a stream's number
   */
  constructor(host, { labels, onSeek = () => {}, onPlay = () => {}, onLabel = () => {} }) {
    this.labels = labels;
    this.called = { onSeek, onPlay, onLabel };
    this.shown = { duration: 1, segment: 1, layers: [], truth: null, chosen: null };
    this.rows = new Map();
    this.events = [];
    this.time = 0;
    this.zoom = 1;
    this.axis = new TimeAxis((t) => this.called.onSeek(t));
    this.head = el("div", { class: "playhead" });
    this.legend = el("div", { class: "timelines-legend" });
    this.closer = zoomButton("+", "Zoom in");
    this.wider = zoomButton("−", "Zoom out");
    this.blocks = SHOWN.map((stream) => new StreamBlock(stream));
    this.inner = el("div", { class: "timelines-inner" });
    const corner = el("span", { class: "axis-corner" }, this.wider, this.closer);
    const top = el("div", { class: "axis-row" }, corner, this.axis.root);
    this.inner.append(top, ...this.blocks.map((block) => block.root), this.head);
    this.scroll = el("div", { class: "timelines-scroll" }, this.inner);
    this.root = el("section", { class: "timelines", attributes: { "aria-label": "Timelines" } });
    this.root.append(this.legend, this.scroll);
    host.append(this.root);
    this.listen();
    this.setZoom(1);
  }

  listen() {
    this.byPointer = false;
    this.walking = false; // whether the focus came here by keyboard
    this.root.addEventListener("pointerdown", () => {
      this.byPointer = true;
    });
    this.root.addEventListener("focusin", () => {
      this.walking = !this.byPointer;
      this.byPointer = false;
    });
    this.inner.addEventListener("click", (event) => this.onClick(event));
    this.inner.addEventListener("keydown", (event) => this.onKey(event));
    this.closer.addEventListener("click", () => this.setZoom(this.zoom * 2));
    this.wider.addEventListener("click", () => this.setZoom(this.zoom / 2));
  }

  onClick(event) {
    this.byPointer = false;
    const name = event.target.closest(".row-name");
    if (name) {
      this.called.onLabel(Number(name.dataset.label), Number(name.dataset.stream));
      return;
    }
    const button = event.target.closest(".event");
    if (button) {
      const found = this.events.find((each) => each.root === button);
      this.walkTo(button, false);
      if (found) this.called.onPlay(found.onset, found.offset);
    } else if (event.target.closest(".row-tracks, .block-empty")) {
      this.called.onSeek(this.axis.timeAt(event.clientX));
    }
  }

  /** Arrow keys walk over events where they got the focus by keyboard; after a click they are the page's. */
  onKey(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined || !this.walking || !event.target.classList.contains("event")) return;
    event.preventDefault();
    event.stopPropagation();
    const at = this.events.findIndex((each) => each.root === event.target);
    const next = this.events[at + by];
    if (next) this.walkTo(next.root, true);
  }

  walkTo(button, focus) {
    for (const each of this.events) each.root.tabIndex = each.root === button ? 0 : -1;
    if (focus) button.focus();
  }

  setZoom(zoom) {
    this.zoom = Math.max(1, Math.min(MOST_ZOOM, zoom));
    this.inner.style.setProperty("--zoom", this.zoom);
    this.closer.disabled = this.zoom >= MOST_ZOOM;
    this.wider.disabled = this.zoom <= 1;
    this.axis.set(this.shown.duration, this.shown.segment, this.zoom);
    this.follow();
  }

  /** @param {string[]} labels */
  setLabels(labels) {
    this.labels = labels;
    for (const row of this.rows.values()) row.root.remove();
    this.rows.clear();
    this.show(this.shown);
  }

  /**
   * Show events; nodes that are there are used again.
   * @param {{duration: number, segment: number, layers: Array<{name: string, events: Array}>,
   *   truth: Array|null, chosen: number|null}} what seconds of the clip and of a segment, events of each layer,
   *   true events, and the label that has a row whether it has events or not
   */
  show(what) {
    if (what.duration !== this.shown.duration) this.setZoomFor(what);
    this.shown = what;
    this.axis.set(what.duration, what.segment, this.zoom);
    const steps = what.duration / what.segment;
    this.inner.style.setProperty("--grid", steps <= 64 ? `${100 / steps}%` : "100%");
    this.showLegend(what);
    this.events = [];
    for (const block of this.blocks) this.showBlock(block, what);
    if (!this.events.some((each) => each.root.tabIndex === 0) && this.events[0]) this.events[0].root.tabIndex = 0;
    this.setTime(this.time);
  }

  setZoomFor(what) {
    this.shown = what;
    this.setZoom(1);
  }

  showLegend({ layers, truth }) {
    const tags = layers.length > 1 || truth !== null;
    const lines = tags ? layers.map((layer, at) => [LAYER_TAGS[at], layer.name || "events", "layer"]) : [];
    if (truth !== null) lines.push(["T", "truth", "truth"]);
    const said = JSON.stringify(lines);
    if (said === this.legendSaid) return;
    this.legendSaid = said;
    clear(this.legend);
    for (const [tag, name, kind] of lines) {
      const sign = el("span", { class: "lane-tag", text: tag });
      this.legend.append(el("span", { class: `legend-item ${kind}` }, sign, el("span", { text: plainText(name) })));
    }
    if (layers.length > 1) {
      const sign = el("span", { class: "legend-diff" });
      this.legend.append(el("span", { class: "legend-item" }, sign, el("span", { text: "where they differ" })));
    }
  }

  showBlock(block, { duration, layers, truth, chosen }) {
    const { stream } = block;
    const byLabel = new Map();
    const rowOf = (label) => {
      if (!byLabel.has(label)) byLabel.set(label, { layers: layers.map(() => []), truth: [] });
      return byLabel.get(label);
    };
    layers.forEach((layer, at) => {
      for (const event of layer.events) if (event[0] === stream) rowOf(event[1]).layers[at].push(event);
    });
    for (const event of truth ?? []) if (event[0] === stream) rowOf(event[1]).truth.push(event);
    if (chosen !== null && chosen !== undefined) rowOf(chosen);
    const tags = layers.length > 1 || truth !== null;
    const order = [...byLabel.keys()].sort((a, b) => a - b);
    let differing = 0;
    const rows = order.map((label) => {
      const found = byLabel.get(label);
      const key = `${stream} ${label}`;
      if (!this.rows.has(key)) this.rows.set(key, new TimelineRow(stream, label));
      const row = this.rows.get(key);
      const lanes = found.layers.map((events, at) => {
        return { name: layers.length > 1 ? layers[at].name : "", tag: LAYER_TAGS[at], kind: "layer", events };
      });
      if (truth !== null) lanes.push({ name: "truth", tag: "T", kind: "truth", events: found.truth });
      const diffs = differingSpans(found.layers.map((events) => events.map((event) => [event[2], event[3]])));
      if (diffs.length) differing++;
      const facts = { name: this.labels[label] ?? "", stream: STREAM_NAMES[STREAMS[stream]], duration, tags };
      row.fill({ ...facts, chosen: label === chosen }, lanes, diffs);
      this.events.push(...row.events);
      return row;
    });
    block.fill(rows, layers, differing);
  }

  /** @param {number} t seconds: where the playhead is */
  setTime(t) {
    this.time = t;
    this.head.style.setProperty("--at", Math.min(1, t / this.shown.duration));
    this.axis.setTime(t);
    for (const each of this.events) {
      const on = each.onset <= t && t < each.offset;
      if (on !== each.on) {
        each.on = on;
        each.root.classList.toggle("on", on);
      }
    }
    if (this.zoom > 1) this.follow();
  }

  follow() {
    if (this.zoom === 1) return;
    const track = this.axis.marks;
    const at = track.clientWidth * (this.time / this.shown.duration);
    const seen = this.scroll.clientWidth - (this.inner.clientWidth - track.clientWidth);
    if (at < this.scroll.scrollLeft || at > this.scroll.scrollLeft + seen) this.scroll.scrollLeft = at - seen / 10;
  }
}

function zoomButton(text, said) {
  return el("button", { text, attributes: { type: "button", "aria-label": said, title: said } });
}

/** The rows of one stream, under its name. */
class StreamBlock {
  constructor(stream) {
    this.stream = stream;
    const name = STREAM_NAMES[STREAMS[stream]];
    this.count = el("span", { class: "block-count" });
    this.rows = el("div", { class: "block-rows" });
    this.empty = el("p", { class: "block-empty", text: "no events" });
    const head = el("h3", { class: "block-head" }, el("span", { class: "block-sign" }), el("span", { text: name }));
    head.append(this.count);
    this.root = el("section", { class: `block ${name}`, attributes: { "aria-label": name } }, head, this.rows);
    this.root.append(this.empty);
  }

  fill(rows, layers, differing) {
    const wanted = new Set(rows.map((row) => row.root));
    for (const node of [...this.rows.children]) if (!wanted.has(node)) node.remove();
    rows.forEach((row, at) => {
      if (this.rows.children[at] !== row.root) this.rows.insertBefore(row.root, this.rows.children[at] ?? null);
    });
    this.empty.hidden = rows.length > 0;
    const counts = layers.map((layer) => layer.events.filter((event) => event[0] === this.stream).length);
    const differ = differing ? `, ${countText(differing, "row")} differ${differing === 1 ? "s" : ""}` : "";
    setText(this.count, `${counts.join(" / ")}${differ}`);
  }
}
