// Controls of a rule's parameters, made from their descriptions.

import { el, clear } from "../shared/dom.js";
import { makeButton, makeLabel, makeOptions } from "./parts.js";
import { fits } from "./settings.js";

/** A value as a control shows it: as many digits as are of use. */
export function valueText(value) {
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

/** The controls of one rule. */
export class Controls {
  /**
   * @param {HTMLElement} host
   * @param {{onInput: function(string, *, string), onDone: function(string), onVary: function(string, boolean)}} hear
   *   onInput at every move of a slider, with a name of the gesture, onDone when it is let go, onVary when a pin is set
   *   or taken away.
   */
  constructor(host, hear) {
    this.host = host;
    this.hear = hear;
    this.rows = new Map();
  }

  /** Make the controls of these parameters anew. */
  build(parameters, usual) {
    clear(this.host);
    this.usual = usual;
    this.rows = new Map(parameters.map((each) => [each.name, new Control(each, this)]));
    this.host.append(...Array.from(this.rows.values(), (row) => row.node));
  }

  /** Show values. */
  show(values) {
    for (const [name, row] of this.rows) row.show(values[name], this.usual[name]);
  }

  /** Show what a search varies. */
  showVary(names) {
    for (const [name, row] of this.rows) row.showVary(names.has(name));
  }

  /** Give the focus to the first control. */
  focus() {
    this.host.querySelector("input:not(:disabled), select:not(:disabled)")?.focus();
  }
}

class Control {
  constructor(parameter, controls) {
    this.parameter = parameter;
    this.hear = controls.hear;
    this.id = `p-${parameter.name}`;
    this.title = parameter.title || parameter.name;
    this.disabled = parameter.why_not !== null && parameter.why_not !== undefined;
    this.inputs = [];
    this.make();
    this.shown = undefined;
    this.usual_shown = undefined;
  }

  make() {
    const { parameter, id } = this;
    const title = makeLabel(this.title, id, "control-title");
    const hint = el("p", { id: `${id}-hint`, class: "hint", text: this.disabled ? parameter.why_not : parameter.help });
    this.hint = hint;
    this.reset = makeButton("usual", () => this.put(this.usual, "usual"), "quiet reset");
    this.pin = makeButton(
      "vary",
      () => this.hear.onVary(parameter.name, this.pin.ariaPressed !== "true"),
      "quiet pin",
      {
        "aria-pressed": "false",
        "aria-label": `vary ${this.title} in the search`,
        title: "vary it when the best is looked for",
      },
    );
    const body = this[`make_${parameter.kind}`]();
    const head = el("div", { class: "control-head" }, title, el("span", { class: "grow" }), this.reset);
    if (parameter.searched && !this.disabled) head.append(this.pin);
    if (body.beside) head.append(body.beside);
    this.node = el("div", { class: `control control-${parameter.kind}`, dataset: { name: parameter.name } }, head);
    if (body.below) this.node.append(body.below);
    this.node.append(hint);
    for (const input of this.inputs) {
      input.disabled = this.disabled;
      input.setAttribute("aria-describedby", hint.id);
    }
  }

  make_number() {
    const { parameter, id } = this;
    const { slider, name } = parameter;
    this.box = el("input", { class: "number-box", attributes: { type: "number", step: "any", autocomplete: "off" } });
    if (parameter.low !== null) this.box.min = String(parameter.low);
    if (parameter.high !== null) this.box.max = String(parameter.high);
    this.box.addEventListener("change", () => this.put(this.box.value === "" ? NaN : Number(this.box.value), "typed"));
    this.inputs.push(this.box);
    if (!slider) {
      this.box.id = id;
      return { beside: this.box };
    }
    this.box.setAttribute("aria-label", `${this.title}, as a number`);
    this.slider = el("input", {
      id,
      attributes: { type: "range", min: slider.low, max: slider.high, step: slider.step },
    });
    this.slider.addEventListener("input", () => this.put(Number(this.slider.value)));
    this.slider.addEventListener("change", () => this.hear.onDone(name));
    this.inputs.push(this.slider);
    return { beside: this.box, below: this.slider };
  }

  make_count() {
    const { parameter, id } = this;
    this.box = el("input", { class: "number-box", id, attributes: { type: "number", step: 1, autocomplete: "off" } });
    if (parameter.low !== null) this.box.min = String(parameter.low);
    if (parameter.high !== null) this.box.max = String(parameter.high);
    this.box.addEventListener("change", () => this.put(this.box.value === "" ? NaN : Number(this.box.value), "typed"));
    this.inputs.push(this.box);
    return { beside: this.box };
  }

  make_choice() {
    this.select = el("select", { id: this.id }, ...makeOptions(this.parameter.names, this.parameter.refused));
    this.select.addEventListener("change", () => this.put(this.select.value, "typed"));
    this.inputs.push(this.select);
    return { beside: this.select };
  }

  make_flag() {
    this.check = el("input", { id: this.id, attributes: { type: "checkbox" } });
    this.check.addEventListener("change", () => this.put(this.check.checked, "typed"));
    this.inputs.push(this.check);
    return { beside: this.check };
  }

  make_text() {
    this.text = el("input", {
      id: this.id,
      attributes: { type: "text", placeholder: this.parameter.metavar, spellcheck: "false", autocomplete: "off" },
    });
    this.text.addEventListener("change", () => this.put(this.text.value.trim(), "typed"));
    this.inputs.push(this.text);
    return { below: this.text };
  }

  put(value, how = "") {
    const box = this.box ?? this.text;
    if (!fits(this.parameter, value)) {
      box?.setAttribute("aria-invalid", "true");
      this.hint.textContent = `It has to be ${rangeOf(this.parameter)}.`;
      return;
    }
    this.right();
    this.hear.onInput(this.parameter.name, value, `${this.parameter.name} ${how}`);
    if (how) this.hear.onDone(this.parameter.name);
  }

  right() {
    const box = this.box ?? this.text;
    if (!box?.hasAttribute("aria-invalid")) return;
    box.removeAttribute("aria-invalid");
    this.hint.textContent = this.parameter.help;
  }

  show(value, usual) {
    if (value === this.shown && usual === this.usual_shown) return;
    this.shown = value;
    this.usual = usual;
    this.usual_shown = usual;
    const text = valueText(value);
    if (this.slider && Number(this.slider.value) !== value) this.slider.value = String(value);
    if (this.slider) this.paint(value);
    if (this.box) {
      this.box.value = text;
      this.right();
    }
    if (this.select) this.select.value = value;
    if (this.check) this.check.checked = value;
    if (this.text) this.text.value = value;
    const changed = value !== usual;
    this.node.classList.toggle("changed", changed);
    this.reset.hidden = !changed;
    this.reset.title = `back to ${valueText(usual)}`;
    this.reset.setAttribute("aria-label", `${this.title} back to the usual ${valueText(usual)}`);
  }

  paint(value) {
    const { low, high } = this.parameter.slider;
    const part = Math.min(Math.max((value - low) / (high - low), 0), 1);
    this.slider.style.setProperty("--part", `${part * 100}%`);
  }

  showVary(varies) {
    this.pin.setAttribute("aria-pressed", String(varies));
  }
}

function rangeOf({ kind, low, high, metavar }) {
  if (kind === "text") return `a text: ${metavar}`;
  const number = kind === "count" ? "a whole number" : "a number";
  return high === null ? `${number} from ${low} on` : `${number} from ${low} to ${high}`;
}
