// The page: what is shown, what a person changes, and what becomes of answers.

import { clear } from "../shared/dom.js";
import { ClipList } from "../shared/clip_list.js";
import { plainText } from "../shared/words.js";
import { Api } from "./api.js";
import { Asking } from "./asking.js";
import { ClipView, labelToExplain } from "./clip_view.js";
import { Frame } from "./frame.js";
import { History } from "./history.js";
import { Settings } from "./settings.js";
import { SidePanel } from "./side_panel.js";
import { Status } from "./status.js";

const GONE = "The server does not answer: start `av2a tune` again; this page goes on by itself.";
const SLOW = "Still at work. A rule that is new on this machine is compiled first: half a minute or so, once.";
const byId = (id) => document.getElementById(id);

class TunePage {
  constructor() {
    this.status = new Status(byId("status"), byId("banners"));
    this.api = new Api({
      onGone: () => this.status.banner("gone", GONE),
      onAlive: (alive, gone_before) => this.alive(alive, gone_before),
      onRefused: (error) => this.status.banner("gone", `The server was started again: ${error.message}.`),
    });
    this.clip = 0;
    this.label = null;
    this.fresh = true;
  }

  /** Load the state, build the page, show a clip. */
  async start() {
    this.state = await this.api.firstState((error) => this.status.banner("wrong", error.message));
    for (const name of ["gone", "wrong"]) this.status.banner(name, null);
    this.settings = new Settings(this.state);
    this.build();
    const begun = JSON.stringify(this.settings.snapshot());
    this.takePlace(this.settings.fromHash(location.hash));
    this.takeState();
    this.history.begin(this.settings.snapshot());
    this.view.begin();
    if (begun !== JSON.stringify(this.settings.snapshot())) await this.measureBase();
    this.askAll();
    this.api.watch();
    addEventListener("hashchange", () => this.readAddress());
    await this.side.find.resume();
  }

  build() {
    this.history = new History((steps) => this.frame?.showSteps(steps));
    this.view = new ClipView(byId("clip"), {
      onLabel: (label) => this.choose(label),
      onStep: (by) => this.list.step(by),
    });
    const asked = () => ({ setting: this.settings.setting, text: this.settings.text });
    this.side = new SidePanel(byId("side"), {
      api: this.api,
      asked,
      onParameter: (name, value, gesture) => this.setParameter(name, value, gesture),
      onDone: () => this.history.seal(),
      onRule: (rule) => this.put(() => (this.settings.rule = rule)),
      onText: (text) => this.put(() => (this.settings.text = text)),
      onUsual: () => this.putUsual(),
      onFound: (parameters, from) => this.putFound(parameters, from),
      onWords: (text) => this.showWords(text),
    });
    this.asking = new Asking(this.api, {
      clip: (answer, about) => this.showClip(answer, about),
      figures: (answer) => this.side.figures.show(answer.figures, answer.note),
      rows: (answer, about) => this.showRows(answer, about),
      rest: () => this.writeAddress(),
      error: (error) => this.status.say(error.message, true),
      slow: () => this.status.say(SLOW),
      clipLate: (late) => this.view.node.classList.toggle("late", late),
      figuresLate: (late) => this.side.figures.setLate(late),
    });
    this.frame = new Frame({
      api: this.api,
      asked,
      say: (text, wrong) => this.status.say(text, wrong),
      onSaved: () => this.side.figures.keepAsBase("since the last save"),
      undo: () => this.goTo(this.history.undo()),
      redo: () => this.goTo(this.history.redo()),
      toggle: () => this.view.toggle(),
      segment: (by) => this.view.step(by),
      clip: (by) => this.list.step(by),
      controls: () => this.side.controls.focus(),
      search: () => byId("clips").querySelector("input[type=search]").focus(),
    });
  }

  /** Take the server's state, the first or a newer one. */
  takeState() {
    const { dataset, notes, videos, videos_hint, clips } = this.state;
    this.view.setHint(videos === null ? videos_hint : "There is no video of this clip in the folder.");
    this.side.setState(this.state);
    this.frame.setState(this.state);
    if (notes.length > 0) this.status.say(notes.join(" · "));
    this.rows = clips.map((row) => ({ ...row, labels: row.labels ?? [] }));
    clear(byId("clips"));
    this.list = new ClipList(byId("clips"), {
      labels: this.labels,
      truth: dataset !== null,
      onSelect: (index) => this.select(index),
    });
    this.list.setRows(this.rows);
    this.list.select(this.clip);
    this.view.setLabels(this.labels);
    this.side.show(this.settings);
  }

  get labels() {
    return this.state.texts.find((text) => text.name === this.settings.text).labels;
  }

  // What a person does.

  select(index) {
    if (index === this.clip) return;
    this.clip = index;
    this.fresh = true;
    this.asking.askClip(this.api.next(), this.what);
  }

  choose(label) {
    this.label = label;
    this.asking.askClip(this.api.next(), this.what);
  }

