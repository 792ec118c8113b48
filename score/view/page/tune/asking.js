// What is asked after a change: this clip and the figures at once, the list when changes have come to rest.

import { Channel } from "./api.js";

const REST_MS = 400;
const MOST_MARKS = 5000;

/** Questions, numbered by change, and their answers. */
export class Asking {
  /**
   * @param {object} api
   * @param {{clip: function(object, object), figures: function(object, object), rows: function(object, object),
   *   rest: function(), error: function(Error), slow: function(), clipLate: function(boolean),
   *   figuresLate: function(boolean)}} hear answers with what was asked; rest when changes have come to rest.
   */
  constructor(api, hear) {
    this.api = api;
    this.hear = hear;
    this.timer = null;
    this.rows_wanted = false;
    const onBusy = () => this.showBusy();
    const channel = (name, onAnswer, onLate) =>
      new Channel(api, `/api/${name}`, { onAnswer, onLate, onBusy, onSlow: hear.slow, onError: hear.error });
    this.clip = channel("clip", (answer, asked) => this.shown("clip", answer, asked), hear.clipLate);
    this.figures = channel("figures", (answer, asked) => this.shown("figures", answer, asked), hear.figuresLate);
    this.rows = channel("clips", hear.rows);
  }

  showBusy() {
    const busy = [this.clip, this.figures, this.rows].some((channel) => channel?.busy || channel?.waiting);
    document.querySelector("main").setAttribute("aria-busy", String(busy));
  }

  /** Number a change at the moment of it. */
  mark() {
    const seq = this.api.next();
    if (seq % MOST_MARKS === 0) performance.clearMarks();
    performance.mark("av2a:changed", { detail: { seq } });
    return seq;
  }

  shown(name, answer, asked) {
    this.hear[name](answer, asked);
    performance.mark(`av2a:shown-${name}`, { detail: { seq: answer.seq } });
    document.documentElement.dataset[name] = String(answer.seq);
  }

  /** Ask for a clip. */
  askClip(seq, { clip, label, text, setting }) {
    this.clip.send({ seq, clip, label, text, setting });
    this.rest(false);
  }

  /** Ask for all that other settings change: the clip, and the figures and the list where there are any. */
  askAll(seq, what, { figures, rows }) {
    this.askClip(seq, what);
    const { text, setting } = what;
    if (figures) this.figures.send({ seq, text, setting });
    this.wanted = { text, setting };
    this.rest(rows);
  }

  /** Ask again what nobody answered. */
  resume() {
    for (const channel of [this.clip, this.figures, this.rows]) channel.resume();
  }

  rest(rows) {
    this.rows_wanted ||= rows;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.hear.rest();
      if (!this.rows_wanted) return;
      this.rows_wanted = false;
      this.rows.send({ seq: this.api.next(), ...this.wanted });
    }, REST_MS);
  }
}
