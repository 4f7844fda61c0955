import { Parley } from './parley.js';

const RULE = 'board'; // docs/examples/board-game.sql
const SIZE = 16;
const KEPT = 1000; // changes: the board itself is in the shared values
const PLAYERS_SHOWN = 12;

const element = (id) => document.getElementById(id);
const make = (tag, className = '', text = '') => Object.assign(document.createElement(tag), { className, textContent: text });
const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };

const radios = [...document.getElementsByName('color')];
const colors = radios.map((radio) => radio.value);

/** What the room's values say is shown. Whose a cell is, its rule decides, on the server: this page only asks. */
class Game {
  #buttons = [];
  #asked = new Set();
  #room = null;

  constructor() {
    for (let index = 0; index < SIZE * SIZE; index += 1) {
      const button = Object.assign(make('button'), { onclick: () => this.#take(index), onkeydown: (event) => this.#move(index, event) });
      button.onanimationend = () => button.classList.remove('refused');
      this.#buttons.push(button);
    }
    // One stop for the Tab key; the arrows go on from there.
    this.#focusable(0);
    element('board').append(...this.#buttons);
  }

  show(room) {
    this.#room = room;
    const letters = [...room.clientId].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    if (!radios.some((radio) => radio.checked)) radios[letters % radios.length].checked = true;
    room.on('change', (change) => this.#changed(change));
    room.on('update', () => this.#draw());
    room.on('end', ({ reason }) => state('stopped', reason === 'closed' ? 'the room was closed' : 'you were removed from the room'));
    this.#draw();
  }

  /** As the rule calls it. */
  #key(index) { return `${index % SIZE},${Math.floor(index / SIZE)}`; }

  /** In a room without the rule there may be anything. */
  #cell(index) {
    const { owner, color } = this.#room?.values[this.#key(index)] ?? {};
    return typeof owner === 'string' && colors.includes(color) ? { owner, color } : {};
  }

  #name(owner) { return owner === this.#room.clientId ? 'you' : `guest ${owner.slice(0, 4)}`; }

  async #take(index) {
    const room = this.#room;
    if (room?.state !== 'joined' || this.#asked.has(index)) return;
    this.#asked.add(index);
    this.#draw();
    const take = { x: index % SIZE, y: Math.floor(index / SIZE), color: radios.find((radio) => radio.checked).value };
    try {
      const seq = await room.send({ take });
      const isDecided = seq === null || room.changes.find((change) => change.seq === seq)?.set;
      write(element('news'), isDecided ? '' : 'Nobody decides here: this room was made without the rule.');
    } catch (error) {
      this.#buttons[index].classList.add('refused');
      write(element('news'), `The server says: ${error.message.replace(/\b[0-9a-z]{16}\b/g, (id) => this.#name(id))}`);
    }
    this.#asked.delete(index);
    this.#draw();
  }

  #changed({ clientId, message }) {
    const { took, from } = message ?? {};
    if (took && from === this.#room.clientId && clientId !== from) write(element('news'), `${took} is lost to ${this.#name(clientId)}.`);
  }

  #move(index, event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIZE, ArrowDown: SIZE }[event.key];
    const next = this.#buttons[index + step];
    if (!next) return;
    event.preventDefault();
    this.#focusable(index + step);
    next.focus();
  }

  #focusable(index) { this.#buttons.forEach((button, place) => { button.tabIndex = place === index ? 0 : -1; }); }

  #draw() {
    const players = new Map([...this.#room.members.keys()].map((clientId) => [clientId, { count: 0, isHere: true }]));
    this.#buttons.forEach((button, index) => {
      const { owner, color = '' } = this.#cell(index);
      if (owner) {
        const player = players.get(owner) ?? { count: 0, isHere: false };
        players.set(owner, { ...player, count: player.count + 1, color });
      }
      if (button.dataset.color !== color) button.dataset.color = color;
      button.classList.toggle('asked', this.#asked.has(index));
      // Not by its colour alone.
      write(button, owner === this.#room.clientId ? '✓' : '');
      const label = `${this.#key(index)}: ${owner ? `${this.#name(owner)}, ${color}` : 'free'}`;
      if (button.title !== label) Object.assign(button, { title: label, ariaLabel: label });
    });
    const all = [...players].sort(([, one], [, other]) => other.count - one.count);
    write(element('score'), `${all.reduce((sum, [, { count }]) => sum + count, 0)} of ${SIZE * SIZE} taken`);
    const items = all.slice(0, PLAYERS_SHOWN).map(([clientId, { count, color = '', isHere }]) => {
      const item = make('li');
      item.appendChild(make('span', 'swatch')).dataset.color = color;
      item.append(`${this.#name(clientId)}: ${count}${isHere ? '' : ' (gone)'}`);
      return item;
    });
    if (all.length > items.length) items.push(make('li', '', `and ${all.length - items.length} more`));
    element('players').replaceChildren(...items);
  }
}

const roomId = new URLSearchParams(location.hash.slice(1)).get('room') || 'board';
const options = { rule: RULE, retain: { messages: KEPT } };
element('room').textContent = roomId;
window.onhashchange = () => location.reload();
const game = new Game();

function state(name, text) {
  document.body.dataset.state = name;
  write(element('status-text'), text);
}

const parley = new Parley('/ws', { storageKey: 'parley.cells' });
parley.on('state', ({ name, node, reason }) => {
  if (name === 'open') state('online', `on node ${node}`);
  else if (name === 'closed') state('stopped', `ended: ${reason}`);
  else state('connecting', name === 'waiting' ? 'connection lost, trying again …' : 'connecting …');
});

function failed(what, error) {
  write(element('news'), `${what}: ${error.message}.${error.code === 'bad_request' ? ' docs/SQL.md, “Rules”, tells what the game needs.' : ''}`);
}

element('anew').onclick = async () => {
  try {
    location.hash = new URLSearchParams({ room: await parley.create(options) });
  } catch (error) {
    failed('There is no new game', error);
  }
};
try {
  game.show(await parley.join(roomId, { create: options, recent: 0 }));
} catch (error) {
  state('stopped', 'there is no game here');
  failed('The room cannot be joined', error);
}
