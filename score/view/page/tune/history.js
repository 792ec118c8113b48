// Undo and redo: what the page's settings were, one step a gesture.

const MOST_STEPS = 200;
const SAME_GESTURE_MS = 800;

/** Steps back and forth. */
export class History {
  /** @param {function({undo: number, redo: number})} onChange told how many steps there are each way. */
  constructor(onChange) {
    this.onChange = onChange;
    this.begin(null);
  }

  /** Forget all steps; this is where they begin. */
  begin(now) {
    this.now = now;
    this.past = [];
    this.future = [];
    this.gesture = null;
    this.tell();
  }

  /**
   * A new state. Those of one gesture, such as a slider's while it is dragged, are one step.
   * @param {object} state
   * @param {string} what the gesture's name, such as a parameter's.
   */
  record(state, what) {
    const at = performance.now();
    const same = this.gesture !== null && this.gesture.what === what;
    const goes_on = same && (!this.gesture.sealed || at - this.gesture.at < SAME_GESTURE_MS);
    if (!goes_on) {
      this.past.push(this.now);
      if (this.past.length > MOST_STEPS) this.past.shift();
    }
    this.gesture = { what, at, sealed: false };
    this.now = state;
    this.future = [];
    this.tell();
  }

  /** The gesture is over; one of the same name that follows at once, as of a key that is held, goes on with it. */
  seal() {
    if (this.gesture) this.gesture.sealed = true;
  }

  /** A new state that is a step by itself. */
  step(state) {
    this.gesture = null;
    this.record(state, null);
    this.gesture = null;
  }

  /** The state before, or null. */
  undo() {
    return this.move(this.past, this.future);
  }

  /** The state after, or null. */
  redo() {
    return this.move(this.future, this.past);
  }

  move(from, to) {
    if (from.length === 0) return null;
    to.push(this.now);
    this.now = from.pop();
    this.gesture = null;
    this.tell();
    return this.now;
  }

  tell() {
    this.onChange({ undo: this.past.length, redo: this.future.length });
  }
}
