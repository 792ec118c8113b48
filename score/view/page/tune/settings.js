// What the page shows: rule, each rule's values, label set; as a state to go back to, and in the address.

/** Whether a parameter can have a value, with this cache too. */
export function fits(parameter, value) {
  if (String(value) in (parameter.refused ?? {})) return false;
  switch (parameter.kind) {
    case "number":
    case "count":
      return (
        Number.isFinite(value) &&
        (parameter.kind === "number" || Number.isInteger(value)) &&
        (parameter.low === null || value >= parameter.low) &&
        (parameter.high === null || value <= parameter.high)
      );
    case "choice":
      return parameter.names.includes(value);
    case "flag":
      return typeof value === "boolean";
    default:
      return typeof value === "string" && value.length > 0 && value.length <= 1000;
  }
}

function parsed(parameter, text) {
  if (parameter.kind === "number" || parameter.kind === "count") return text === "" ? NaN : Number(text);
  if (parameter.kind === "flag") return text === "yes" ? true : text === "no" ? false : null;
  return text;
}

/** Settings of all rules, one of which is chosen, and a label set. */
export class Settings {
  /** @param {object} state of /api/state. */
  constructor(state) {
    this.own = {};
    this.rule = state.setting.rule;
    this.text = state.text;
    this.adopt(state);
    this.own[this.rule] = { ...this.own[this.rule], ...state.setting.parameters };
  }

  /** Take a newer state of the server and keep the values that it still allows. */
  adopt(state) {
    this.rules = new Map(state.rules.map((rule) => [rule.name, rule]));
    this.texts = state.texts.map((text) => text.name);
    this.usual = Object.fromEntries(state.rules.map((rule) => [rule.name, { ...state.usual[rule.name] }]));
    this.refused = new Set(state.rules.filter((rule) => rule.why_not).map((rule) => rule.name));
    if (!this.can(this.rule)) this.rule = state.setting.rule;
    if (!this.texts.includes(this.text)) this.text = state.text;
    const before = this.own;
    this.own = {};
    for (const rule of state.rules) {
      const values = { ...this.usual[rule.name] };
      for (const each of rule.parameters) {
        const value = before[rule.name]?.[each.name];
        if (value !== undefined && !each.why_not && fits(each, value)) values[each.name] = value;
      }
      this.own[rule.name] = values;
    }
  }

  /** Whether there is such a rule, and the cache holds enough for it. */
  can(rule) {
    return this.rules.has(rule) && !this.refused.has(rule);
  }

  /** As the server takes it. */
  get setting() {
    return { rule: this.rule, parameters: { ...this.own[this.rule] } };
  }

  /** Descriptions of the chosen rule's parameters. */
  get parameters() {
    return this.rules.get(this.rule).parameters;
  }

  /** Values of the chosen rule. */
  get values() {
    return this.own[this.rule];
  }

  /** Usual values of the chosen rule. */
  get usual_values() {
    return this.usual[this.rule];
  }

  /** A state to go back to. */
  snapshot() {
    return { setting: this.setting, text: this.text };
  }

  /** Go back to a state. */
  restore({ setting, text }) {
    this.rule = setting.rule;
    this.own[setting.rule] = { ...setting.parameters };
    if (this.texts.includes(text)) this.text = text;
  }

  /**
   * What the address keeps after its #: never a label's word, which may be long and private, but its number.
   * @param {{clip: string, label: number|null}} place
   */
  toHash({ clip, label }) {
    const found = new URLSearchParams();
    found.set("clip", clip);
    if (label !== null) found.set("label", String(label));
    if (this.texts.indexOf(this.text) > 0) found.set("text", String(this.texts.indexOf(this.text)));
    found.set("rule", this.rule);
    for (const each of this.parameters) {
      const value = this.values[each.name];
      if (value === this.usual_values[each.name]) continue;
      found.set(`p.${each.name}`, each.kind === "flag" ? (value ? "yes" : "no") : String(value));
    }
    return `#${found}`;
  }

  /**
   * Take what an address says; what does not fit is passed over.
   * @returns {{clip: string|null, label: number|null}} what it says of the place.
   */
  fromHash(hash) {
    const said = new URLSearchParams(hash.replace(/^#/, ""));
    if (this.can(said.get("rule"))) {
      this.rule = said.get("rule");
      const values = { ...this.usual_values };
      for (const each of this.parameters) {
        const text = said.get(`p.${each.name}`);
        if (text === null || each.why_not) continue;
        const value = parsed(each, text);
        if (fits(each, value)) values[each.name] = value;
      }
      this.own[this.rule] = values;
    }
    if (said.has("text")) this.text = this.texts[Number(said.get("text"))] ?? this.text;
    const label = said.get("label");
    return { clip: said.get("clip"), label: label === null || !/^\d+$/.test(label) ? null : Number(label) };
  }
}
