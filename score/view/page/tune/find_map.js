// The map of what a search tried: two axes to choose, a dot a setting, the better the stronger.

import { el, clear } from "../shared/dom.js";
import { makeLabel } from "./parts.js";

const MAP_HEIGHT = 190;
const ROOM = { left: 44, right: 10, top: 10, bottom: 30 };
const NEAR = 12;

/** A map of points that can be chosen by pointer and by keyboard. */
export class FindMap {
  /**
   * @param {HTMLElement} host
   * @param {{onChoose: function(object, number)}} hear onChoose gets values by parameter, and the objective's.
   */
  constructor(host, { onChoose }) {
    this.onChoose = onChoose;
    this.axes = [0, 1].map((axis) => el("select", { id: `map-axis-${axis}`, on: { change: () => this.draw() } }));
    this.canvas = el("canvas", { attributes: { "aria-hidden": "true" } });
    this.place = el("div", {
      class: "map",
      attributes: { role: "slider", tabindex: "0", "aria-label": "settings tried, the best first" },
    });
    this.place.append(this.canvas);
    this.said = el("p", { class: "hint map-said" });
    const across = makeLabel("across", "map-axis-0");
    const up = makeLabel("up", "map-axis-1");
    this.node = el(
      "div",
      { class: "find-map" },
      el("div", { class: "line-row" }, across, this.axes[0], up, this.axes[1]),
    );
    this.node.append(this.place, this.said);
    this.node.hidden = true;
    host.append(this.node);
    this.points = [];
    this.names = [];
    this.titles = [];
    this.at = 0;
    this.listen();
  }

