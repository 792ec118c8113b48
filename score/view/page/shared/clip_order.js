// Which clips of a list are shown, and in which order.

import { plainText } from "./words.js";

/** Orders of a list: their name, whether the largest comes first, and what is compared. */
export const CLIP_ORDERS = {
  name: { falling: false, value: null },
  score: { falling: true, value: (row) => row.score },
  events: { falling: true, value: (row) => row.counts && row.counts[0] + row.counts[1] + row.counts[2] },
  disagreement: { falling: true, value: (row) => row.wrong },
  difference: { falling: true, value: (row) => row.differs },
};

const byNumbersInNames = new Intl.Collator("en", { numeric: true });

/** Texts and ranks of names, kept as long as the clips are the same. */
export class ClipIndex {
  constructor() {
    this.rows = [];
    this.labels = [];
    this.ranks = null;
    this.texts = null;
  }

  /** @param {Array<object>} rows clip rows @param {string[]} labels */
  set(rows, labels) {
    const same = rows.length === this.rows.length && rows.every((row, at) => row.id === this.rows[at].id);
    if (!same) this.ranks = null;
    this.rows = rows;
    this.labels = labels;
    this.texts = null;
  }

  /**
   * Numbers of the rows that fit, in order.
   * @param {{words: string, label: number|null, stream: number|null, order: string, falling: boolean}} wanted
   * @returns {number[]}
   */
  chosen(wanted) {
    const words = searchable(wanted.words).split(/\s+/).filter(Boolean);
    if (words.length && !this.texts) this.texts = this.rows.map((row) => this.textOf(row));
    const found = [];
    for (let at = 0; at < this.rows.length; at++) {
      const row = this.rows[at];
      if (wanted.label !== null && !(row.also ?? row.labels).includes(wanted.label)) continue;
      if (wanted.stream !== null && !row.counts?.[wanted.stream]) continue;
      if (words.length && !words.every((word) => this.texts[at].includes(word))) continue;
      found.push(at);
    }
    return this.ordered(found, wanted.order, wanted.falling);
  }

  ordered(found, order, falling) {
    this.ranks ??= ranksOfNames(this.rows);
    const { ranks, rows } = this;
    const { value } = CLIP_ORDERS[order];
    const sign = falling ? -1 : 1;
    if (!value) return found.sort((a, b) => sign * (ranks[a] - ranks[b]));
    const keys = new Map(found.map((at) => [at, value(rows[at]) ?? null]));
    return found.sort((a, b) => {
      const [one, other] = [keys.get(a), keys.get(b)];
      if (one === other) return ranks[a] - ranks[b];
      if (one === null) return 1;
      if (other === null) return -1;
      return sign * (one - other);
    });
  }

  textOf(row) {
    return searchable(`${row.id}\n${(row.also ?? row.labels).map((label) => this.labels[label]).join("\n")}`);
  }
}

function searchable(text) {
  return plainText(text.replaceAll("\n", " ")).normalize("NFKC").toLowerCase();
}

function ranksOfNames(rows) {
  const order = rows.map((_, at) => at);
  order.sort((a, b) => byNumbersInNames.compare(rows[a].id, rows[b].id) || a - b);
  const ranks = new Uint32Array(rows.length);
  order.forEach((at, rank) => {
    ranks[at] = rank;
  });
  return ranks;
}
