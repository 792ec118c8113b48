// Why: the chosen label's value and limit in each stream, on the timelines' time axis, and in sentences.

import uPlot from "/vendor/uplot/uPlot.esm.js";
import { el, setText } from "../shared/dom.js";
import { STREAMS, STREAM_NAMES, SHOWN } from "../shared/words.js";

const CURVE_HEIGHT = 58;
const LOW_HEIGHT = 46;
const LOW_WINDOW = "(max-height: 820px)";

/** Three charts, one a stream. */
export class Curves {
  /**
   * @param {HTMLElement} host of the charts.
   * @param {HTMLElement} sentences where the words stand.
   * @param {{onSeek: function(number)}} hear
   */
  constructor(host, sentences, hear) {
    this.host = host;
    this.sentences = sentences;
    this.note = el("p", { class: "hint curves-note" });
    this.charts = SHOWN.map((stream) => new Chart(stream, hear));
    this.words = SHOWN.map((stream) => new Sentences(stream));
    host.append(...this.charts.map((chart) => chart.node), this.note);
    sentences.append(...this.words.map((words) => words.node));
    new ResizeObserver(() => this.fit()).observe(host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
  }

  /**
   * Show a label.
   * @param {object|null|undefined} why of /api/clip; undefined: not known yet.
   * @param {string} label its word.
   * @param {{duration: number, segment: number}} clip
   */
  show(why, label, clip) {
    setText(this.note, captionOf(why));
    SHOWN.forEach((stream, place) => {
      const found = why?.streams[stream] ?? null;
      this.charts[place].show(found, why?.unit ?? "", label, clip);
      this.words[place].show(found);
    });
    if (!this.charts[0].plot) this.fit();
  }

  /** Put the playhead. */
  setTime(time) {
    for (const chart of this.charts) chart.setTime(time);
  }

  fit() {
    for (const chart of this.charts) chart.fit();
  }

  repaint() {
    for (const chart of this.charts) chart.repaint();
  }
}

class Chart {
  constructor(stream, hear) {
    this.name = STREAM_NAMES[STREAMS[stream]];
    this.hear = hear;
    this.tag = el("span", { class: "curve-name", text: this.name });
    this.now = el("span", { class: "curve-now" });
    this.head = el("div", { class: "curve-head", attributes: { "aria-hidden": "true" } });
    this.canvas = el("div", { class: "curve-canvas", attributes: { role: "img" } });
    this.line = el("div", { class: "curve-playhead" });
    this.node = el("div", { class: `curve curve-${this.name}` }, this.head, this.canvas);
    this.head.append(this.tag, this.now);
    this.plot = null;
    this.data = [
      [0, 1],
      [null, null],
      [null, null],
    ];
    this.on = [];
    this.duration = 1;
    this.unit_range = true;
  }

  show(found, unit, label, { duration, segment }) {
    this.node.hidden = found === null;
    if (found === null) return;
    const edges = found.value.map((_, index) => Math.min(index * segment, duration));
    this.data = [[...edges, duration], stepsOf(found.value), stepsOf(found.limit)];
    this.on = found.on;
    this.duration = duration;
    this.segment = segment;
    this.unit_range = unit === "probability";
    this.canvas.setAttribute("aria-label", this.spoken(label, unit));
    this.plot?.setData(this.data);
  }

  spoken(label, unit) {
    const count = this.on.filter(Boolean).length;
    return `${this.name}: ${unit} of ${label}, and its limit; ${count} of ${this.on.length} segments are in events`;
  }

  fit() {
    const width = this.canvas.clientWidth;
    if (width === 0) return;
    if (this.plot) this.plot.setSize({ width, height: heightOfCurve() });
    else this.make(width);
  }

  make(width) {
    const ink = (name) => () => getComputedStyle(this.node).getPropertyValue(name).trim();
    const stepped = uPlot.paths.stepped({ align: 1 });
    const series = { points: { show: false }, paths: stepped, spanGaps: false };
    this.plot = new uPlot(
      {
        width,
        height: heightOfCurve(),
        padding: [4, 0, 4, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, range: () => [0, this.duration] },
          y: { range: (_, low, high) => this.range(low, high) },
        },
        axes: [{ show: false }, { show: false }],
        series: [
          {},
          { ...series, stroke: ink("--curve"), width: 2 },
          { ...series, stroke: ink("--text"), width: 1.5, dash: [4, 3] },
        ],
        hooks: { drawClear: [(plot) => this.shade(plot, ink)] },
      },
      this.data,
      this.canvas,
    );
    this.plot.over.append(this.line);
    this.plot.over.addEventListener("click", (event) => {
      this.hear.onSeek((event.offsetX / this.plot.over.clientWidth) * this.duration);
    });
  }

  range(low, high) {
    if (this.unit_range) return [0, 1];
    if (low === null || high === null) return [0, 1];
    const room = Math.max((high - low) * 0.08, 1e-6);
    return [low - room, high + room];
  }

  shade(plot, ink) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = ink("--line")();
    for (const part of [0, 0.5, 1]) ctx.fillRect(bbox.left, Math.round(bbox.top + part * bbox.height), bbox.width, 1);
    ctx.fillStyle = ink("--curve")();
    ctx.globalAlpha = 0.16;
    this.on.forEach((on, index) => {
      if (!on) return;
      const [start, end] = [index, index + 1].map(
        (each) => Math.min(each * this.segment, this.duration) / this.duration,
      );
      ctx.fillRect(bbox.left + start * bbox.width, bbox.top, (end - start) * bbox.width, bbox.height);
    });
    ctx.restore();
  }

  setTime(time) {
    this.showNow(time);
    if (!this.plot) return;
    const part = Math.min(Math.max(time / this.duration, 0), 1);
    this.line.style.transform = `translateX(${part * this.plot.over.clientWidth}px)`;
  }

  showNow(time) {
    const at = Math.min(Math.floor(time / this.segment + 1e-6), this.on.length - 1);
    const [value, limit] = [this.data[1][at], this.data[2][at]];
    const known = typeof value === "number" && typeof limit === "number";
    setText(this.now, known ? `${value.toFixed(3)} ${value > limit ? ">" : "≤"} ${limit.toFixed(3)}` : "not in play");
    this.now.classList.toggle("on", known && value > limit);
  }

  repaint() {
    this.plot?.redraw(false);
  }
}

class Sentences {
  constructor(stream) {
    const name = STREAM_NAMES[STREAMS[stream]];
    this.list = el("ol", {});
    this.node = el("div", { class: `why-stream why-${name}` }, el("h3", { text: name }), this.list);
    this.lines = [];
  }

  show(found) {
    this.node.hidden = found === null;
    const steps = found?.steps ?? [];
    while (this.lines.length < steps.length) {
      const line = el("li", {});
      this.lines.push(line);
      this.list.append(line);
    }
    while (this.lines.length > steps.length) this.lines.pop().remove();
    steps.forEach((step, index) => {
      setText(this.lines[index], step);
    });
  }
}

function heightOfCurve() {
  return matchMedia(LOW_WINDOW).matches ? LOW_HEIGHT : CURVE_HEIGHT;
}

function captionOf(why) {
  if (why === undefined) return "";
  if (why === null) return "This rule does not say why events are there.";
  if (why.note) return why.note;
  return `Solid: ${why.unit} of the label; dashed: what it has to exceed; shaded: its events.`;
}

function stepsOf(values) {
  return [...values, values[values.length - 1] ?? null];
}
