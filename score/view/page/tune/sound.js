// The clip's sound: its waveform, or a spectrogram, on the timelines' time axis.

import WaveSurfer from "/vendor/wavesurfer/wavesurfer.esm.js";
import Spectrogram from "/vendor/wavesurfer/spectrogram.esm.js";
import { el, clear } from "../shared/dom.js";
import { makeButton } from "./parts.js";

const MOST_BYTES = 64 * 2 ** 20;
const KEPT = 3;
const SOUND_HEIGHT = 44;
const RATE = 16000;

/** The strip of sound below the video. */
export class Sound {
  /**
   * @param {HTMLElement} host
   * @param {{onSeek: function(number)}} hear
   */
  constructor(host, { onSeek }) {
    this.onSeek = onSeek;
    this.nonce = document.querySelector('meta[name="style-nonce"]')?.content ?? "";
    this.toggle = makeButton("spectrogram", () => this.setSpectrogram(!this.spectrogram), "quiet", {
      "aria-pressed": "false",
    });
    this.spectrogram = false;
    this.canvas = el("div", { class: "sound-canvas" });
    this.line = el("p", { class: "hint sound-line" });
    const head = el("div", { class: "curve-head" }, el("span", { text: "sound" }), this.toggle);
    this.node = el("div", { class: "sound" }, head, el("div", { class: "sound-place" }, this.canvas, this.line));
    host.append(this.node);
    this.files = new Map();
    this.wave = null;
    this.place = null;
    this.turn = 0;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Show the sound of a place, or nothing where there is none. */
  async show(place, duration) {
    const same = place?.url === this.place?.url && place?.start === this.place?.start && place?.end === this.place?.end;
    if (same && this.duration === duration) return;
    this.place = place;
    this.duration = duration;
    this.samples = null;
    this.node.hidden = place === null;
    const turn = ++this.turn;
    this.drop();
    if (place === null) return;
    this.say("reading the sound …");
    try {
      const found = await this.decoded(place.url);
      if (turn !== this.turn) return;
      this.samples = cutOut(found, place.start, duration);
      this.say("");
      this.draw();
    } catch (error) {
      if (turn === this.turn) this.say(error.message);
    }
  }

  say(text) {
    this.line.textContent = text;
    this.line.hidden = text === "";
    this.toggle.disabled = text !== "";
  }

  async decoded(url) {
    if (!this.files.has(url)) {
      const found = readSound(url);
      found.catch(() => this.files.delete(url));
      this.files.set(url, found);
      if (this.files.size > KEPT) this.files.delete(this.files.keys().next().value);
    }
    return this.files.get(url);
  }

  setSpectrogram(on) {
    this.spectrogram = on;
    this.toggle.setAttribute("aria-pressed", String(on));
    this.draw();
  }

  drop() {
    this.wave?.destroy();
    this.wave = null;
    clear(this.canvas);
  }

  draw() {
    this.drop();
    if (!this.samples) return;
    const { spectrogram } = this;
    const ink = (name) => getComputedStyle(this.node).getPropertyValue(name).trim();
    this.wave = WaveSurfer.create({
      container: this.canvas,
      cspNonce: this.nonce,
      height: spectrogram ? 0 : SOUND_HEIGHT,
      waveColor: ink("--heard"),
      progressColor: ink("--heard"),
      cursorColor: ink("--accent"),
      cursorWidth: spectrogram ? 0 : 2,
      normalize: true,
      interact: true,
      hideScrollbar: true,
      sampleRate: RATE,
      peaks: [this.samples],
      duration: this.duration,
    });
    this.wave.on("interaction", (time) => this.onSeek(time));
    if (spectrogram) this.addSpectrogram();
    this.setTime(this.time ?? 0);
  }

  addSpectrogram() {
    const plugin = Spectrogram.create({
      height: SOUND_HEIGHT,
      labels: false,
      fftSamples: 512,
      frequencyMax: RATE / 2,
      colorMap: "roseus",
      scale: "mel",
      useWebWorker: false,
    });
    this.wave.registerPlugin(plugin);
    plugin.on("click", (part) => this.onSeek(part * this.duration));
    this.mark = el("div", { class: "curve-playhead" });
    this.canvas.append(this.mark);
  }

  /** Put the playhead. */
  setTime(time) {
    this.time = time;
    if (!this.wave || this.duration <= 0) return;
    this.wave.setTime(time);
    const part = Math.min(Math.max(time / this.duration, 0), 1);
    if (this.mark) this.mark.style.transform = `translateX(${part * this.canvas.clientWidth}px)`;
  }
}

async function readSound(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error("the sound cannot be read");
  if (Number(response.headers.get("Content-Length") ?? 0) > MOST_BYTES) {
    response.body?.cancel();
    throw new Error(`no waveform: the file is larger than ${MOST_BYTES / 2 ** 20} MB`);
  }
  const bytes = await response.arrayBuffer();
  const decoder = new OfflineAudioContext(1, 1, RATE);
  try {
    return mixed(await decoder.decodeAudioData(bytes));
  } catch {
    throw new Error("no waveform: there is no sound in the file, or none that this browser decodes");
  }
}

function mixed(buffer) {
  const found = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const part = buffer.getChannelData(channel);
    for (let index = 0; index < part.length; index += 1) found[index] += part[index] / buffer.numberOfChannels;
  }
  return found;
}

function cutOut(samples, start, duration) {
  const found = new Float32Array(Math.max(Math.round(duration * RATE), 1));
  const from = Math.round(start * RATE);
  found.set(samples.subarray(from, from + found.length));
  return found;
}
