// What the file holds, as the modules take it.

/** The report's own data: clips as rows, events and truth by clip. */
export class ReportData {
  /** @param {object} raw what the file's JSON says */
  constructor(raw) {
    this.raw = raw;
    this.title = raw.title;
    this.labels = raw.labels;
    this.layers = raw.layers;
    this.truth = raw.truth !== null;
    this.about = raw.about;
    const { clips } = raw;
    const wrong = clips.wrong?.values;
    this.rows = clips.id.map((id, at) => ({
      id,
      counts: clips.counts.slice(3 * at, 3 * at + 3),
      score: clips.score[at],
      labels: clips.labels[at],
      also: clips.also?.[at] ?? null,
      wrong: wrong ? wrong[at] : null,
      differs: clips.differs ? clips.differs[at] : null,
      missing: clips.missing[at] ?? null,
      split: !raw.truth || raw.truth[at] !== null,
    }));
    this.absent = raw.layers.map((layer) => new Set(layer.absent));
  }

  /** Seconds of a clip. */
  duration(clip) {
    const { seconds } = this.raw.clips;
    return Array.isArray(seconds) ? seconds[clip] : seconds;
  }

  /** What the timelines show of a clip. */
  timelines(clip) {
    return {
      duration: this.duration(clip),
      segment: this.raw.segment,
      layers: this.layers.map((layer, at) => ({
        name: layer.name + (this.absent[at].has(clip) ? " (not scored)" : ""),
        events: unflattened(layer.events[clip], 5),
      })),
      truth: this.raw.truth?.[clip] ? unflattened(this.raw.truth[clip], 4) : null,
    };
  }

  /** Where a clip's video is: `{url, begin, end, sound_only}` with the number of the file; null for nowhere. */
  place(clip) {
    const place = this.raw.clips.place[clip];
    if (!place) return null;
    const [file, start, end, sound] = place;
    return { file, url: this.raw.urls[file], start, end, sound_only: Boolean(sound) };
  }
}

function unflattened(numbers, width) {
  const found = [];
  for (let at = 0; at < numbers.length; at += width) found.push(numbers.slice(at, at + width));
  return found;
}
