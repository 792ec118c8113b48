// Requests to the server: which are newest, which are late, and whether anyone answers.

const LATE_MS = 150;
const SLOW_MS = 4000;
const ALIVE_MS = 2000;
const GONE_MS = 700;
const PATIENCE_MS = 2500;
const TOO_MANY = 429;
const TOO_MANY_MS = 300;

/** What the server refused, in its own line. */
export class ApiError extends Error {
  constructor(text, status, answer) {
    super(text);
    this.status = status;
    this.answer = answer;
  }
}

/** Nobody answered. */
export class GoneError extends Error {}

/** The server as this page knows it. */
export class Api {
  /**
   * @param {{onGone: function(), onAlive: function({session: string, changed: string|null}, boolean),
   *   onRefused: function(Error)}} hear onAlive is told at each look whether the server had been gone before it;
   *   onRefused that one is there again which does not let this page in.
   */
  constructor({ onGone, onAlive, onRefused }) {
    this.hear = { onGone, onAlive, onRefused };
    this.page = Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(36)).join("");
    this.token = new URLSearchParams(location.search).get("token");
    this.seq = 0;
    this.gone = false;
  }

  /** The number of the next change. */
  next() {
    this.seq += 1;
    return this.seq;
  }

  /** What a path answers. */
  get(path) {
    return this.request(path, { method: "GET" });
  }

  /** What a path answers to a body. */
  post(path, body = {}) {
    return this.request(path, { method: "POST", body: JSON.stringify(body) });
  }

  /** The server's state, as soon as it has one; onWrong hears why it has none yet. */
  async firstState(onWrong) {
    for (;;) {
      try {
        const state = await this.get("/api/state");
        this.gone = false;
        return state;
      } catch (error) {
        if (!(error instanceof GoneError)) onWrong(error);
        await new Promise((done) => setTimeout(done, GONE_MS));
      }
    }
  }

  async request(path, options) {
    const headers = { Accept: "application/json" };
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    if (this.token) headers["X-Av2a-Token"] = this.token;
    let response;
    let answer;
    try {
      response = await fetch(path, { ...options, headers, cache: "no-store" });
      answer = await response.json();
    } catch (error) {
      if (response) throw new ApiError(`${path} answered no JSON (${response.status})`, response.status, null);
      if (error.name === "AbortError") throw error;
      this.lose();
      throw new GoneError("the server does not answer");
    }
    if (!response.ok) throw new ApiError(answer.error ?? `${path}: ${response.status}`, response.status, answer);
    return answer;
  }

  /** Look every two seconds whether the server is there. */
  async watch() {
    for (;;) {
      await new Promise((done) => setTimeout(done, this.gone ? GONE_MS : ALIVE_MS));
      await this.look();
    }
  }

  async look() {
    try {
      const alive = await this.request("/api/alive", { method: "GET", signal: AbortSignal.timeout(PATIENCE_MS) });
      const before = this.gone;
      this.gone = false;
      await this.hear.onAlive(alive, before);
    } catch (error) {
      if (!(error instanceof ApiError)) this.lose();
      else if (this.gone) this.hear.onRefused(error);
    }
  }

  lose() {
    if (this.gone) return;
    this.gone = true;
    this.hear.onGone();
  }
}

/** One kind of question: at most one is under way, only the newest waits, an older answer is never shown. */
export class Channel {
  /**
   * @param {Api} api
   * @param {string} path
   * @param {{onAnswer: function(object, object), onError: function(Error), onLate: function(boolean),
   *   onSlow: function(), onBusy: function()}} hear onAnswer gets the answer and what was asked; onSlow that it takes
   *   seconds; onBusy that it begins to ask, or ends.
   */
  constructor(api, path, { onAnswer, onError, onLate = () => {}, onSlow = () => {}, onBusy = () => {} }) {
    this.api = api;
    this.path = path;
    this.hear = { onAnswer, onError, onLate, onSlow, onBusy };
    this.waiting = null;
    this.busy = false;
    this.shown = 0;
    this.timer = null;
    this.slow_timer = null;
  }

  /** Ask, as soon as what is under way is answered; what waited before is dropped. */
  send(body) {
    this.waiting = body;
    this.expect();
    if (!this.busy) this.run();
  }

  /** Ask again what nobody answered. */
  resume() {
    if (this.waiting && !this.busy) this.run();
  }

  async run() {
    this.busy = true;
    this.hear.onBusy();
    while (this.waiting) {
      const body = this.waiting;
      this.waiting = null;
      try {
        this.take(await this.api.post(this.path, { ...body, page: this.api.page }), body);
      } catch (error) {
        if (error instanceof GoneError) {
          this.waiting ??= body;
          break;
        }
        await this.refused(error, body);
      }
    }
    this.busy = false;
    this.hear.onBusy();
  }

  take(answer, body) {
    this.rest();
    if (this.waiting) this.expect();
    if (answer.seq < this.shown) return;
    this.shown = answer.seq;
    this.hear.onAnswer(answer, body);
  }

  async refused(error, body) {
    if (error instanceof ApiError && error.status === 409 && error.answer?.stale) {
      this.waiting ??= { ...body, seq: this.api.next() };
      return;
    }
    if (error instanceof ApiError && error.status === TOO_MANY) {
      await new Promise((done) => setTimeout(done, TOO_MANY_MS));
      this.waiting ??= body;
      return;
    }
    this.rest();
    if (!(error instanceof ApiError)) reportError(error);
    if (!this.waiting) this.hear.onError(error);
  }

  expect() {
    this.timer ??= setTimeout(() => this.hear.onLate(true), LATE_MS);
    this.slow_timer ??= setTimeout(() => this.hear.onSlow(), SLOW_MS);
  }

  rest() {
    clearTimeout(this.timer);
    clearTimeout(this.slow_timer);
    this.timer = this.slow_timer = null;
    this.hear.onLate(false);
  }
}
