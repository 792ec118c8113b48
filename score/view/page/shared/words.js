// Names of streams, and numbers and texts as people read them.

/** Streams by number, as events have them. */
export const STREAMS = ["audiovisual", "visual", "audio"];

/** What people call them. */
export const STREAM_NAMES = { audiovisual: "both", visual: "seen", audio: "heard" };

/** Numbers of streams in the order in which they are shown: seen, heard, both. */
export const SHOWN = [1, 2, 0];

const ACTING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * A name or label as it is shown: what would act on the text around it (control characters, directions) is spelt out.
 * @param {string} text
 * @returns {string}
 */
export function plainText(text) {
  return String(text).replace(ACTING, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * A time: "3.5 s", "1:03.5", "1:02:03".
 * @param {number} t seconds
 * @returns {string}
 */
export function secondsText(t) {
  if (!Number.isFinite(t)) return "–";
  if (t < 59.95) return `${tenths(t)} s`;
  const whole = Math.floor(t + 0.05);
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  if (hours) return `${hours}:${twoDigits(minutes)}:${twoDigits(whole % 60)}`;
  const rest = Math.max(0, t - minutes * 60);
  return `${minutes}:${rest < 9.95 ? "0" : ""}${tenths(rest)}`;
}

/**
 * A stretch of time: "1–3.5 s".
 * @param {number} onset seconds
 * @param {number} offset seconds
 * @returns {string}
 */
export function spanText(onset, offset) {
  return offset < 59.95 ? `${tenths(onset)}–${tenths(offset)} s` : `${secondsText(onset)} – ${secondsText(offset)}`;
}

/**
 * A figure with one digit; a dash where it is not defined.
 * @param {number|null|undefined} v
 * @returns {string}
 */
export function figureText(v) {
  return v === null || v === undefined || Number.isNaN(v) ? "–" : v.toFixed(1);
}

/**
 * A whole number with its noun: "1 clip", "1,200 clips".
 * @param {number} n
 * @param {string} noun
 * @returns {string}
 */
export function countText(n, noun) {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

function tenths(t) {
  return String(Math.round(t * 10) / 10);
}

function twoDigits(n) {
  return String(n).padStart(2, "0");
}
