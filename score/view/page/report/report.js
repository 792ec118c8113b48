// The report: its head, its two pages, and the keyboard.

import { ClipList } from "../shared/clip_list.js";
import { clear, el } from "../shared/dom.js";
import { countText, figureText, plainText } from "../shared/words.js";
import { ClipView } from "./clip_view.js";
import { showOverview } from "./overview.js";
import { ReportData } from "./report_data.js";

const MOST_FIGURES_ON_TOP = 3;

/** Build the page. */
function startReport() {
  const data = new ReportData(JSON.parse(document.getElementById("data").textContent));
  const host = clear(document.getElementById("page"));
  const left = el("div", { class: "panel left" });
  const right = el("section", { class: "panel right", attributes: { "aria-label": "Clip" } });
  right.classList.toggle("without-videos", !data.raw.clips.place.some(Boolean));
  const clips = el("div", { class: "page-clips", id: "page-clips", attributes: { role: "tabpanel" } }, left, right);
  const whole = el("div", { class: "page-whole", id: "page-whole", attributes: { role: "tabpanel" } });
  const tabs = new ReportTabs([["Clips", clips], ["Overview", whole]]);
  host.append(reportHead(data, tabs.root), el("main", {}, clips, whole));
  const list = new ClipList(left, {
    labels: data.labels,
    truth: data.truth,
    several: data.layers.length > 1,
    onSelect: (clip) => {
      view.show(clip);
      history.replaceState(null, "", `#${encodeURIComponent(data.rows[clip].id)}`);
    },
  });
  const view = new ClipView(right, data, (by) => list.step(by));
  const goTo = (id) => {
    const found = data.rows.findIndex((row) => row.id === id);
    if (found < 0) return false;
    tabs.choose(0);
    list.select(found);
    return true;
  };
  list.setRows(data.rows);
  if (!goTo(idOfHash())) list.step(1);
  showOverview(whole, data);
  window.addEventListener("hashchange", () => goTo(idOfHash()));
  document.addEventListener("keydown", (event) => onReportKey(event, list, view, tabs));
  performance.mark("clip-built");
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("clip-shown")));
}

function idOfHash() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

function onReportKey(event, list, view, tabs) {
  const at = event.target;
  const typing = at.closest("input:not([type=checkbox]):not([type=range]), select, textarea");
  if (typing || event.altKey || event.ctrlKey || event.metaKey || tabs.chosen !== 0) return;
  const act = {
    " ": () => view.player.toggle(),
    ArrowLeft: () => view.step(-1),
    ArrowRight: () => view.step(1),
    ArrowUp: () => list.step(-1),
    ArrowDown: () => list.step(1),
  }[event.key];
  const clicked = at.closest(".event") && !view.timelines.walking;
  if (!act || (event.key === " " && !clicked && at.closest("button, input"))) return;
  if (at.closest("[role=tab], input")) return;
  event.preventDefault();
  act();
}

function reportHead(data, tabs) {
  const events = data.about.systems.map((each) => each.events.toLocaleString("en")).join(" / ");
  const one = data.about.systems.length === 1 ? data.about.systems[0] : null;
  const said = [countText(data.rows.length, "clip"), `${events} events`];
  if (one?.cache.backbone) said.push(one.cache.backbone);
  if (one?.rule) said.push(`rule ${one.rule}`);
  if (!one) said.push(data.layers.map((layer) => plainText(layer.name)).join(", "));
  const words = el("div", { class: "head-words" }, el("h1", { class: "name", text: plainText(data.title) }));
  words.append(el("p", { class: "dim", text: said.join(" · ") }));
  return el("header", { class: "head" }, words, headFigures(data), tabs);
}

function headFigures(data) {
  const { figures } = data.about;
  const host = el("dl", { class: "head-figures" });
  if (!figures) return host;
  const first = ([name]) => Number(name === figures.objective);
  const rows = [...figures.rows].sort((a, b) => first(b) - first(a));
  for (const [name, values] of rows.slice(0, MOST_FIGURES_ON_TOP)) {
    const value = el("dd", { text: values.map(figureText).join(" / ") });
    host.append(el("div", {}, el("dt", { text: plainText(name) }), value));
  }
  return host;
}

/** Pages of which one is in sight. */
class ReportTabs {
  /** @param {Array<[string, HTMLElement]>} pages */
  constructor(pages) {
    this.pages = pages.map(([, page]) => page);
    this.buttons = pages.map(([name, page], at) => {
      const button = el("button", { id: `tab-${page.id}`, text: name, attributes: { type: "button", role: "tab" } });
      button.setAttribute("aria-controls", page.id);
      button.addEventListener("click", () => this.choose(at));
      page.setAttribute("aria-labelledby", button.id);
      return button;
    });
    this.root = el("div", { class: "tabs", attributes: { role: "tablist", "aria-label": "Pages" } }, ...this.buttons);
    this.root.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      this.choose((this.chosen + by + pages.length) % pages.length);
      this.buttons[this.chosen].focus();
    });
    this.choose(0);
  }

  choose(chosen) {
    this.chosen = chosen;
    this.buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", at === chosen);
      button.tabIndex = at === chosen ? 0 : -1;
      this.pages[at].hidden = at !== chosen;
    });
  }
}

startReport();
