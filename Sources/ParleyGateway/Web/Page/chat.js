import { Link, bounded } from './chat-link.js';
import { Outbox } from './chat-outbox.js';
import { Names, View, element } from './chat-view.js';

const RECENT = 50;
const ROSTER_MAX = 200;

// U+0000 and halves of surrogate pairs are refused wherever they stand in a payload.
const sendable = (text) => text.replace(/[\0\p{Cs}]/gu, '\ufffd');

/** The room on this page: membership, roster and log, as the frames tell them. */
class Room {
  constructor(id, name, saved) {
    this.id = id;
    this.name = name;
    this.names = new Names();
    this.view = new View(this.names);
    this.members = new Set();
    this.isJoined = false;
    this.clientId = null;
    this.forget();
    this.link = new Link(this, typeof saved?.token === 'string' ? saved.token : null);
    this.outbox = new Outbox(
      (id, text) => this.link.send({ method: 'message', id, roomId: this.id, message: { text } }),
      () => this.outboxChanged());
    if (saved) this.restore(saved);
    this.link.open();
  }

  // What the page keeps over a reload. It is taken out of the storage while the page lives: a tab that is duplicated copies
  // the storage, and must not come with the session of the first.
  saved() {
    const { entries, nextId } = this.outbox;
    return { token: this.link.token, roomId: this.id, nextId, entries };
  }

  restore({ roomId, nextId, entries }) {
    this.outbox.nextId = nextId;
    const elsewhere = roomId === this.id ? null : `it was written in #${roomId}`;
    this.outbox.entries = entries.filter((entry) => !entry.settled)
      .map((entry) => ({ ...entry, sent: false, failed: entry.failed ?? elsewhere }));
    this.outboxChanged();
  }

  forget() { [this.seq, this.position] = [0, null]; }

  say(text) { return this.outbox.add(sendable(text)); }

  rename(name) {
    this.name = name;
    // A join gives up what is still to be answered on this socket, so it waits until there is nothing.
    this.isRenamePending = true;
    this.renameIfIdle();
  }

  renameIfIdle() {
    if (this.isRenamePending && this.isJoined && this.outbox.isIdle) this.join();
  }

  /** Shows once what changed many times in one go. */
  outboxChanged() {
    if (this.isOutboxStale) return;
    this.isOutboxStale = true;
    queueMicrotask(() => {
      this.isOutboxStale = false;
      const discard = (entry) => this.outbox.remove(entry);
      const sendAgain = (entry) => { discard(entry); this.outbox.add(entry.text); };
      this.view.outbox(this.outbox.entries.filter((entry) => !entry.settled), sendAgain, discard);
    });
  }

  join() {
    this.isJoined = this.isRenamePending = false;
    this.outbox.isOpen = false;
    const from = this.position === null ? { recent: RECENT } : { after: this.position };
    const profile = this.name ? { name: this.name } : {};
    this.joinId = this.outbox.nextId++;
    this.link.send({ method: 'join', id: this.joinId, roomId: this.id, profile, ...from });
  }

  // MARK: what the link tells

  state(name, text, action) { this.view.state(name, text, action); }

  up(hello) {
    this.clientId = hello.clientId;
    this.join();
  }

  down() {
    clearTimeout(this.joinTimer);
    this.isJoined = false;
    this.outbox.close();
  }

  frame(frame) {
    if (frame === null || typeof frame !== 'object') return;
    if (frame.method === 'error') return this.failed(frame);
    if (frame.roomId !== this.id) return;
    switch (frame.method) {
      case 'create': return this.join();
      case 'join': return frame.state ? this.joined(frame) : this.rosterChanged(frame);
      case 'update': return this.take(frame.state, false);
      case 'ack': return this.outbox.seen(this.clientId, frame.id);
      case 'leave': return frame.reason ? this.removed(frame) : this.rosterChanged(frame);
    }
  }

  // MARK: what the frames tell

  joined(frame) {
    const isReply = frame.id === this.joinId;
    this.rosterChanged(frame);
    const isWhole = this.take(frame.state, this.position === null || frame.state.reset === true);
    if (!isReply || !isWhole) return;
    this.isJoined = true;
    this.link.settle();
    this.view.state('online', `on node ${this.link.hello.node}`);
    this.outbox.open(this.clientId, frame.lastId, frame.refused ?? [], this.link.hello.limits?.inFlight);
    this.renameIfIdle();
  }

