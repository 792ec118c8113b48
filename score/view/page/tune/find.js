// "Find the best": a search from the settings shown, in bounded time; its result on the sliders.

import { el, clear } from "../shared/dom.js";
import { makeButton, makeLabel, makeLine, makeOptions } from "./parts.js";
import { FindMap } from "./find_map.js";
import { GoneError } from "./api.js";

const LOOK_MS = 300;

/** The panel of the search. */
export class Find {
  /**
   * @param {HTMLElement} host
   * @param {{api: object, asked: function(): object, onFound: function(object, string), onVary: function(Set)}} page
   *   asked gives setting and text; onFound gets parameters for the sliders and where they are from.
   */
  constructor(host, page) {
    this.page = page;
    this.vary = new Set();
    this.boxes = new Map();
    this.titles = new Map();
    this.names = el("div", { class: "vary-names" });
    const set = el("fieldset", { class: "vary" }, el("legend", { text: "Vary" }), this.names);
    this.seconds = el("input", {
      id: "find-seconds",
      class: "number-box",
      attributes: { type: "number", min: 1, max: 600, value: 10 },
    });
    this.objective = el("select", { id: "find-objective" });
    this.start = makeButton("Find the best", () => this.toggle(), "primary");
    this.bar = el("progress", { attributes: { max: 1, value: 0, "aria-label": "search" } });
    this.bar.hidden = true;
    this.line = makeLine("hint find-line");
    const fields = el("div", { class: "fields" });
    fields.append(makeLabel("Figure", "find-objective"), this.objective);
    fields.append(makeLabel("Seconds", "find-seconds"), this.seconds);
    host.append(set, fields, el("div", { class: "line-row" }, this.start, this.bar), this.line);
    this.map = new FindMap(host, {
      onChoose: (values, figure) =>
        this.page.onFound({ ...this.found.best.parameters, ...values }, `a setting of the search, ${figureOf(figure)}`),
    });
    this.running = false;
    this.found = null;
  }

  /** Take what is measured; null: nothing can be looked for. */
  setDataset(dataset) {
    this.rule = null;
    clear(this.objective);
    const names = dataset?.figures ?? [];
    this.objective.append(...makeOptions(names));
    if (dataset) this.objective.value = dataset.objective;
    this.can = dataset !== null;
    this.start.disabled = !this.can;
    if (!this.can) this.line.textContent = "A search needs annotations: --annotations DIR --dataset NAME --split val";
  }

  /** Take the parameters of a rule: those that are usually tuned are varied until others are chosen. */
  setParameters(rule, parameters) {
    if (this.rule === rule) return;
    this.rule = rule;
    clear(this.names);
    this.boxes.clear();
    this.titles = new Map(parameters.map((each) => [each.name, shortTitle(each)]));
    const known = parameters.filter((each) => each.searched && !each.why_not);
    const tuned = known.filter((each) => each.tuned);
    const numbers = known.filter((each) => each.kind === "number");
    this.vary = new Set((tuned.length > 0 ? tuned : numbers).map((each) => each.name));
    for (const each of known) {
      const box = el("input", { id: `vary-${each.name}`, attributes: { type: "checkbox" } });
      box.addEventListener("change", () => this.setVary(each.name, box.checked));
      this.boxes.set(each.name, box);
      const label = makeLabel(each.title || each.name, box.id);
      this.names.append(el("span", { class: "vary-name" }, box, label));
    }
    this.showVary();
    this.showMap();
  }

  /** Vary a parameter, or leave it as it is. */
  setVary(name, on) {
    if (on) this.vary.add(name);
    else this.vary.delete(name);
    this.showVary();
  }

  showVary() {
    for (const [name, box] of this.boxes) box.checked = this.vary.has(name);
    this.page.onVary(this.vary);
  }

  /** Begin, or stop what is running. */
  async toggle() {
    try {
      if (this.running) await this.page.api.post("/api/find/stop");
      else await this.begin();
    } catch (error) {
      this.line.textContent = error.message;
    }
  }

  async begin() {
    const asked = this.page.asked();
    const order = [...this.boxes.keys()].filter((name) => this.vary.has(name));
    const body = { ...asked, vary: order, seconds: Number(this.seconds.value), objective: this.objective.value };
    this.asked = asked;
    this.line.textContent = "";
    await this.page.api.post("/api/find", body);
    await this.follow();
  }

  /** Show what was found before the page was loaded again, and go on with a search that is running. */
  async resume() {
    if (!this.can || this.running) return;
    const found = await this.page.api.get("/api/find");
    if (!found.best) return;
    this.asked = null;
    if (found.running) await this.follow();
    else this.show(found);
  }

  async follow() {
    this.setRunning(true);
    try {
      for (;;) {
        const found = await this.page.api.get("/api/find");
        this.show(found);
        if (!found.running) break;
        await new Promise((done) => setTimeout(done, LOOK_MS));
      }
      this.finish();
    } catch (error) {
      this.line.textContent = error instanceof GoneError ? "the search ended with the server" : error.message;
    } finally {
      this.setRunning(false);
    }
  }

  setRunning(running) {
    this.running = running;
    this.start.textContent = running ? "Stop" : "Find the best";
    this.bar.hidden = !running;
  }

  show(found) {
    this.found = found;
    this.bar.value = found.limit > 0 ? Math.min(found.seconds / found.limit, 1) : 0;
    if (found.best === null || found.best.value === null) return;
    const change = found.begun === null ? "" : `, ${signed(found.best.value - found.begun)}`;
    const tried = found.tried.toLocaleString("en");
    this.line.textContent = `${tried} settings tried: ${found.objective} ${found.best.value.toFixed(2)}${change}`;
    this.showMap();
  }

  /** The map is of the rule that was searched, and of no other. */
  showMap() {
    const { rule, vary, objective, points } = this.found ?? {};
    if (rule !== this.rule || !points) {
      this.map.show(new Map(), "", []);
      return;
    }
    const titles = new Map(vary.map((name) => [name, this.titles.get(name) ?? name]));
    this.map.show(titles, objective, points);
  }

  finish() {
    const { error, best, begun } = this.found;
    if (error) {
      this.line.textContent = error;
      return;
    }
    if (best === null || best.value === null || this.asked === null) return;
    if (begun !== null && best.value <= begun) {
      this.line.textContent += ": nothing is better than where it began";
      return;
    }
    if (this.asked.setting.rule === this.page.asked().setting.rule) {
      this.page.onFound(best.parameters, `the best found: ${best.value.toFixed(2)}`);
    }
  }
}

function shortTitle({ title, name }) {
  return (title || name).replace(/ \(.*\)$/, "");
}

function figureOf(value) {
  return value === null ? "without a figure" : value.toFixed(2);
}

function signed(change) {
  return `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)}`;
}
