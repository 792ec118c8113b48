// One clip: its name and what is to be known of it, its video, its timelines.

import { clear, el } from "../shared/dom.js";
import { Player } from "../shared/player.js";
import { Timelines } from "../shared/timeline.js";
import { figureText, plainText, spanText } from "../shared/words.js";
import { EmbeddedMedia } from "./embedded_media.js";

const NO_VIDEO =
  "No video of this clip was found. To see videos, name their folder when the report is made: " +
  "av2a report … --videos FOLDER";

/** A clip in sight. */
export class ClipView {
  /**
   * @param {HTMLElement} host
   * @param {object} data a ReportData
   * @param {function(number)} onStep called with -1 or 1 where another clip is wanted
   */
  constructor(host, data, onStep) {
    this.data = data;
    this.clip = -1;
    this.label = null;
    this.embedded = new EmbeddedMedia();
    this.name = el("h2", { class: "clip-title name", attributes: { tabindex: -1 } });
    this.facts = el("p", { class: "clip-facts" });
    const before = stepButton("↑", "Previous clip", () => onStep(-1));
    const after = stepButton("↓", "Next clip", () => onStep(1));
    const words = el("div", { class: "clip-words" }, this.name, this.facts);
    this.head = el("div", { class: "clip-head" }, words, before, after);
    host.append(this.head);
    this.player = new Player(host, { onTime: (t) => this.timelines?.setTime(t) });
    this.timelines = new Timelines(host, {
      labels: data.labels,
      onSeek: (t) => this.seek(t),
      onPlay: (onset, offset) => this.play(onset, offset),
      onLabel: (label) => this.choose(label),
    });
    host.append(el("p", { class: "keys-hint", text: "Keys: space plays, ← → a segment, ↑ ↓ a clip." }));
    this.player.media.addEventListener("loadedmetadata", () => this.lengthen());
  }

  /** @param {number} clip its number */
  async show(clip) {
    this.clip = clip;
    const row = this.data.rows[clip];
    const place = this.data.place(clip);
    this.shown = this.data.timelines(clip);
    this.name.textContent = plainText(row.id);
    this.name.title = plainText(row.id);
    this.say(row, place);
    this.timelines.show({ ...this.shown, chosen: this.label });
    this.timelines.setTime(0);
    if (place && !place.url) {
      this.player.show(null, row.id, "");
      place.url = await this.embedded.url(place.file);
      if (this.clip !== clip) return;
    }
    this.player.show(place, plainText(row.id), NO_VIDEO);
  }

  say(row, place) {
    const parts = [];
    if (row.missing) parts.push(`scored without ${row.missing}`);
    if (!row.split) parts.push("not among the annotated clips");
    if (row.wrong !== null) parts.push(`${figureText(row.wrong)} % wrong (${this.data.raw.clips.wrong.figure})`);
    if (row.differs !== null) parts.push(`${figureText(row.differs)} % of the time with events differs`);
    if (place && place.start > 0) parts.push(`from ${spanText(place.start, place.end ?? place.start)} of its file`);
    clear(this.facts).append(parts.join(" · "));
  }

  /** Files may be longer than what is known of them. */
  lengthen() {
    if (this.clip < 0 || !this.data.raw.stitched) return;
    const { duration } = this.player;
    if (!Number.isFinite(duration) || duration <= this.shown.duration + 0.05) return;
    this.shown = { ...this.shown, duration };
    this.timelines.show({ ...this.shown, chosen: this.label });
  }

  choose(label) {
    this.label = this.label === label ? null : label;
    this.timelines.show({ ...this.shown, chosen: this.label });
  }

  play(onset, offset) {
    if (this.player.place) this.player.play(onset, offset);
    else this.timelines.setTime(onset);
  }

  seek(t) {
    if (this.player.place) this.player.seek(t);
    else this.timelines.setTime(t);
  }

  /** @param {number} by segments on */
  step(by) {
    const { duration, segment } = this.shown;
    this.seek(Math.max(0, Math.min(duration, this.timelines.time + by * segment)));
  }
}

function stepButton(text, said, called) {
  return el("button", { text, on: { click: called }, attributes: { type: "button", "aria-label": said, title: said } });
}