  /** `isFresh`: the state replaces what is shown, instead of going on from it. False when there is a hole. */
  take({ from, to, position, changes }, isFresh) {
    if (isFresh) {
      this.seq = from - 1;
    } else if (from > this.seq + 1) {
      // Never between a server and a client that keep to the protocol. A fresh copy is better than a hole.
      this.forget();
      this.link.restart();
      return false;
    }
    const fresh = changes.map((change, index) => ({ seq: from + index, change })).filter(({ seq }) => seq > this.seq);
    [this.seq, this.position] = [to, position];
    this.view.append(fresh.filter(({ change }) => change.message !== undefined), this.clientId, isFresh);
    for (const { change } of fresh) if (change.id !== undefined) this.outbox.seen(change.clientId, change.id);
    this.renameIfIdle();
    return true;
  }

  rosterChanged({ clients, joined, left, count, state }) {
    if (clients || state) this.members.clear();
    for (const { clientId, profile } of [...(clients ?? []), ...(joined ?? [])]) {
      if (this.members.size < ROSTER_MAX) this.members.add(clientId);
      this.names.learn(clientId, profile);
    }
    for (const clientId of left ?? []) this.members.delete(clientId);
    this.view.roster([...this.members], count ?? this.members.size, this.clientId);
  }

  removed({ reason, lastId, refused }) {
    this.outbox.judge(lastId, refused ?? [], 'you were no longer in the room');
    this.members.clear();
    this.view.roster([], 0, this.clientId);
    this.stop(reason === 'closed' ? 'the room was closed' : 'you were removed from the room');
  }

  stop(text) { this.link.stop(text, { label: 'Join again', run: () => this.link.open() }); }

  failed({ id, code, reason, temporary, retryMs }) {
    if (id !== this.joinId) {
      // Not being a member leaves no mark: joined anew, the same id goes out again.
      return code === 'not_joined' ? this.link.restart() : this.outbox.refused(id, temporary, retryMs, reason);
    }
    if (code === 'room_not_found') {
      this.link.send({ method: 'create', id: this.joinId, roomId: this.id, ifMissing: true });
    } else if (temporary) {
      this.joinTimer = setTimeout(() => this.join(), bounded(retryMs, 50, 30000, 1000));
    } else {
      this.stop(`the room cannot be joined: ${reason}`);
    }
  }
}

// MARK: the page

/** Storage can be forbidden, or hold what another version of this page left there. */
function stored(storage, key) {
  try { return JSON.parse(window[storage].getItem(key)); } catch { return null; }
}

function store(storage, key, value) {
  try {
    if (value === null) window[storage].removeItem(key);
    else window[storage].setItem(key, JSON.stringify(value));
  } catch { /* The page works without. */ }
}

const SAVED = 'parley.session';
const NAME = 'parley.name';
const saved = stored('sessionStorage', SAVED);
store('sessionStorage', SAVED, null);

const roomId = new URLSearchParams(location.hash.slice(1)).get('room') || 'lobby';
const name = String(stored('localStorage', NAME) ?? '');
element('name').value = name;
element('room').textContent = roomId;
document.title = `#${roomId} · Parley`;
const room = new Room(roomId, name, Array.isArray(saved?.entries) ? saved : null);

element('name').addEventListener('change', () => {
  const name = sendable(element('name').value).trim();
  store('localStorage', NAME, name);
  room.rename(name);
});
element('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = element('text').value;
  if (!text.trim()) return;
  if (room.say(text)) element('text').value = '';
  else room.view.notice('Too many messages wait to be sent.', { label: 'OK', run() {} });
});
element('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element('composer').requestSubmit();
});
window.addEventListener('online', () => room.link.hurry());
window.addEventListener('hashchange', () => location.reload());
window.addEventListener('pagehide', () => store('sessionStorage', SAVED, room.saved()));
// Back from the browser's cache: what was saved may belong to a newer page by now.
window.addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
