const SHOWN = 500; // messages; who reads further up keeps more, up to the next
const SHOWN_MAX = 3000;
const NAMES_KEPT = 2000;
const ROSTER_SHOWN = 200;
const TYPING_SHOWN = 3;
const END_PX = 60;

export const element = (id) => document.getElementById(id);
const make = (tag, className, text = '') => Object.assign(document.createElement(tag), { className, textContent: text });
const button = (label, onclick) => Object.assign(make('button', '', label), { onclick });
// Only what differs, lest a screen reader says it again.
const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
// What goes while it has the focus leaves it to the composer.
const leave = (node) => { if (node.contains(document.activeElement)) element('text').focus(); };
const textOf = (message) => typeof message?.text === 'string' ? message.text : JSON.stringify(message);

/** The document. What others wrote goes in as text, never as markup. */
export class View {
  /** Also of some who have left: a message carries only its writer's id. */
  #names = new Map();
  #log = element('log');
  #scroll = element('scroll');
  /** What stands in the outbox, by key. */
  #waiting = new Map();
  #title;
  #unread = 0;
  #isAtEnd = true;
  #height;

  constructor(roomId) {
    this.#title = `#${roomId} · Parley`;
    element('room').textContent = roomId;
    element('unread').onclick = () => this.#scrollToEnd();
    this.#scroll.addEventListener('scroll', () => this.#read());
    // A keyboard may have come up.
    new ResizeObserver(() => { if (this.#isAtEnd) this.#scrollToEnd(); }).observe(this.#scroll);
    document.onvisibilitychange = () => this.#read();
  }

  get isAtStart() { return this.#scroll.scrollTop < this.#scroll.clientHeight; }

  state(name, text, story = '') {
    document.body.dataset.state = name;
    write(element('status-text'), text);
    write(element('story'), story);
    if (name === 'online') this.notice('');
  }

  /** What needs the reader's decision. */
  notice(text, label, run) {
    if (!text) leave(element('notice'));
    element('notice').hidden = !text;
    element('notice-text').textContent = text;
    Object.assign(element('notice-action'), { textContent: label, onclick: () => { this.notice(''); run?.(); } });
  }

  begin(changes, ownId) {
    this.#log.replaceChildren(...changes.slice(-SHOWN).map((change) => this.#message(change, ownId)));
    this.#scrollToEnd();
  }

  /** Returns the place of the first, if something before it was taken away. */
  append(change, ownId) {
    const isOwn = change.clientId === ownId;
    const item = this.#message(change, ownId);
    if (!isOwn && (!this.#isAtEnd || document.hidden)) this.#mark(item);
    this.#log.append(item);
    const surplus = this.#log.childElementCount - (this.#isAtEnd ? SHOWN : SHOWN_MAX);
    for (let count = surplus; count > 0; count -= 1) this.#log.firstElementChild.remove();
    if (this.#isAtEnd || isOwn) this.#scrollToEnd();
    return surplus > 0 ? Number(this.#log.firstElementChild.dataset.seq) : undefined;
  }

  /** Above what is being read, which stays where it is, unread aloud. */
  prepend(changes, ownId) {
    const below = this.#scroll.scrollHeight - this.#scroll.scrollTop;
    this.#log.ariaBusy = 'true';
    this.#log.prepend(...changes.map((change) => this.#message(change, ownId)));
    this.#scroll.scrollTop = this.#scroll.scrollHeight - below;
    this.#log.ariaBusy = 'false';
  }

  /** What stays is not touched, and keeps the focus. */
  outbox(entries) {
    const before = this.#waiting.size;
    const keys = new Set(entries.map(({ key }) => key));
    for (const [key, item] of this.#waiting) {
      if (keys.has(key)) continue;
      leave(item);
      item.remove();
      this.#waiting.delete(key);
    }
    const outbox = element('outbox');
    entries.forEach(({ key, message, error, again, discard }, index) => {
      if (this.#waiting.has(key)) return;
      const item = make('li', error ? 'failed' : '');
      item.append(make('p', 'text', textOf(message)), make('span', 'fate', error ? `not sent: ${error.message} ` : 'sending …'));
      if (error) item.append(button('Send again', again), ' ', button('Discard', discard));
      outbox.insertBefore(item, outbox.children[index] ?? null);
      this.#waiting.set(key, item);
    });
    if (before < entries.length) this.#scrollToEnd();
  }

  /** `news` are those of whom something is new. */
  members(members, news, count, ownId) {
    for (const { clientId, profile } of news) {
      this.#names.delete(clientId);
      const name = typeof profile?.name === 'string' ? profile.name.trim() : '';
      if (name) this.#names.set(clientId, name);
      if (this.#names.size > NAMES_KEPT) this.#names.delete(this.#names.keys().next().value);
    }
    const items = members.slice(0, ROSTER_SHOWN).map(({ clientId }) => {
      const item = make('li');
      item.append(make('bdi', '', this.#name(clientId)));
      if (clientId === ownId) item.append(make('span', 'more', '(you)'));
      return item;
    });
    if (count > items.length) items.push(make('li', 'more', `and ${count - items.length} more`));
    element('count').textContent = count;
    element('roster').replaceChildren(...items);
    for (const who of this.#log.querySelectorAll('bdi')) write(who, this.#name(who.dataset.client));
  }

  typing(clientIds) {
    const names = clientIds.slice(0, TYPING_SHOWN).map((clientId) => make('bdi', '', this.#name(clientId)));
    const parts = names.flatMap((name, index) => [index ? ', ' : 'typing: ', name]);
    element('typing').replaceChildren(...parts, parts.length ? ' …' : '');
  }

  #name(clientId) { return this.#names.get(clientId) ?? (clientId ? `guest ${String(clientId).slice(0, 4)}` : 'the server'); }

  #mark(item) {
    if (!this.#unread) {
      this.#log.querySelector('.new')?.remove();
      item.prepend(make('p', 'new', 'New'));
    }
    this.#unread += 1;
    this.#read();
  }

  #read() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
    // To change its size is not to scroll.
    this.#isAtEnd &&= clientHeight !== this.#height;
    this.#isAtEnd ||= scrollHeight - scrollTop - clientHeight < END_PX;
    if (this.#isAtEnd && !document.hidden) this.#unread = 0;
    if (!this.#unread) leave(element('unread'));
    document.title = this.#unread ? `(${this.#unread}) ${this.#title}` : this.#title;
    Object.assign(element('unread'), { hidden: !this.#unread, textContent: `${this.#unread} new ↓` });
  }

  #message({ seq, clientId, at, message }, ownId) {
    const by = make('p', 'by');
    const who = by.appendChild(make('bdi', '', this.#name(clientId)));
    who.dataset.client = clientId ?? '';
    const date = new Date(at);
    if (date.getTime()) {
      const time = make('time', '', date.toLocaleTimeString([], { timeStyle: 'short' }));
      by.append(Object.assign(time, { dateTime: date.toISOString(), title: date.toLocaleString() }));
    }
    const item = make('li', clientId === ownId ? 'own' : '');
    item.dataset.seq = seq;
    item.append(by, make('p', typeof message?.text === 'string' ? 'text' : 'text json', textOf(message)));
    return item;
  }

  #scrollToEnd() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#height = this.#scroll.clientHeight;
    this.#read();
  }
}