  listen() {
    this.place.addEventListener("click", (event) => {
      const found = this.nearest(event.offsetX, event.offsetY);
      if (found !== null) this.choose(found);
    });
    this.place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  key(event) {
    const last = this.points.length - 1;
    const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    if (event.key === "Enter" || event.key === " ") this.choose(this.at);
    else if (event.key === "Home") this.at = 0;
    else if (event.key === "End") this.at = last;
    else if (event.key in moves) this.at = Math.min(Math.max(this.at + moves[event.key], 0), last);
    else return;
    event.preventDefault();
    this.tell();
    this.draw();
  }

  /**
   * Show what was tried.
   * @param {Map<string, string>} titles of the parameters that vary, by name.
   * @param {string} objective
   * @param {Array<Array>} points values of those parameters, then the objective's, the best first.
   */
  show(titles, objective, points) {
    const axes = [...titles.keys(), objective];
    if (axes.join() !== this.names.join()) {
      this.names = axes;
      this.titles = [...titles.values(), objective];
      this.at = 0;
      this.axes.forEach((select, axis) => {
        clear(select);
        select.append(
          ...this.titles.map((title, index) => el("option", { text: title, attributes: { value: String(index) } })),
        );
        select.value = String(Math.min(axis, axes.length - 1));
      });
    }
    this.points = points;
    this.node.hidden = points.length === 0;
    this.at = Math.min(this.at, Math.max(points.length - 1, 0));
    this.tell();
    this.draw();
  }

  choose(index) {
    this.at = index;
    const point = this.points[index];
    const values = Object.fromEntries(this.names.slice(0, -1).map((name, place) => [name, point[place]]));
    this.tell();
    this.draw();
    this.onChoose(values, point[point.length - 1]);
  }

  tell() {
    const point = this.points[this.at];
    if (!point) return;
    const text = this.titles.map((title, place) => `${title} ${shortText(point[place])}`).join(", ");
    this.said.textContent = `${this.at + 1}. of ${this.points.length}: ${text}`;
    this.place.setAttribute("aria-valuemin", "1");
    this.place.setAttribute("aria-valuemax", String(this.points.length));
    this.place.setAttribute("aria-valuenow", String(this.at + 1));
    this.place.setAttribute("aria-valuetext", this.said.textContent);
  }

  scale(axis) {
    const place = Number(this.axes[axis].value);
    const values = this.points.map((point) => point[place] ?? 0);
    if (typeof values[0] === "string") {
      const names = [...new Set(values)].sort();
      const part = (value) => (names.indexOf(value) + 0.5) / names.length;
      return { part, ends: [names[0], names[names.length - 1]], place };
    }
    const low = Math.min(...values);
    const high = Math.max(...values);
    const part = (value) => (high > low ? (value - low) / (high - low) : 0.5);
    return { part, ends: [shortNumber(low), shortNumber(high)], place };
  }

  spots() {
    const width = this.place.clientWidth - ROOM.left - ROOM.right;
    const height = MAP_HEIGHT - ROOM.top - ROOM.bottom;
    const [x, y] = [this.scale(0), this.scale(1)];
    const at = (point) => [
      ROOM.left + x.part(point[x.place] ?? 0) * width,
      ROOM.top + (1 - y.part(point[y.place] ?? 0)) * height,
    ];
    return { x, y, at };
  }

  nearest(left, top) {
    const { at } = this.spots();
    let found = null;
    let least = NEAR;
    this.points.forEach((point, index) => {
      const [x, y] = at(point);
      const distance = Math.hypot(x - left, y - top);
      if (distance < least) [found, least] = [index, distance];
    });
    return found;
  }

  draw() {
    const width = this.place.clientWidth;
    if (width === 0 || this.points.length === 0) return;
    const ratio = devicePixelRatio;
    this.canvas.width = width * ratio;
    this.canvas.height = MAP_HEIGHT * ratio;
    const ctx = this.canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    const style = getComputedStyle(this.place);
    const ink = (name) => style.getPropertyValue(name).trim();
    const { x, y, at } = this.spots();
    this.drawAxes(ctx, ink, width, x, y);
    const values = this.points.map((point) => point[point.length - 1] ?? 0);
    const [best, worst] = [Math.max(...values), Math.min(...values)];
    ctx.fillStyle = ink("--accent");
    for (let index = this.points.length - 1; index >= 0; index -= 1) {
      const part = best > worst ? (values[index] - worst) / (best - worst) : 1;
      ctx.globalAlpha = 0.08 + 0.85 * part ** 3;
      dot(ctx, at(this.points[index]), 2.5 + 1.5 * part);
      ctx.fill();
    }
    ctx.globalAlpha = 1;
    ctx.lineWidth = 2;
    ctx.strokeStyle = ink("--text");
    dot(ctx, at(this.points[this.at]), 6);
    ctx.stroke();
  }

  drawAxes(ctx, ink, width, x, y) {
    ctx.strokeStyle = ink("--line");
    ctx.strokeRect(ROOM.left - 6, 4, width - ROOM.left, MAP_HEIGHT - ROOM.bottom);
    ctx.fillStyle = ink("--dim");
    ctx.font = "11px system-ui, sans-serif";
    ctx.textAlign = "right";
    ctx.fillText(y.ends[1], ROOM.left - 10, ROOM.top + 6, ROOM.left - 10);
    ctx.fillText(y.ends[0], ROOM.left - 10, MAP_HEIGHT - ROOM.bottom, ROOM.left - 10);
    ctx.textAlign = "left";
    ctx.fillText(x.ends[0], ROOM.left - 6, MAP_HEIGHT - 10);
    ctx.textAlign = "right";
    ctx.fillText(x.ends[1], width - ROOM.right, MAP_HEIGHT - 10);
    ctx.textAlign = "center";
    ctx.fillText(`${this.titles[x.place]} →`, width / 2, MAP_HEIGHT - 10, width - 2 * ROOM.left);
    ctx.translate(ROOM.left - 16, MAP_HEIGHT / 2 - 10);
    ctx.rotate(-Math.PI / 2);
    ctx.fillText(`${this.titles[y.place]} →`, 0, 0, MAP_HEIGHT - 2 * ROOM.bottom);
    ctx.rotate(Math.PI / 2);
    ctx.translate(16 - ROOM.left, 10 - MAP_HEIGHT / 2);
  }
}

function dot(ctx, [x, y], radius) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
}

function shortNumber(value) {
  return String(Number(value.toPrecision(3)));
}

function shortText(value) {
  if (typeof value === "number") return String(Number(value.toPrecision(4)));
  return value ?? "–";
}
