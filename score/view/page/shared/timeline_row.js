// One row of a timeline: a label's name, a lane a layer, the truth below, and where layers differ.

import { el, setText } from "./dom.js";
import { plainText, spanText } from "./words.js";

const LANE_HEIGHT = 18;

/** A row; its nodes are made once and used again as events move. */
export class TimelineRow {
  /**
   * @param {number} stream its number
   * @param {number} label its number
   */
  constructor(stream, label) {
    this.stream = stream;
    this.label = label;
    this.lanes = [];
    this.diffs = [];
    this.events = [];
    this.text = el("span", { class: "row-label" });
    this.name = el("button", { class: "row-name", attributes: { type: "button" } }, this.text);
    this.over = el("div", { class: "row-diffs" });
    this.tracks = el("div", { class: "row-tracks" }, this.over);
    this.root = el("div", { class: "row" }, this.name, this.tracks);
    this.name.dataset.stream = stream;
    this.name.dataset.label = label;
  }

  /**
   * @param {{name: string, stream: string, chosen: boolean, duration: number, tags: boolean}} facts what is written
   * @param {Array<{name: string, tag: string, kind: string, events: Array}>} lanes
   * @param {Array<[number, number]>} diffs where layers differ
   */
  fill(facts, lanes, diffs) {
    const label = plainText(facts.name);
    setText(this.text, label);
    this.name.title = label;
    this.name.setAttribute("aria-pressed", facts.chosen);
    this.root.classList.toggle("chosen", facts.chosen);
    this.root.classList.toggle("differs", diffs.length > 0);
    while (this.lanes.length > lanes.length) this.lanes.pop().root.remove();
    while (this.lanes.length < lanes.length) this.lanes.push(this.newLane());
    this.events = [];
    lanes.forEach((lane, at) => this.fillLane(this.lanes[at], lane, facts, label));
    while (this.diffs.length > diffs.length) this.diffs.pop().remove();
    while (this.diffs.length < diffs.length) {
      const node = el("span", { class: "diff" });
      this.diffs.push(node);
      this.over.append(node);
    }
    diffs.forEach(([onset, offset], at) => placeSpan(this.diffs[at], onset, offset, facts.duration));
  }

  newLane() {
    const lane = { tag: el("span", { class: "lane-tag" }), track: el("div", { class: "track" }), events: [], most: 1 };
    lane.root = el("div", { class: "lane" }, lane.tag, lane.track);
    this.tracks.append(lane.root);
    return lane;
  }

  fillLane(node, lane, facts, label) {
    const kind = `lane ${lane.kind}`;
    if (node.root.className !== kind) node.root.className = kind;
    setText(node.tag, facts.tags ? lane.tag : "");
    while (node.events.length > lane.events.length) node.events.pop().root.remove();
    while (node.events.length < lane.events.length) {
      const score = el("span", { class: "event-score" });
      const root = el("button", { class: "event", attributes: { type: "button", tabindex: -1 } }, score);
      node.track.append(root);
      const unset = { onset: NaN, offset: NaN, duration: NaN, level: 0, most: 1 };
      node.events.push({ root, score, said: "", on: false, ...unset });
    }
    const { levels, most } = levelsOf(lane.events);
    if (node.most !== most) {
      node.most = most;
      node.track.style.height = most > 1 ? `${LANE_HEIGHT * most + 2}px` : "";
    }
    lane.events.forEach((event, at) => {
      const shown = node.events[at];
      this.events.push(shown);
      const [, , onset, offset, score] = event;
      const scored = score === undefined || score === null ? "" : score.toFixed(2);
      const parts = [label, facts.stream, spanText(onset, offset), scored && `score ${scored}`, plainText(lane.name)];
      const said = parts.filter(Boolean).join(", ");
      if (said !== shown.said) {
        shown.said = said;
        shown.root.title = said;
        shown.root.setAttribute("aria-label", said);
        setText(shown.score, scored);
      }
      if (shown.level !== levels[at] || shown.most !== most) {
        shown.level = levels[at];
        shown.most = most;
        shown.root.style.top = most > 1 ? `${2 + LANE_HEIGHT * levels[at]}px` : "";
        shown.root.style.bottom = most > 1 ? "auto" : "";
        shown.root.style.height = most > 1 ? `${LANE_HEIGHT - 2}px` : "";
      }
      if (shown.onset === onset && shown.offset === offset && shown.duration === facts.duration) return;
      shown.onset = onset;
      shown.offset = offset;
      shown.duration = facts.duration;
      placeSpan(shown.root, onset, offset, facts.duration);
    });
  }
}

/** Events that overlap lie below each other: the level of each, and how many there are. */
function levelsOf(events) {
  const levels = new Array(events.length).fill(0);
  const ends = [];
  const order = events.map((_, at) => at).sort((a, b) => events[a][2] - events[b][2] || events[a][3] - events[b][3]);
  for (const at of order) {
    let level = ends.findIndex((end) => end <= events[at][2] + 1e-6);
    if (level < 0) level = ends.push(0) - 1;
    levels[at] = level;
    ends[level] = events[at][3];
  }
  return { levels, most: Math.max(1, ends.length) };
}

/**
 * Lay a node over a stretch of its track.
 * @param {HTMLElement} node
 * @param {number} onset seconds
 * @param {number} offset seconds
 * @param {number} duration seconds of the track
 */
export function placeSpan(node, onset, offset, duration) {
  node.style.left = `${(100 * onset) / duration}%`;
  node.style.width = `${(100 * Math.max(0, Math.min(offset, duration) - onset)) / duration}%`;
}