  setParameter(name, value, gesture) {
    const seq = this.asking.mark();
    this.settings.values[name] = value;
    this.askAll(seq);
    this.history.record(this.settings.snapshot(), gesture);
    this.side.show(this.settings);
  }

  put(change) {
    const seq = this.asking.mark();
    const before = this.settings.text;
    change();
    this.history.step(this.settings.snapshot());
    this.settled(before, seq);
  }

  goTo(snapshot) {
    if (snapshot === null) return;
    const seq = this.asking.mark();
    const before = this.settings.text;
    this.settings.restore(snapshot);
    this.settled(before, seq);
  }

  async putUsual() {
    const { rule, text } = this.settings;
    try {
      const { setting } = await this.api.post("/api/usual", { rule, text });
      this.put(() => (this.settings.own[setting.rule] = { ...setting.parameters }));
    } catch (error) {
      this.status.say(error.message, true);
    }
  }

  putFound(parameters, from) {
    const { rule } = this.settings;
    this.put(() => (this.settings.own[rule] = { ...this.settings.values, ...parameters }));
    this.status.say(`On the sliders: ${from}. Undo brings back what was there.`);
  }

  async showWords(text) {
    const { texts } = await this.api.get("/api/state");
    this.state.texts = texts;
    this.settings.texts = texts.map((each) => each.name);
    this.side.setTexts(texts);
    this.put(() => (this.settings.text = text));
  }

  // What is asked, and what is answered.

  get what() {
    return { clip: this.clip, label: this.label, text: this.settings.text, setting: this.settings.setting };
  }

  askAll(seq = this.api.next()) {
    const { dataset, clips, limits } = this.state;
    this.asking.askAll(seq, this.what, { figures: dataset !== null, rows: clips.length <= limits.list });
  }

  settled(text_before, seq) {
    if (this.settings.text !== text_before) {
      this.label = null;
      this.rows = this.rows.map((row) => ({ ...row, counts: null, score: null, labels: [] }));
      this.list.setRows(this.rows);
      this.list.setLabels(this.labels);
      this.view.clear(this.labels);
    }
    this.side.show(this.settings);
    this.askAll(seq);
  }

  async measureBase() {
    if (this.state.dataset === null) return;
    const { text, setting } = this.state;
    try {
      const asked = { seq: this.api.next(), page: this.api.page, text, setting };
      this.side.figures.setBase((await this.api.post("/api/figures", asked)).figures);
    } catch (error) {
      this.status.say(error.message, true);
    }
  }

  showClip(answer, { clip, text, label }) {
    this.status.right();
    if (clip !== this.clip || text !== this.settings.text) return;
    const row = this.state.clips[clip];
    if (this.fresh || this.label === null) {
      this.fresh = false;
      const better = labelToExplain(answer, this.label);
      if (better !== this.label) {
        this.label = better;
        this.asking.askClip(this.api.next(), this.what);
      }
    }
    document.title = `${plainText(row.id)} · av2a tune`;
    const segment = this.state.cache.segment_seconds;
    this.view.show(row, answer, { label: this.label, segment, explained: label === this.label });
  }

  showRows(answer, { text }) {
    if (text !== this.settings.text) return;
    this.rows = this.state.clips.map((row, index) => ({ ...row, ...answer.rows[index] }));
    this.list.setRows(this.rows);
  }

  // The address, and the server.

  takePlace({ clip, label }) {
    const found = this.state.clips.findIndex((row) => row.id === clip);
    if (found >= 0) this.clip = found;
    else if (clip === null)
      this.clip = Math.max(
        this.state.clips.findIndex((row) => row.split),
        0,
      );
    this.label = label !== null && label < this.labels.length ? label : null;
    this.fresh = this.label === null;
  }

  writeAddress() {
    this.address = this.settings.toHash({ clip: this.state.clips[this.clip]?.id ?? "", label: this.label });
    if (this.address !== location.hash) window.history.replaceState(null, "", this.address);
  }

  readAddress() {
    if (location.hash === this.address) return;
    let place;
    this.put(() => (place = this.settings.fromHash(location.hash)));
    this.takePlace(place);
    this.list.select(this.clip);
    this.askAll();
  }

  async alive({ session, changed }, gone_before) {
    if (session !== this.state.session) await this.loadAgain();
    this.status.banner("gone", null);
    this.status.banner("changed", changed, { word: "Load it again", act: () => this.reopen() });
    if (gone_before) this.asking.resume();
  }

  async reopen() {
    try {
      await this.api.post("/api/reopen");
      this.status.banner("changed", null);
      await this.loadAgain();
    } catch (error) {
      this.status.say(error.message, true);
    }
  }

  async loadAgain() {
    const [id, text] = [this.state.clips[this.clip]?.id, this.settings.text];
    this.state = await this.api.get("/api/state");
    this.settings.adopt(this.state);
    if (this.settings.text !== text) this.label = null;
    this.clip = Math.max(
      this.state.clips.findIndex((row) => row.id === id),
      0,
    );
    this.takeState();
    this.askAll();
  }
}

new TunePage().start();
