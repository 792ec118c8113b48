// The time axis: marks, and the playhead as a slider.

import { clear, el } from "./dom.js";
import { secondsText } from "./words.js";

const AXIS_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 36000];

/** Marks over a track; dragged, or moved by its arrow keys, it seeks. */
export class TimeAxis {
  /** @param {function(number)} onSeek called with seconds */
  constructor(onSeek) {
    this.duration = 1;
    this.step = 1;
    this.zoom = 1;
    this.time = 0;
    this.onSeek = onSeek;
    this.marks = el("div", { class: "axis-marks" });
    this.knob = el("span", { class: "axis-knob" });
    this.root = el("div", { class: "axis", attributes: { role: "slider", tabindex: 0, "aria-label": "Time" } });
    this.root.setAttribute("aria-valuemin", 0);
    this.root.append(this.marks, this.knob);
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.root.setPointerCapture(event.pointerId);
      this.drag(event);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (this.root.hasPointerCapture(event.pointerId)) this.drag(event);
    });
  }

  /**
   * @param {number} duration seconds
   * @param {number} segment seconds of a step
   * @param {number} zoom how often the track's width is wider than what is seen of it
   */
  set(duration, segment, zoom) {
    if (this.duration === duration && this.step === segment && this.zoom === zoom && this.marks.firstChild) return;
    this.duration = duration;
    this.step = segment;
    this.zoom = zoom;
    this.root.setAttribute("aria-valuemax", duration);
    const apart = AXIS_STEPS.find((step) => duration / step <= 10 * zoom + 0.01) ?? duration / 10;
    clear(this.marks);
    for (let at = 0; at * apart <= duration + 1e-9; at++) {
      const mark = el("span", { class: "axis-mark", text: at === 0 ? "0" : secondsText(at * apart).replace(" s", "") });
      mark.style.left = `${(100 * at * apart) / duration}%`;
      if (at * apart > duration - apart / 4) mark.classList.add("last");
      this.marks.append(mark);
    }
  }

  /** @param {number} t seconds */
  setTime(t) {
    this.time = t;
    this.knob.style.left = `${(100 * Math.min(t, this.duration)) / this.duration}%`;
    const now = Math.round(t * 10) / 10;
    if (this.now === now) return;
    this.now = now;
    this.root.setAttribute("aria-valuenow", now);
    this.root.setAttribute("aria-valuetext", secondsText(t));
  }

  /**
   * The time under a place of the screen.
   * @param {number} x its client coordinate
   * @returns {number} seconds
   */
  timeAt(x) {
    const box = this.marks.getBoundingClientRect();
    return Math.max(0, Math.min(1, (x - box.left) / box.width)) * this.duration;
  }

  drag(event) {
    this.onSeek(this.timeAt(event.clientX));
  }

  onKey(event) {
    const segments = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: 5, PageDown: -5 }[event.key];
    const ends = { Home: 0, End: this.duration }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (segments === undefined && ends === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.onSeek(ends ?? Math.max(0, Math.min(this.duration, this.time + segments * this.step)));
  }
}
