// What the console shows, reckoned from what nodes answer: no document, no clock. A load balancer may let each answer come from
// another node, so what a node says of itself is kept by node, and what it says of the cluster by node and room.

export const KEPT = 60; // samples of a series, one a second: a minute
const SILENT_MS = 10_000; // a node, or a room, of which nothing was heard for so long is not shown any more
const ROOMS_SHOWN = 50;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const push = (series, value) => { series.push(value); if (series.length > KEPT) series.shift(); };
/** How much more in a second; null when that is not known. */
const perSecond = (now, before, ms) => before !== undefined && ms > 0 && now >= before ? (now - before) * 1000 / ms : null;

export class Cluster {
  /** Of each node that has answered: what it said last, its rates, and its waits of the last minute. */
  #answers = new Map();
  #rooms = new Map();
  #batches = new Map();
  #view = null;
  #at = null;
  series = { changes: [], updates: [], sockets: [], look: [] };
  boundsMs = [];
  failure = null;

  /** `now` in milliseconds. */
  took(state, now) {
    this.boundsMs = state.boundsMs;
    this.failure = state.failure ?? null;
    this.#tookOwn(state, now);
    // The same look at the cluster may be told twice: rates would be zero.
    if (state.cluster && state.cluster.at !== this.#at) this.#tookCluster(state.cluster, now);
    for (const [node, { heardAt }] of this.#answers) if (now - heardAt > SILENT_MS) this.#answers.delete(node);
    const answers = [...this.#answers.values()];
    push(this.series.changes, sum(answers.map(({ changes }) => changes ?? 0)));
    push(this.series.updates, sum(answers.map(({ updates }) => updates ?? 0)));
    push(this.series.sockets, sum(answers.map(({ own }) => own.sockets)));
    push(this.series.look, state.database?.lookMs ?? 0);
    this.database = state.database ?? null;
    this.membersMax = state.membersMax;
  }

  /** Those of the last minute, by class. */
  get waits() {
    const samples = [...this.#answers.values()].flatMap(({ waits }) => waits);
    return [...this.boundsMs, Infinity].map((_, index) => sum(samples.map((sample) => sample[index])));
  }

  get members() { return sum((this.#view?.nodes ?? []).filter(({ isAlive }) => isAlive).map(({ members }) => members)); }

  /** The living first, each with what it said of itself, if it did. */
  get nodes() {
    const known = this.#view?.nodes ?? [];
    if (known.length === 0) return [...this.#answers].map(([name, answer]) => ({ name, isAlive: true, ...answer }));
    return known
      .map((node) => ({ ...node, batches: this.#batches.get(node.number)?.rate ?? null, ...this.#answer(node) }))
      .sort((one, other) => other.isAlive - one.isAlive || (one.name < other.name ? -1 : 1) || other.number - one.number);
  }

  /** Those that spoke most in the last minute first. */
  get rooms() {
    return [...this.#rooms.values()]
      .sort((one, other) => sum(other.rates) - sum(one.rates) || (one.id < other.id ? -1 : 1))
      .slice(0, ROOMS_SHOWN);
  }

  /** A name may be that of a dead node too. */
  #answer({ name, isAlive, ageMs }) {
    const { own, changes } = (isAlive && this.#answers.get(name)) || {};
    return own ? { own, changes, ageMs } : { changes: null };
  }

  #tookOwn({ node, own }, now) {
    let last = this.#answers.get(node);
    // It has started anew.
    if (last && own.uptimeMs < last.own.uptimeMs) last = undefined;
    const ms = own.uptimeMs - (last?.own.uptimeMs ?? 0);
    const waits = last?.waits ?? [];
    if (last) push(waits, own.waits.map((count, index) => count - last.own.waits[index]));
    this.#answers.set(node, {
      own, waits, heardAt: now, ageMs: own.uptimeMs,
      changes: perSecond(own.changes, last?.own.changes, ms),
      updates: perSecond(own.updates, last?.own.updates, ms),
      batches: perSecond(own.batches, last?.own.batches, ms),
    });
  }

  #tookCluster(view, now) {
    const ms = view.at - this.#at;
    this.#batches = new Map(view.nodes.map(({ number, batches }) =>
      [number, { batches, rate: perSecond(batches, this.#batches.get(number)?.batches, ms) }]));
    for (const { id, seq, members } of view.rooms) {
      const last = this.#rooms.get(id);
      const rate = perSecond(seq, last?.seq, view.at - last?.at);
      const rates = last?.rates ?? [];
      if (rate !== null) push(rates, rate);
      this.#rooms.set(id, { id, seq, members, at: view.at, rate, rates, heardAt: now });
    }
    for (const [id, { heardAt }] of this.#rooms) if (now - heardAt > SILENT_MS) this.#rooms.delete(id);
    this.#view = view;
    this.#at = view.at;
  }
}

/** For people. */
export function figure(value) {
  if (value === null || value === undefined) return '–';
  if (value < 10 && !Number.isInteger(value)) return value.toFixed(1);
  return Math.round(value).toLocaleString('en');
}

export function time(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1) return '< 1 ms';
  if (ms < 1000) return `${figure(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const units = [[86_400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']];
  const [large, name, small, smallName] = units.find(([unit]) => seconds >= unit);
  return `${Math.floor(seconds / large)} ${name} ${Math.floor(seconds % large / small)} ${smallName}`;
}

export function bytes(count) {
  if (count === null || count === undefined) return '–';
  if (count < 1024) return `${count} B`;
  return count < 1024 ** 2 ? `${figure(count / 1024)} KiB` : `${figure(count / 1024 ** 2)} MiB`;
}

/** The lease is what others go by: of a living node how long it lasts yet, of a silent one since when it is over. */
export function lease({ isAlive, leaseLeftMs }) {
  if (leaseLeftMs === null || leaseLeftMs === undefined) return '–';
  return isAlive ? `${time(leaseLeftMs)} left` : `over for ${time(-leaseLeftMs)}`;
}

/** Below which class's bound so many of all are, a part from 0 to 1; null without any. */
export function quantile(counts, boundsMs, part) {
  const wanted = sum(counts) * part;
  if (wanted === 0) return null;
  let seen = 0;
  return boundsMs[counts.findIndex((count) => (seen += count) >= wanted)] ?? Infinity;
}
