// The page of all clips together: figures, settings, counts, failures.

import { el } from "../shared/dom.js";
import { SHOWN, STREAMS, STREAM_NAMES, countText, figureText, plainText } from "../shared/words.js";
import { pairsOf, tableOf } from "./tables.js";

const MOST_FAILURES_SHOWN = 500;

/**
 * What the report says of whole files of events.
 * @param {HTMLElement} host
 * @param {object} data a ReportData
 */
export function showOverview(host, data) {
  const { about } = data;
  const left = el("div", { class: "about-column" });
  const right = el("div", { class: "about-column" });
  if (about.figures) left.append(figuresPanel(about.figures, data));
  for (const { header, rows } of about.figures?.tables ?? []) {
    left.append(panelOf(header[0], tableOf(header, rows, header[0])));
  }
  (about.figures ? right : left).append(settingsPanel(about.systems));
  right.append(cachePanel(about, data));
  if (about.failures?.length) right.append(failuresPanel(about.failures));
  (about.figures?.tables.length === 0 ? left : right).append(countsPanel(about.systems, data));
  host.append(left, right);
}

function panelOf(title, ...children) {
  return el("section", { class: "panel about" }, el("h2", { text: plainText(title) }), ...children);
}

function notesOf(lines) {
  if (!lines.length) return null;
  return el("ul", { class: "notes" }, ...lines.map((line) => el("li", { text: plainText(line) })));
}

function figuresPanel(figures, data) {
  const split = figures.split ? `${figures.split} split` : "annotations";
  const clips = `${figures.clips.toLocaleString("en")} of ${countText(figures.in_split, "clip")}`;
  const several = figures.systems.length > 1;
  const first = figures.systems[0];
  const header = several
    ? ["figure", ...figures.systems, ...figures.systems.slice(1).map((name) => `${name} − ${first}, 95 %`)]
    : ["figure", "value", "95 % interval", "0 to 100"];
  const rows = figures.rows.map(([name, values, more]) => {
    if (several) return [name, ...values, ...more.map(differenceOf)];
    return [name, values[0], intervalText(more), intervalBar(values[0], more)];
  });
  const wrong = data.raw.clips.wrong?.figure;
  const notes = [...figures.notes];
  if (several) {
    const times = figures.resamples.toLocaleString("en");
    notes.push(`Intervals are of differences: ${times} resamples of the clips, the same for all. Bold: 0 is outside.`);
  } else notes.push("Intervals: bootstrapped over clips.");
  if (wrong) notes.push(`Disagreement of a clip${several ? ` (${first})` : ""} is 100 less its ${wrong}.`);
  const said = el("p", { class: "dim", text: `${figures.dataset}, ${split}: ${clips}; in percent.` });
  return panelOf("Figures", said, tableOf(header, rows, "Figures, in percent"), notesOf(notes));
}

function intervalText([low, high]) {
  return low === null ? "–" : `${figureText(low)} to ${figureText(high)}`;
}

function intervalBar(value, [low, high]) {
  const bar = el("span", { class: "interval", attributes: { "aria-hidden": "true" } });
  const span = el("span", { class: "interval-span" });
  const point = el("span", { class: "interval-point" });
  span.style.left = `${low ?? value}%`;
  span.style.width = `${low === null ? 0 : high - low}%`;
  point.style.left = `${value}%`;
  bar.append(span, point);
  return bar;
}

function differenceOf([difference, low, high, clear]) {
  if (difference === null) return "–";
  const signed = (v) => (v === null ? "–" : `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(1)}`);
  const text = `${signed(difference)} (${signed(low)} to ${signed(high)})`;
  return el("span", { class: clear ? (difference > 0 ? "clear better" : "clear worse") : "", text });
}

function settingsPanel(systems) {
  const names = [...new Set(systems.flatMap((each) => Object.keys(each.settings)))];
  const values = names.map((name) => [name, ...systems.map((each) => settingText(each.settings[name]))]);
  const rows = [["rule", ...systems.map((each) => each.rule ?? "not known")], ...values];
  const marked = rows.map((row) => (new Set(row.slice(1)).size > 1 ? [row[0], ...row.slice(1).map(marks)] : row));
  const header = systems.length > 1 ? ["setting", ...systems.map((each) => each.name)] : ["setting", "value"];
  const notes = systems.flatMap((each) => {
    const lines = each.about ? [`${each.rule}: ${each.about}`, ...each.notes] : each.notes;
    return lines.map((line) => (systems.length > 1 ? `${each.name}: ${line}` : line));
  });
  return panelOf("Settings", tableOf(header, marked, "Settings"), notesOf(notes));
}

function marks(text) {
  return el("mark", { text: plainText(text) });
}

function settingText(value) {
  if (value === undefined) return "–";
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value);
}

function countsPanel(systems, data) {
  const several = systems.length > 1;
  const header = ["label"];
  for (const stream of SHOWN) {
    const name = STREAM_NAMES[STREAMS[stream]];
    for (const each of systems) header.push(several ? `${name}, ${each.name}` : name);
  }
  const of = (label) => SHOWN.flatMap((stream) => systems.map((each) => each.counts[3 * label + stream]));
  const rows = data.labels.map((label, at) => [label, ...of(at)]).filter((row) => row.slice(1).some((n) => n > 0));
  const sums = header.slice(1).map((_, at) => rows.reduce((sum, row) => sum + row[at + 1], 0));
  return panelOf("Events", tableOf(header, [...rows, ["all", ...sums]], "Numbers of events by label and stream"));
}

function cachePanel(about, data) {
  const { systems } = about;
  const lines = [];
  for (const each of systems) {
    const pairs = [["clips", each.clips.toLocaleString("en")], ["events", each.events.toLocaleString("en")]];
    for (const [status, count] of Object.entries(each.left_out)) pairs.push([`not scored: ${status}`, count]);
    for (const [what, count] of Object.entries(each.without)) pairs.push([`clips without ${what}`, count]);
    pairs.push(...Object.entries(each.cache).map(([name, value]) => [name === "text" ? "label set" : name, value]));
    lines.push(systems.length > 1 ? el("h3", { text: plainText(each.name) }) : null, pairsOf(pairs));
  }
  if (about.cache) lines.push(el("h3", { text: "The cache today" }), pairsOf(Object.entries(about.cache)));
  const notes = about.other_cache ? ["The cache is another one than was scored, or has changed since."] : [];
  const seen = data.raw.clips.place.filter(Boolean).length;
  notes.push(`${seen.toLocaleString("en")} of ${countText(data.rows.length, "clip")} have a video or a sound here.`);
  return panelOf("Clips and cache", ...lines, notesOf(notes));
}

function failuresPanel(failures) {
  const rows = failures.slice(0, MOST_FAILURES_SHOWN);
  const left = failures.length - rows.length;
  const title = `${countText(failures.length, "clip")} failed`;
  const more = left ? el("p", { class: "dim", text: `${left.toLocaleString("en")} more are not listed.` }) : null;
  return panelOf(title, tableOf(["clip", "reason"], rows, "Clips that failed, and why"), more);
}
