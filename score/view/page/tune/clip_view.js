// The chosen clip: video, sound, timelines, and why; one playhead for all of them.

import { el, clear, setText } from "../shared/dom.js";
import { Player } from "../shared/player.js";
import { Timelines } from "../shared/timeline.js";
import { plainText } from "../shared/words.js";
import { Curves } from "./curves.js";
import { makeButton, makeLabel } from "./parts.js";
import { Sound } from "./sound.js";

/** The middle of the page. */
export class ClipView {
  /**
   * @param {HTMLElement} host
   * @param {{onLabel: function(number), onStep: function(number)}} hear onLabel: a label was chosen to be explained;
   *   onStep: another clip is wanted, so many further.
   */
  constructor(host, hear) {
    this.hear = hear;
    this.labels = [];
    this.own_time = 0;
    this.duration = 1;
    this.segment = 1;
    this.place = undefined;
    this.build(host);
  }

  build(host) {
    this.name = el("h2", { class: "clip-title" });
    this.notes = el("span", { class: "dim clip-notes" });
    const before = makeButton("‹", () => this.hear.onStep(-1), "quiet", { "aria-label": "clip before" });
    const after = makeButton("›", () => this.hear.onStep(1), "quiet", { "aria-label": "clip after" });
    const head = el("div", { class: "clip-head" }, before, this.name, after, this.notes);
    const stage = el("div", { class: "stage" });
    this.trouble = el("p", { class: "hint trouble", attributes: { role: "status" } });
    this.player = new Player(stage, {
      onTime: (time) => this.showTime(time),
      onState: (playing) => playing && setText(this.trouble, ""),
      onError: (text) => setText(this.trouble, text),
    });
    this.select = el("select", { id: "why-label" });
    this.select.addEventListener("change", () => this.hear.onLabel(Number(this.select.value)));
    const why_head = el("div", { class: "why-head" }, makeLabel("Why", "why-label", "why-title"), this.select);
    const sentences = el("div", { class: "why-sentences", attributes: { tabindex: "0", role: "region" } });
    sentences.setAttribute("aria-label", "why, step by step");
    stage.append(el("section", { class: "why", attributes: { "aria-label": "why" } }, why_head, sentences));
    const seek = (time) => this.seek(time);
    const axis = el("div", { class: "strips" });
    this.sound = new Sound(axis, { onSeek: seek });
    this.timelines = new Timelines(axis, {
      labels: [],
      onSeek: seek,
      onPlay: (onset, offset) => this.play(onset, offset),
      onLabel: (label) => this.hear.onLabel(label),
    });
    this.curves = new Curves(axis, sentences, { onSeek: seek });
    this.node = el("div", { class: "clip-view" }, head, stage, this.trouble, axis);
    host.append(this.node);
  }

  /** Take what is said where a clip has no video. */
  setHint(hint) {
    this.hint = hint;
  }

  /** Play the first clip, without a sound until the page is touched: browsers allow no more. */
  begin() {
    this.player.again.checked = true;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.first = true;
    const { media } = this.player;
    media.muted = true;
    for (const event of ["pointerdown", "keydown"])
      addEventListener(event, () => (media.muted = false), { once: true });
  }

  /** Take other labels, and show nothing until an answer comes. */
  clear(labels) {
    this.setLabels(labels);
    this.timelines.show({ duration: this.duration, segment: this.segment, layers: [], truth: null, chosen: null });
    this.curves.show(undefined, "", this);
  }

  /** Take other labels. */
  setLabels(labels) {
    this.labels = labels;
    this.timelines.setLabels(labels);
    clear(this.select);
    const named = labels.map((label, number) => ({ text: plainText(label), number }));
    named.sort((one, other) => one.text.localeCompare(other.text, undefined, { numeric: true }));
    this.select.append(
      ...named.map(({ text, number }) => el("option", { text, attributes: { value: String(number) } })),
    );
  }

  /**
   * Show an answer of /api/clip.
   * @param {{id: string, missing: string|null}} row of the clip.
   * @param {object} answer
   * @param {{label: number|null, segment: number, explained: boolean}} chosen the label, a segment's seconds, and
   *   whether the answer was asked to explain that label.
   */
  show(row, answer, { label, segment, explained }) {
    this.duration = answer.duration;
    this.segment = segment;
    const { duration } = answer;
    this.showHead(row, answer);
    this.showPlace(row, answer);
    const layers = [{ name: "found", events: answer.events }];
    this.timelines.show({ duration, segment, layers, truth: answer.truth, chosen: label });
    const shown = answer.why?.label ?? label;
    if (shown !== null && this.select.value !== String(shown)) this.select.value = String(shown);
    if (explained)
      this.curves.show(answer.why, shown === null ? "" : plainText(this.labels[shown] ?? ""), { duration, segment });
    this.curves.setTime(this.time);
  }

  showHead(row, answer) {
    setText(this.name, plainText(row.id));
    const notes = [row.missing ? `without ${row.missing}` : "", ...(answer.notes ?? [])];
    setText(this.notes, notes.filter(Boolean).join(" · "));
  }

  showPlace(row, { place, duration }) {
    const key = JSON.stringify([row.id, place]);
    if (key === this.place) return;
    this.place = key;
    setText(this.trouble, "");
    this.own_time = 0;
    this.has_media = place !== null;
    this.node.classList.toggle("without-video", place === null);
    this.player.show(place, plainText(row.id), this.hint);
    this.sound.show(place, duration);
    if (this.first && this.has_media) this.player.play();
    this.first = false;
    if (!this.has_media) this.showTime(0);
  }

  /** Seconds of the clip where the playhead is. */
  get time() {
    return this.has_media ? this.player.time : this.own_time;
  }

  /** Put the playhead. */
  seek(time) {
    const there = Math.min(Math.max(time, 0), this.duration);
    if (this.has_media) this.player.seek(there);
    else this.showTime(there);
  }

  /** Put the playhead so many segments further, where a segment begins. */
  step(segments) {
    const at = this.time / this.segment;
    const next = segments > 0 ? Math.floor(at + 1e-3) + 1 : Math.ceil(at - 1e-3) - 1;
    this.seek(next * this.segment);
  }

  /** Play a stretch, or go to where it begins where there is nothing to play. */
  play(onset, offset) {
    if (this.has_media) this.player.play(onset, offset);
    else this.seek(onset);
  }

  /** Play or pause. */
  toggle() {
    if (this.has_media) this.player.toggle();
  }

  showTime(time) {
    if (!this.curves) return;
    this.own_time = time;
    this.timelines.setTime(time);
    this.sound.setTime(time);
    this.curves.setTime(time);
  }
}

/**
 * Which label's events are explained in a clip where none was chosen: that of before where it is there, else that of
 * the strongest event.
 */
export function labelToExplain({ events, truth }, label) {
  const there = [...events, ...(truth ?? [])];
  if (there.length === 0) return label ?? 0;
  if (label !== null && there.some((event) => event[1] === label)) return label;
  const best = events.reduce((one, other) => ((other[4] ?? 0) > (one?.[4] ?? -1) ? other : one), null);
  return (best ?? there[0])[1];
}
