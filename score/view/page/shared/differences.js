// Where several layers of events of one stream and label do not agree.

/**
 * Stretches of time that some layers have and others lack.
 * @param {Array<Array<[number, number]>>} layers spans (onset, offset) of each layer
 * @returns {Array<[number, number]>}
 */
export function differingSpans(layers) {
  if (layers.length < 2) return [];
  const edges = [...new Set(layers.flat(2))].sort((a, b) => a - b);
  const found = [];
  for (let at = 0; at + 1 < edges.length; at++) {
    const [from, to] = [edges[at], edges[at + 1]];
    if (to - from < 1e-6) continue;
    const middle = (from + to) / 2;
    const having = layers.filter((spans) => spans.some(([onset, offset]) => onset <= middle && middle < offset));
    if (having.length === 0 || having.length === layers.length) continue;
    const last = found.at(-1);
    if (last && from - last[1] < 1e-6) last[1] = to;
    else found.push([from, to]);
  }
  return found;
}
