// One video, or one sound: its part that is the clip, in the clip's own seconds.

import { el, labelled, setText } from "./dom.js";
import { secondsText } from "./words.js";

const PLAYER_SPEEDS = [0.25, 0.5, 1, 1.5, 2];
const MEDIA_TROUBLE = [
  "",
  "loading was stopped",
  "it could not be loaded",
  "it is damaged",
  "it is not there, or of a kind that this browser does not play",
];

/** A player with its own controls; times are the clip's: 0 is `place.start`. */
export class Player {
  /**
   * @param {HTMLElement} host
   * @param {{onTime?: function(number), onState?: function(boolean), onError?: function(string)}} called
   */
  constructor(host, { onTime = () => {}, onState = () => {}, onError = () => {} } = {}) {
    this.called = { onTime: () => {}, onState: () => {}, onError: () => {} };
    this.place = null;
    this.title = "";
    this.from = 0;
    this.until = null;
    this.wanted = null;
    this.frame = 0;
    this.video = el("video", { attributes: { playsinline: true, preload: "auto", tabindex: -1 } });
    this.words = el("p", { class: "player-words" });
    this.screen = el("div", { class: "player-screen" }, this.video, this.words);
    this.button = el("button", { class: "player-play", attributes: { type: "button" } }, el("span"));
    this.button.setAttribute("aria-label", "Play");
    this.clock = el("span", { class: "player-clock" });
    this.again = el("input", { attributes: { type: "checkbox" } });
    const speeds = PLAYER_SPEEDS.map((v) => el("option", { text: `${v}×`, attributes: { value: v } }));
    this.speed = el("select", {}, ...speeds);
    this.speed.value = "1";
    this.loud = el("input", { attributes: { type: "range", min: 0, max: 1, step: 0.05, value: 1 } });
    this.controls = el(
      "div",
      { class: "player-controls" },
      this.button,
      this.clock,
      labelled("repeat", this.again, "tick"),
      labelled("speed", this.speed),
      labelled("volume", this.loud),
    );
    this.root = el("div", { class: "player" }, this.screen, this.controls);
    host.append(this.root);
    this.listen();
    this.show(null, "");
    this.called = { onTime, onState, onError };
  }

  listen() {
    this.button.addEventListener("click", () => this.toggle());
    this.video.addEventListener("click", () => this.toggle());
    this.speed.addEventListener("change", () => {
      this.video.playbackRate = Number(this.speed.value);
    });
    this.loud.addEventListener("input", () => {
      this.video.volume = Number(this.loud.value);
    });
    this.video.addEventListener("loadedmetadata", () => {
      this.video.playbackRate = Number(this.speed.value);
      if (this.wanted !== null) this.video.currentTime = this.place.start + this.wanted;
      this.tell();
    });
    this.video.addEventListener("seeked", () => {
      if (this.wanted !== null && Math.abs(this.video.currentTime - this.place.start - this.wanted) < 0.1) {
        this.wanted = null;
      }
      this.tell();
    });
    this.video.addEventListener("play", () => this.state(true));
    this.video.addEventListener("pause", () => this.state(false));
    this.video.addEventListener("timeupdate", () => this.stopAtEnd()); // frames do not come to a tab out of sight
    this.video.addEventListener("ended", () => this.reached());
    this.video.addEventListener("error", () => this.failed());
  }

  /**
   * Show a clip, from its beginning, not playing.
   * @param {{url: string, start: number, end: number|null, sound_only: boolean}|null} place null: there is none
   * @param {string} title the clip's name
   * @param {string} [hint] what is said where there is none
   */
  show(place, title, hint = "No video: there is no file of this clip.") {
    this.pause();
    const url = place?.url ?? "";
    if (url !== (this.place?.url ?? null)) {
      if (url) this.video.src = url;
      else this.video.removeAttribute("src");
      this.video.load();
      this.wanted = null;
    }
    this.place = place;
    this.title = title;
    this.from = 0;
    this.until = null;
    this.root.classList.toggle("without", !place);
    this.root.classList.toggle("sound-only", Boolean(place?.sound_only));
    this.video.setAttribute("aria-label", title);
    for (const control of [this.button, this.again, this.speed, this.loud]) control.disabled = !place;
    setText(this.words, place ? (place.sound_only ? "♪ sound alone" : "") : hint);
    if (place) this.seek(0);
    else this.tell();
    if (place && this.video.error) this.failed();
  }

  /**
   * Play, from and to a time where they are given, else from where it is to the clip's end.
   * @param {number} [from] seconds
   * @param {number} [to] seconds
   */
  play(from, to) {
    if (!this.place) return;
    const end = this.duration;
    if (from === undefined && this.time >= end - 0.05) from = 0;
    this.until = to === undefined ? null : Math.min(to, end);
    this.from = from ?? (this.until === null ? 0 : this.time);
    if (from !== undefined) this.seek(from, true);
    this.video.play().catch((error) => {
      if (error.name === "NotAllowedError") this.called.onError("The browser wants a click before it plays.");
    });
  }

  pause() {
    this.video.pause();
  }

  toggle() {
    if (this.video.paused) this.play();
    else this.pause();
  }

  /**
   * Go to a time.
   * @param {number} t seconds
   * @param {boolean} [keep] whether a stretch that is being played stays the stretch
   */
  seek(t, keep = false) {
    if (!this.place) return;
    if (!keep) {
      this.until = null;
      this.from = 0;
    }
    this.wanted = Math.max(0, Math.min(t, this.duration));
    if (this.video.readyState > 0) this.video.currentTime = this.place.start + this.wanted;
    this.tell();
  }

  /** Seconds of the clip. */
  get time() {
    if (!this.place) return 0;
    return this.wanted ?? Math.max(0, this.video.currentTime - this.place.start);
  }

  /** Seconds that the clip lasts; Infinity while that is not known. */
  get duration() {
    if (!this.place) return 0;
    const known = Number.isFinite(this.video.duration) ? this.video.duration : Infinity;
    return Math.max(0, Math.min(this.place.end ?? Infinity, known) - this.place.start);
  }

  /** Whether it plays. */
  get playing() {
    return !this.video.paused;
  }

  /** The media element. */
  get media() {
    return this.video;
  }

  state(playing) {
    this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.root.classList.toggle("playing", playing);
    cancelAnimationFrame(this.frame);
    if (playing) this.frame = requestAnimationFrame(() => this.tick());
    this.called.onState(playing);
    this.tell();
  }

  tick() {
    if (this.video.paused) return;
    this.stopAtEnd();
    this.tell();
    this.frame = requestAnimationFrame(() => this.tick());
  }

  stopAtEnd() {
    if (this.video.paused || this.wanted !== null || !this.place) return;
    if (this.time >= (this.until ?? this.duration) - 0.005) this.reached();
  }

  reached() {
    const end = this.until ?? this.duration;
    if (this.again.checked) {
      this.seek(this.from, true);
      if (this.video.paused) this.video.play().catch(() => {});
      return;
    }
    this.pause();
    if (Number.isFinite(end) && this.time > end) this.seek(end, true);
    this.until = null;
  }

  failed() {
    if (!this.place) return;
    const why = MEDIA_TROUBLE[this.video.error?.code ?? 0] ?? "";
    const said = `This video cannot be played: ${why}.`;
    this.root.classList.add("without");
    setText(this.words, said);
    this.called.onError(said);
  }

  tell() {
    const end = this.duration;
    const t = this.time;
    setText(this.clock, this.place ? `${t.toFixed(1)} / ${Number.isFinite(end) ? secondsText(end) : "…"}` : "");
    this.called.onTime(t);
  }
}
