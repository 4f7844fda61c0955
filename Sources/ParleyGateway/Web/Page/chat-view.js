const MESSAGES_MAX = 500;
const NAMES_MAX = 2000;

export const element = (id) => document.getElementById(id);

/** The names of those who are here, and of the latest who were: a message carries only its writer's id. */
export class Names {
  constructor() { this.known = new Map(); }

  learn(clientId, profile) {
    this.known.delete(clientId);
    const name = typeof profile?.name === 'string' ? profile.name.trim() : '';
    if (name) this.known.set(clientId, name);
    if (this.known.size > NAMES_MAX) this.known.delete(this.known.keys().next().value);
  }

  of(clientId) {
    return this.known.get(clientId) ?? (clientId ? `guest ${String(clientId).slice(0, 4)}` : 'the server');
  }
}

/** The document. Whatever others wrote goes in as text nodes, never as markup. */
export class View {
  constructor(names) {
    this.names = names;
    this.clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
  }

  state(name, text, action) {
    document.body.dataset.state = name;
    element('status-text').textContent = text;
    this.notice(action ? text : null, action);
  }

  /** Says what needs the reader's decision, or, with null, nothing any more. */
  notice(text, action) {
    element('notice').hidden = text === null;
    element('notice-text').textContent = text ?? '';
    element('notice-action').hidden = !action;
    element('notice-action').textContent = action?.label ?? '';
    element('notice-action').onclick = () => { this.notice(null); action?.run(); };
  }

  append(changes, ownId, isFresh) {
    const [log, scroll] = [element('log'), element('scroll')];
    const isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
    if (isFresh) log.replaceChildren();
    log.append(...changes.slice(-MESSAGES_MAX).map((change) => this.message(change, ownId)));
    while (log.childElementCount > MESSAGES_MAX) log.firstElementChild.remove();
    if (isFresh || isAtEnd) this.scrollToEnd();
  }

  message({ seq, change }, ownId) {
    const by = make('p', 'by');
    const who = by.appendChild(make('bdi', '', this.names.of(change.clientId)));
    who.dataset.client = change.clientId ?? '';
    const date = new Date(change.at);
    if (change.at && Number.isFinite(date.getTime())) {
      const time = by.appendChild(make('time', '', this.clock.format(date)));
      time.dateTime = date.toISOString();
      time.title = date.toLocaleString();
    }
    const isText = typeof change.message?.text === 'string';
    const text = make('p', isText ? 'text' : 'text json', isText ? change.message.text : JSON.stringify(change.message));
    const item = make('li', change.clientId === ownId ? 'own' : '');
    item.dataset.seq = seq;
    item.append(by, text);
    return item;
  }

  outbox(entries, sendAgain, discard) {
    const wasEmpty = !element('outbox').childElementCount;
    if (wasEmpty && !entries.length) return;
    element('outbox').replaceChildren(...entries.map((entry) => {
      const item = make('li', entry.failed ? 'failed' : '');
      const fate = make('span', 'fate', entry.failed ? `not sent: ${entry.failed}` : 'sending …');
      item.append(make('p', 'text', entry.text), fate);
      if (entry.failed) item.append(button('Send again', () => sendAgain(entry)), button('Discard', () => discard(entry)));
      return item;
    }));
    if (wasEmpty && entries.length) this.scrollToEnd();
  }

  roster(clients, count, ownId) {
    element('count').textContent = count;
    const items = clients.map((clientId) => {
      const item = make('li');
      item.append(make('bdi', '', this.names.of(clientId)));
      if (clientId === ownId) item.append(make('span', 'you', '(you)'));
      return item;
    });
    if (count > clients.length) items.push(make('li', 'more', `and ${count - clients.length} more`));
    element('roster').replaceChildren(...items);
    for (const who of element('log').querySelectorAll('bdi')) {
      const name = this.names.of(who.dataset.client);
      // Only where it differs, lest a screen reader says everything again.
      if (who.textContent !== name) who.textContent = name;
    }
  }

  scrollToEnd() { element('scroll').scrollTop = element('scroll').scrollHeight; }
}

const make = (tag, className = '', text = '') => Object.assign(document.createElement(tag), { className, textContent: text });
const button = (label, run) => Object.assign(make('button', '', label), { type: 'button', onclick: run });
