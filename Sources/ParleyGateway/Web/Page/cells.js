import { Parley } from './parley.js';

const CELLS = 96;
const KEPT = 1000; // changes: the board itself is in the shared values
const PLAYERS_SHOWN = 12;

const element = (id) => document.getElementById(id);
const make = (tag, className = '', text = '') => Object.assign(document.createElement(tag), { className, textContent: text });
const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const key = (index) => `cell${index}`;

/** The same for everybody, without anybody being asked. */
const hue = (clientId) => [...clientId].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);

/** The board is the room's shared values: what is in them is what counts, wherever it came from. */
class Game {
  #buttons = [];
  #asked = new Set();
  #room = null;

  constructor() {
    for (let index = 0; index < CELLS; index += 1) {
      const button = Object.assign(make('button'), { onclick: () => this.#take(index), onkeydown: (event) => this.#move(index, event) });
      button.onanimationend = () => button.classList.remove('late');
      this.#buttons.push(button);
    }
    // One stop for the Tab key; the arrows go on from there.
    this.#focusable(0);
    element('board').append(...this.#buttons);
    element('anew').onclick = () => this.#begin();
  }

  show(room) {
    this.#room = room;
    room.on('update', () => this.#draw());
    room.on('end', ({ reason }) => state('stopped', reason === 'closed' ? 'the room was closed' : 'you were removed from the room'));
    this.#draw();
  }

  #owner(index) {
    const owner = this.#room?.values[key(index)];
    return typeof owner === 'string' ? owner : null;
  }

  #name(owner) { return owner === this.#room.clientId ? 'you' : `guest ${owner.slice(0, 4)}`; }

  /** The server says who was first: a cell is given only if it still is as it was seen here. */
  async #take(index) {
    const [room, cell, owner] = [this.#room, key(index), this.#owner(index)];
    if (room?.state !== 'joined' || this.#asked.has(index)) return;
    if (owner && owner !== room.clientId) return this.#late(index, owner);
    this.#asked.add(index);
    this.#draw();
    const seen = { [cell]: room.versions[cell] ?? 0 };
    const error = await room.set({ [cell]: owner ? null : room.clientId }, { if: seen }).then(() => null, (error) => error);
    this.#asked.delete(index);
    this.#draw();
    if (error?.code === 'conflict') this.#late(index, error.values?.[cell]);
    else write(element('news'), error ? `That did not work: ${error.message}` : '');
  }

  #late(index, owner) {
    this.#buttons[index].classList.add('late');
    write(element('news'), typeof owner === 'string' ? `Too late: ${this.#name(owner)} took that one.` : 'Too late.');
  }

  /** All cells at once, or none: of two who begin anew at the same time, one does. */
  #begin() {
    const cells = this.#buttons.map((_, index) => key(index)).filter((cell) => cell in this.#room.values);
    const [empty, seen] = [() => null, (cell) => this.#room.versions[cell]];
    const all = (value) => Object.fromEntries(cells.map((cell) => [cell, value(cell)]));
    this.#room.set(all(empty), { if: all(seen) }).catch(() => this.#draw());
  }

  #move(index, event) {
    const columns = getComputedStyle(element('board')).gridTemplateColumns.split(' ').length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const next = this.#buttons[index + step];
    if (!next) return;
    event.preventDefault();
    this.#focusable(index + step);
    next.focus();
  }

  #focusable(index) { this.#buttons.forEach((button, place) => { button.tabIndex = place === index ? 0 : -1; }); }

  #draw() {
    const counts = new Map();
    this.#buttons.forEach((button, index) => {
      const owner = this.#owner(index);
      if (owner) counts.set(owner, (counts.get(owner) ?? 0) + 1);
      button.classList.toggle('taken', owner !== null);
      button.classList.toggle('asked', this.#asked.has(index));
      if (owner) button.style.setProperty('--hue', hue(owner));
      // Not by its colour alone.
      write(button, owner && owner === this.#room.clientId ? '✓' : '');
      button.ariaLabel = `cell ${index + 1}, ${owner ? this.#name(owner) : 'free'}`;
    });
    const taken = [...counts.values()].reduce((sum, count) => sum + count, 0);
    write(element('score'), `${taken} of ${CELLS} taken`);
    element('anew').hidden = taken < CELLS;
    this.#players(counts);
  }

  #players(counts) {
    const here = new Set(this.#room.members.keys());
    const all = [...new Set([...counts.keys(), ...here])].sort((one, other) => (counts.get(other) ?? 0) - (counts.get(one) ?? 0));
    const items = all.slice(0, PLAYERS_SHOWN).map((clientId) => {
      const item = make('li');
      const swatch = item.appendChild(make('span', 'swatch'));
      swatch.style.setProperty('--hue', hue(clientId));
      item.append(`${this.#name(clientId)}: ${counts.get(clientId) ?? 0}${here.has(clientId) ? '' : ' (gone)'}`);
      return item;
    });
    if (all.length > items.length) items.push(make('li', '', `and ${all.length - items.length} more`));
    element('players').replaceChildren(...items);
  }
}

const roomId = new URLSearchParams(location.hash.slice(1)).get('room') || 'cells';
element('room').textContent = roomId;
window.onhashchange = () => location.reload();
const game = new Game();

function state(name, text) {
  document.body.dataset.state = name;
  write(element('status-text'), text);
}

// The query is for balancers that send a room to one node, as nodes without a database need it.
const parley = new Parley(`/ws?room=${encodeURIComponent(roomId)}`, { storageKey: 'parley.cells' });
parley.on('state', ({ name, node, reason }) => {
  if (name === 'open') state('online', `on node ${node}`);
  else if (name === 'closed') state('stopped', `ended: ${reason}`);
  else state('connecting', name === 'waiting' ? 'connection lost, trying again …' : 'connecting …');
});
try {
  game.show(await parley.join(roomId, { create: { retain: { messages: KEPT } }, recent: 0 }));
} catch (error) {
  state('stopped', `the room cannot be joined: ${error.message}`);
}
