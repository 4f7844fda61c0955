import { Parley } from './parley.js';
import { View, element } from './chat-view.js';

const PAGE = 50; // older messages that scrolling up asks for
const TYPING_MS = 2000; // between two signals that one is typing
const TYPING_SHOWN_MS = 5000;
const NAME = 'parley.name';

// U+0000 and halves of surrogate pairs are refused in a payload.
const sendable = (text) => text.replace(/[\0\p{Cs}]/gu, '\ufffd');
const messages = (changes) => changes.filter((change) => change.message !== undefined);

/** One room on this page. */
class Chat {
  #view;
  #roomId;
  #profile;
  #parley;
  #joining;
  #room;
  #node;
  #failed = new Set();
  /** Who types, with what ends that. */
  #typing = new Map();
  #typedAt = 0;
  /** The oldest change that was looked at; 0 when it is the first. */
  #before = 0;
  #isLoading = false;

  constructor(roomId, name) {
    this.#view = new View(roomId);
    this.#roomId = roomId;
    this.rename(name);
    this.#start();
  }

  rename(name) {
    this.#profile = name ? { name } : {};
    this.#room?.setProfile(this.#profile);
  }

  say(text) {
    if (!this.#isIn) return false;
    this.#typedAt = 0;
    this.#send({ text: sendable(text) });
    return true;
  }

  type(isTyping) {
    if (isTyping && Date.now() - this.#typedAt < TYPING_MS) return;
    this.#typedAt = isTyping ? Date.now() : 0;
    this.#room?.signal(isTyping, 'typing');
  }

  create() {
    const go = (room) => { location.hash = new URLSearchParams({ room }); };
    this.#parley.create().then(go, (error) => this.#stop(error.message, 'Connect again'));
  }

  async share() {
    let text = location.href;
    try {
      await navigator.clipboard.writeText(text);
      text = 'The link is copied. Whoever opens it is here.';
    } catch { /* Then the reader does. */ }
    this.#view.notice(text, 'OK');
  }

  async scrolled() {
    const room = this.#room;
    if (!room || this.#isLoading || this.#before <= 1 || !this.#view.isAtStart) return;
    this.#isLoading = true;
    const page = await room.history({ before: this.#before, limit: PAGE }).catch(() => null);
    this.#isLoading = false;
    // Then the next scrolling asks again.
    if (!page || room !== this.#room) return;
    this.#before = page.more ? page.from : 0;
    this.#view.prepend(messages(page.changes), room.clientId);
    this.scrolled();
  }

  get #isIn() { return this.#room?.state === 'joined'; }

  async #start() {
    // For balancers that send a room to one node, as nodes without a database need it.
    const parley = this.#parley = new Parley(`/ws?room=${encodeURIComponent(this.#roomId)}`, { storageKey: 'parley.session' });
    this.#room = null;
    parley.on('state', (state) => this.#told(state));
    try {
      this.#joining = parley.join(this.#roomId, { profile: this.#profile, recent: PAGE, create: true });
      this.#show(await this.#joining);
    } catch (error) {
      if (parley.state !== 'closed') this.#stop(`the room cannot be joined: ${error.message}`, 'Try again');
    }
  }

  #show(room) {
    this.#room = room;
    const members = ({ joined }) => this.#view.members([...room.members.values()], joined, room.count, room.clientId);
    room.on('change', (change) => this.#changed(change));
    room.on('reset', ({ diverged }) => {
      this.#begin();
      this.#online(diverged ? 'the database has lost what was said last' : 'only the newest is shown');
    });
    room.on('members', members);
    room.on('signal', ({ clientId, key, signal }) => { if (key === 'typing') this.#types(clientId, signal === true); });
    room.on('failed', ({ message, error }) => this.#fail(message, error));
    room.on('update', () => this.#outbox());
    room.on('end', ({ reason, error }) => {
      const text = { closed: 'the room was closed', removed: 'you were removed from the room' }[reason] ?? error?.message;
      if (text) this.#stop(text, 'Join again');
    });
    members({ joined: [...room.members.values()] });
    this.#begin();
    this.#outbox();
    this.#online();
  }

  #online(story) { this.#view.state('online', `on node ${this.#node}`, story); }

  #begin() {
    const { changes, seq, clientId } = this.#room;
    this.#before = seq + 1 - changes.length;
    this.#view.begin(messages(changes), clientId);
    this.scrolled();
  }

  #changed(change) {
    this.#types(change.clientId, false);
    if (change.message === undefined) return;
    // What was taken away above may be asked for again.
    this.#before = this.#view.append(change, this.#room.clientId) ?? this.#before;
  }

  #types(clientId, isTyping) {
    clearTimeout(this.#typing.get(clientId));
    this.#typing.delete(clientId);
    if (isTyping && clientId !== this.#room.clientId) {
      this.#typing.set(clientId, setTimeout(() => this.#types(clientId, false), TYPING_SHOWN_MS));
    }
    this.#view.typing([...this.#typing.keys()]);
  }

  #told({ name, node, resumed, end, reason }) {
    const last = this.#node;
    if (name === 'open') {
      this.#node = node;
      const change = last === node ? `back on ${node}` : `was on ${last}, now on ${node}`;
      if (this.#isIn) this.#online(resumed ? `${change}: nothing was missed` : 'your session was over, you came anew');
    } else if (name !== 'closed') {
      // Of a room that has ended, that is what is to be read.
      if (this.#room && !this.#isIn) return;
      const text = !navigator.onLine ? 'you are offline' : name === 'waiting' ? 'connection lost, trying again …' : 'connecting …';
      this.#view.state('connecting', text, this.#isIn ? 'what you write waits' : '');
    } else if (end === 'taken_over') {
      this.#stop('this conversation goes on in another tab', 'Use it here');
    } else if (end !== 'asked') {
      this.#stop(`the server ended it: ${reason}`, 'Connect again');
    }
  }

  #stop(text, label) {
    this.#view.state('stopped', text);
    this.#view.notice(text, label, () => {
      this.#parley.close();
      this.#start();
    });
  }

  #send(message) { this.#room.send(message).catch((error) => this.#fail(message, error)); }

  #fail(message, error) {
    const discard = () => {
      this.#failed.delete(entry);
      this.#outbox();
    };
    const again = () => {
      if (!this.#isIn || !this.#failed.delete(entry)) return;
      this.#send(message);
      this.#outbox();
    };
    // Until there is a room it stays as it is.
    const entry = { key: Symbol(), message, error, discard, again: () => this.#joining.then(again, () => {}) };
    this.#failed.add(entry);
    this.#outbox();
  }

  #outbox() { this.#view.outbox([...this.#room?.pending ?? [], ...this.#failed]); }
}

/** Unless it is forbidden. */
function stored(access) { try { return access(); } catch { return null; } }

const [text, name, composer] = ['text', 'name', 'composer'].map(element);
const roomId = new URLSearchParams(location.hash.slice(1)).get('room') || 'lobby';
name.value = stored(() => localStorage.getItem(NAME));
const chat = new Chat(roomId, name.value);

name.onchange = () => {
  const sent = sendable(name.value).trim();
  stored(() => localStorage.setItem(NAME, sent));
  chat.rename(sent);
};
composer.onsubmit = (event) => {
  event.preventDefault();
  if (text.value.trim() && chat.say(text.value)) text.value = '';
};
text.oninput = () => chat.type(text.value !== '');
text.onkeydown = (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
};
element('create').onclick = () => chat.create();
element('share').onclick = () => chat.share();
element('scroll').onscroll = () => chat.scrolled();
window.onhashchange = () => location.reload();
