import { Cluster, bytes, figure, lease, quantile, time } from './console-model.js';
import { Bar, LineChart } from './console-chart.js';

const ANSWER_MS = 5000; // a node that takes longer does not answer
const FIRST_EVERY_MS = 1000; // until a node says how often

const element = (id) => document.getElementById(id);
const make = (tag, className = '', text = '') => Object.assign(document.createElement(tag), { className, textContent: text });
// Only what differs: what is selected stays selected.
const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };

/** A number with its last minute. */
class Card {
  #chart = new LineChart();
  #now = make('p', 'now');
  #peak = make('p', 'peak');
  #title;

  constructor(title) {
    this.#title = title;
    const card = make('div', 'card');
    card.append(make('h2', '', title), this.#now, this.#chart.element, this.#peak);
    element('charts').append(card);
  }

  show(series, format, more = '') {
    const peak = format(Math.max(...series, 0));
    write(this.#now, format(series.at(-1) ?? 0));
    write(this.#peak, `${more}peak ${peak}`);
    this.#chart.show(series, `${this.#title}: now ${this.#now.textContent}, at most ${peak} in the last minute`);
  }
}

/** Rows that stay the same elements while they stay: what has the focus, or is being read, keeps it. */
class Table {
  #rows = new Map();
  #body;
  #makeRow;

  constructor(id, makeRow) {
    this.#body = element(id);
    this.#makeRow = makeRow;
  }

  show(items, key) {
    const keys = new Set(items.map(key));
    for (const [other, { row }] of this.#rows) if (!keys.has(other)) { row.remove(); this.#rows.delete(other); }
    items.forEach((item, index) => {
      let entry = this.#rows.get(key(item));
      if (!entry) this.#rows.set(key(item), entry = this.#makeRow());
      entry.show(item);
      const there = this.#body.children[index];
      if (there !== entry.row) this.#body.insertBefore(entry.row, there ?? null);
    });
  }
}

/** The members of a node, which are not counted without end. */
const countOf = ({ members }) => figure(members) + (members >= cluster.membersMax ? '+' : '');

/** A row whose first cell is its head. */
function makeCells(count) {
  const [row, head, name] = [make('tr'), make('th'), make('bdi')];
  head.scope = 'row';
  const cells = Array.from({ length: count }, () => make('td'));
  row.append(head, ...cells);
  return { row, head, name, cells };
}

function makeNodeRow() {
  const { row, head, name, cells } = makeCells(8);
  head.append(Object.assign(make('span', 'lamp'), { ariaHidden: 'true' }), name);
  const show = (node) => {
    const { own } = node;
    row.className = node.isAlive ? 'alive' : 'dead';
    write(name, node.name);
    const waiting = own ? bytes(own.waitingBytes) : '–';
    [lease(node), time(node.isAlive ? node.ageMs : null), countOf(node), figure(own?.sockets), figure(node.changes), figure(node.batches),
      waiting, node.address ?? '–'].forEach((text, index) => write(cells[index], text));
  };
  return { row, show };
}

function makeRoomRow() {
  const { row, head, name, cells } = makeCells(4);
  const chart = new LineChart();
  head.append(name);
  cells[1].className = 'spark';
  cells[1].append(chart.element);
  const show = ({ id, rate, rates, members, seq }) => {
    write(name, id);
    name.title = id;
    write(cells[0], figure(rate));
    chart.show(rates, `at most ${figure(Math.max(...rates, 0))} changes a second`);
    write(cells[2], figure(members));
    write(cells[3], figure(seq));
  };
  return { row, show };
}

class Waits {
  #bars = [];

  show(counts, boundsMs) {
    if (this.#bars.length === 0) this.#begin(boundsMs);
    const [all, most] = [counts.reduce((total, count) => total + count, 0), Math.max(...counts)];
    this.#bars.forEach(({ bar, label }, index) => bar.show(most && counts[index] / most, `${label}: ${counts[index]} changes`));
    const bound = (part) => {
      const ms = quantile(counts, boundsMs, part);
      return ms === Infinity ? `above ${time(boundsMs.at(-1))}` : `within ${time(ms)}`;
    };
    write(element('waits-sum'), all ? `${figure(all)} changes, half ${bound(0.5)}, 99 % ${bound(0.99)}` : 'none');
  }

  #begin(boundsMs) {
    const labels = [...boundsMs.map((ms, index) => ms >= 1000 ? `${ms / 1000} s` : index === 0 ? time(ms) : `${ms}`), 'more'];
    this.#bars = labels.map((label, index) => ({ bar: new Bar(), label: boundsMs[index] ? `within ${time(boundsMs[index])}` : label }));
    element('waits').replaceChildren(...this.#bars.map(({ bar }, index) => {
      const column = make('div');
      column.append(bar.element, labels[index]);
      return column;
    }));
  }
}

const cards = {
  changes: new Card('Changes a second'), updates: new Card('Updates a second'), sockets: new Card('Sockets'),
  look: new Card('Database'),
};
const [nodes, rooms, waits] = [new Table('nodes', makeNodeRow), new Table('rooms', makeRoomRow), new Waits()];
const cluster = new Cluster();
let [isPaused, everyMs, timer] = [false, FIRST_EVERY_MS, null];

function state(name, text) {
  document.body.dataset.state = name;
  write(element('status-text'), text);
}

function show(answer) {
  const { series, database } = cluster;
  cards.changes.show(series.changes, figure);
  cards.updates.show(series.updates, figure);
  cards.sockets.show(series.sockets, figure, database ? `members ${figure(cluster.members)} · ` : '');
  // A node hears itself only after it has written something.
  const echo = database?.echoMs ? `echo ${time(database.echoMs)} · ` : '';
  cards.look.show(series.look, database ? time : () => 'none', echo);
  const all = cluster.nodes;
  nodes.show(all, ({ number, name }) => number ?? name);
  const strangers = all.some(({ own, isAlive }) => isAlive && !own);
  write(element('nodes-note'), strangers ? '–: what a node alone knows, it tells in its own console.' : '');
  rooms.show(cluster.rooms, ({ id }) => id);
  const [shown, open] = [cluster.rooms.length, answer.own.rooms];
  write(element('rooms-note'), open === 0 && shown === 0 ? 'Nobody is in a room here.'
    : open > shown ? `The busiest ${shown} of ${figure(open)} rooms that have members on ${answer.node}.` : '');
  waits.show(cluster.waits, cluster.boundsMs);
  if (cluster.failure) state('lost', `${answer.node}: ${cluster.failure}`);
  else state('live', `live from ${answer.node}, Parley ${answer.version}`);
}

async function look() {
  timer = null;
  try {
    const response = await fetch('/console/state', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
    if (!response.ok) throw new Error(response.status === 404 ? 'this node shows its console to nobody here' : `HTTP ${response.status}`);
    const answer = await response.json();
    ({ everyMs } = answer);
    cluster.took(answer, performance.now());
    if (!isPaused) show(answer);
  } catch (error) {
    if (!isPaused) state('lost', error.name === 'Error' ? error.message : 'the node does not answer, trying again …');
  }
  schedule();
}

/** Nobody looks at a page that is hidden or paused. */
function schedule() {
  if (!timer && !isPaused && !document.hidden) timer = setTimeout(look, everyMs);
}

element('pause').onclick = () => {
  isPaused = !isPaused;
  write(element('pause'), isPaused ? 'Go on' : 'Pause');
  if (isPaused) state('paused', 'paused');
  schedule();
};
document.addEventListener('visibilitychange', schedule);
look();
