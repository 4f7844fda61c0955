// Parley's client, for browsers and Node: one session over many sockets, in many rooms, by version 1 of the protocol. First the
// machines, which decide: no socket, no clock; each event adds to `out` what is to be done. Then the shell.

const CONNECT_MS = 5000; // from the attempt to the frame `connect`
const PONG_MS = 3000; // from a `ping` to any frame
const BACKOFF_MS = 250; // the first wait is random below this; each further one doubles it
const BACKOFF_MS_MAX = 10_000;
const OVERLOAD_MS = 2000; // at least, after overload or a goodbye
const RETRY_MS = [50, 30_000]; // what a node may ask to wait before a repeat
const TOLD_MS = [1000, 600_000]; // a node is believed about heartbeat and grace
const REFUSALS_MAX = 2; // 4003 in a row
const WORKS = 10; // frames behind `connect` that tell a node that works from one that fails at once
const WAITING_MAX = 1000; // to be sent, per room, by default
const SETTLED_KEPT = 256; // per room; a node may ask for them again
const BRIEF_BYTES_MAX = 32_768; // of a signal, profile or meta; a node allows less
const REQUESTS_MAX = 256; // that wait for a reply of their own
const CHANGES_KEPT = 1000; // per room, until older ones are asked for
const CHANGES_KEPT_MAX = 10_000;
const MEMBERS_KEPT = 1000; // per room; more are read by pages
const FIRST_REQUEST = 2 ** 52 - 1; // requests with a reply of their own have ids above this, messages below

const REASONS = {
  closed: 'this client is closed',
  in_room_already: 'in this room already',
  not_in_room: 'not in this room',
  not_sent: 'not sent any more',
  outcome_unknown: 'it is not known whether this was applied',
  too_large: 'too large for a frame',
  too_many_waiting: 'too much waits already',
};

/** `code` is the protocol's, or one of those above. */
export class ParleyError extends Error {
  constructor(code, reason = REASONS[code] ?? code, more = {}) {
    super(reason);
    Object.assign(this, { name: 'ParleyError', code, ...more });
  }
}

// MARK: - The machines

/** What is to be done, in order. A `request` is the number of who waits for an answer. */
class Deeds {
  #list = [];
  #newest = FIRST_REQUEST;

  nextId() { return (this.#newest += 1); }

  add(what, more) { this.#list.push({ do: what, ...more }); }
  send(text) { this.add('send', { text }); }
  alarm(name, least, most = least) { this.add('alarm', { name, least, most }); }
  silence(name) { this.add('silence', { name }); }
  tell(room, event, news) { this.add('tell', { room, event, ...news }); }

  settle(request, answer, error) { if (request) this.add('settle', { request, answer, error }); }
  fail(request, ...why) { this.settle(request, undefined, new ParleyError(...why)); }

  take() { return this.#list.splice(0); }
}

const within = (value, [least, most]) => Math.min(Math.max(Number.isFinite(value) ? value : least, least), most);

/** `rest` is JSON already: whatever its giver does with it later. */
const frame = (method, id, roomId, rest = '') =>
  `{"method":"${method}"${id ? `,"id":${id}` : ''},"roomId":${JSON.stringify(roomId)}${rest}}`;

const isLonger = (text, bytesMax) => text.length * 3 > bytesMax && new TextEncoder().encode(text).length > bytesMax;

/** A node's frame as a value. Throws when no node may send it. */
function read(text) {
  const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
  const isText = (value) => typeof value === 'string';
  const isList = (list, is) => list === undefined || (Array.isArray(list) && list.every(is));
  const isRun = ({ from, to, changes }) => Number.isSafeInteger(from) && Number.isSafeInteger(to)
    && Array.isArray(changes) && changes.length === to - from + 1 && changes.every(isObject);
  const value = JSON.parse(text);
  if (!isObject(value) || !isText(value.method)) throw new Error('no object with a method');
  const { method, id, state, clientId, session, lastId, clients, joined, left, signals } = value;
  const isWhole = (state === undefined ? method !== 'update' : isObject(state) && isRun(state) && isText(state.position))
    && (method !== 'history' || isRun(value)) && (method !== 'connect' || (isText(clientId) && isText(session)))
    && (method !== 'join' || !state || id === undefined || Number.isSafeInteger(lastId))
    && [clients, joined, signals].every((list) => isList(list, isObject)) && isList(left, isText);
  if (!isWhole) throw new Error(`something is missing in \`${method}\``);
  return value;
}

const numbered = ({ from, changes }) => changes.map((change, index) => ({ ...change, seq: from + index }));

/** One session over successive sockets: when to connect, and whether the other side lives. */
class Link {
  state = { name: 'idle' };
  /** The newest's number; older ones do not count any more. */
  socket = 0;
  hello = null;
  node = null;
  clientId = null;
  #out;
  #attempts = 0;
  #frames = 0;
  #refusals = 0;
  #isPinged = false;
  /** A node has said when to come again. */
  #isTold = false;

  constructor(session, out) {
    this.session = session;
    this.#out = out;
  }

  get hasSocket() { return ['connecting', 'open'].includes(this.state.name); }
  get isClosed() { return this.state.name === 'closed'; }

  /** Where alone the state changes. */
  #enter(state, hello = null) {
    this.state = state;
    this.hello = hello;
    this.#out.add('state', { state });
  }

  open() {
    this.socket += 1;
    this.#isPinged = false;
    this.#enter({ name: 'connecting' });
    this.#out.add('open', { socket: this.socket, session: this.session, isRefused: this.#refusals > 0 });
    this.#out.alarm('link', CONNECT_MS);
  }

  welcomed(hello) {
    const { session, node, clientId, resumed } = hello;
    Object.assign(this, { session, node, clientId });
    this.#refusals = this.#frames = 0;
    this.#enter({ name: 'open', node, clientId, resumed: resumed === true }, hello);
    this.heard();
  }

  heard() {
    if (!this.hello) return;
    this.#isPinged = false;
    this.#out.alarm('link', within(this.hello.heartbeatMs, TOLD_MS));
  }

  /** A frame behind `connect`: after some of them the next trouble is a new one. */
  worked() { if (++this.#frames >= WORKS) this.#attempts = 0; }

  rang() {
    switch (this.state.name) {
      case 'waiting': return this.open();
      case 'connecting': return this.giveUp('the node does not answer');
      case 'open':
        if (this.#isPinged) return this.giveUp('the node is silent');
        this.#isPinged = true;
        this.#out.send('{"method":"ping"}');
        this.#out.alarm('link', PONG_MS);
    }
  }

  /** News of the network or the page: an open socket shows that it lives, a wait that no node asked for ends. */
  nudged(isBack) {
    if (this.state.name === 'open' ? !this.#isPinged : this.state.name === 'waiting' && isBack && !this.#isTold) this.rang();
  }

  giveUp(reason) {
    this.#out.add('drop');
    this.ended(null, reason);
  }

  ended(code, reason) {
    const why = reason || (code ? `closed with ${code}` : 'connection lost');
    this.#isTold = true;
    switch (code) {
      case 1002: case 1003: case 1007: case 1008: case 1009: return this.close('refused', why);
      case 4001:
        this.session = null;
        return this.close('taken_over', 'the session goes on at a newer socket');
      case 4003:
        this.#refusals += 1;
        return this.#refusals < REFUSALS_MAX ? this.#wait(why, 0, this.#backoff()) : this.close('not_admitted', why);
      case 1000: case 1001: case 1013: return this.#wait(why, OVERLOAD_MS, OVERLOAD_MS + this.#backoff());
      case 1012: if (this.hello) return this.#wait(why, 0, Math.floor(within(this.hello.graceMs, TOLD_MS) / 3));
    }
    this.#isTold = false;
    this.#wait(why, 0, this.#backoff());
  }

  close(end, reason) {
    this.#out.silence('link');
    this.#enter({ name: 'closed', end, reason });
  }

  #wait(reason, least, most) {
    this.#enter({ name: 'waiting', reason });
    this.#out.alarm('link', least, most);
  }

  #backoff() { return Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** Math.min(this.#attempts++, 16)); }
}

/** What was given to one room: applied at most once, in the order given. */
class Outbox {
  /** Ascending by id, at most `inFlight`. A post is `due`, `sent` or `held`: put off, and sent again after the pause even if an
      update has shown it. `request` is null once its giver has an answer. */
  #posts = [];
  #waiting = [];
  #settled = [];
  #clientId = null;
  #nextId = 1;
  #limits = {};
  #isOpen = false;
  #out;

  constructor(room, waitingMax, kept, out) {
    this.room = room;
    this.alarm = `room ${room}`;
    this.isPausing = false;
    this.waitingMax = waitingMax;
    this.#out = out;
    if (!kept) return;
    ({ clientId: this.#clientId, nextId: this.#nextId } = kept);
    for (const post of kept.posts) {
      if (post.id) this.#posts.push({ ...post, clientId: this.#clientId, phase: 'due' });
      else this.#waiting.push(post);
    }
  }

  get pending() { return [...this.#posts.filter((post) => post.request), ...this.#waiting]; }

  get kept() {
    const posts = this.pending.filter((post) => !post.isApplied && (!post.id || post.clientId === this.#clientId));
    return { clientId: this.#clientId, nextId: this.#nextId, posts: posts.map(({ id, method, rest }) => ({ id, method, rest })) };
  }

  add(method, rest, request) {
    if (this.#waiting.length >= this.waitingMax) return this.#out.fail(request, 'too_many_waiting');
    this.#waiting.push({ id: null, method, rest, request });
    this.#out.tell(this.room, 'pending');
    this.#flush();
  }

  abandon(request) {
    if (!this.pending.some((post) => post.request === request)) return;
    this.#waiting = this.#waiting.filter((post) => post.request !== request);
    for (const post of this.#posts) if (post.request === request) post.request = null;
    this.#out.tell(this.room, 'pending');
  }

  /** On a new socket `lastId` is final: nothing above it that an older one sent will be applied. */
  joined(clientId, { lastId, refused = [] }, limits) {
    this.#nextId = this.#clientId === clientId ? Math.max(this.#nextId, lastId + 1) : lastId + 1;
    this.#clientId = clientId;
    this.#limits = limits;
    this.#settled = [];
    this.#posts = this.#posts.filter((post) => {
      const isOwn = post.clientId === clientId;
      const isKnown = isOwn && post.id <= lastId;
      const isRefused = isKnown && refused.includes(post.id);
      // Of a session that is over: sent again it could be there twice.
      const isLost = !isOwn && !post.isApplied;
      if (isRefused || isLost) this.#out.fail(post.request, isRefused ? 'refused_before' : 'outcome_unknown');
      else if (isKnown) Object.assign(post, { isApplied: true, phase: 'sent' });
      else if (!post.isApplied) post.phase = 'due';
      return post.request && !isRefused && !isLost;
    });
    this.#isOpen = true;
    this.#stopPause();
    this.#flush();
  }

  interrupted() {
    this.#isOpen = false;
    this.#stopPause();
  }

  shown(clientId, id, seq) {
    const post = this.#posts.find((post) => post.id === id && post.clientId === clientId);
    if (!post) return;
    this.#answer(post, seq);
    post.isApplied = true;
    if (post.phase !== 'held') this.#settle(post);
    this.#flush();
  }

  /** A repeat was answered: its place comes with an update. */
  acknowledged(id) {
    const post = this.#posts.find((post) => post.id === id);
    if (!post) return;
    Object.assign(post, { isApplied: true, phase: 'sent' });
    if (!post.request) this.#settle(post);
    this.#flush();
  }

  failed({ id, code, reason, temporary, retryMs, values, versions }) {
    const post = this.#posts.find((post) => post.id === id) ?? (temporary ? this.#recall(id) : undefined);
    if (!post) return;
    if (!temporary) {
      this.#out.fail(post.request, code, reason, { values, versions });
      post.request = null;
      this.#settle(post);
      return this.#flush();
    }
    post.phase = 'held';
    if (!this.isPausing) this.#out.alarm(this.alarm, within(retryMs, RETRY_MS));
    this.isPausing = true;
  }

  pauseEnded() {
    this.isPausing = false;
    for (const post of this.#posts) if (post.phase === 'held') post.phase = 'due';
    this.#flush();
  }

  /** What is applied and was not seen will not be seen. */
  skipped() {
    for (const post of this.#posts.filter((post) => post.isApplied && post.phase === 'sent')) {
      this.#answer(post, null);
      this.#settle(post);
    }
  }

  /** `lastId` is the node's last word; null when there was none. */
  ended(lastId) {
    for (const post of this.#posts) {
      if (post.isApplied || (lastId !== null && post.id <= lastId)) this.#answer(post, null);
      else this.#out.fail(post.request, lastId === null ? 'outcome_unknown' : 'not_sent');
    }
    for (const { request } of this.#waiting) this.#out.fail(request, 'not_sent');
    this.#posts = [];
    this.#waiting = [];
    this.interrupted();
  }

  #flush() {
    if (!this.#isOpen || this.isPausing) return;
    for (const post of this.#posts.filter((post) => post.phase === 'due')) this.#send(post);
    while (this.#waiting.length > 0 && this.#posts.length < (this.#limits.inFlight ?? 1)) {
      const post = { ...this.#waiting.shift(), id: this.#nextId, clientId: this.#clientId };
      // The node would end the client.
      if (isLonger(frame(post.method, post.id, this.room, post.rest), this.#limits.frameBytes)) {
        this.#out.fail(post.request, 'too_large');
        continue;
      }
      this.#nextId += 1;
      this.#posts.push(post);
      this.#send(post);
    }
  }

  #send(post) {
    post.phase = 'sent';
    this.#out.send(frame(post.method, post.id, this.room, post.rest));
  }

  #stopPause() {
    this.#out.silence(this.alarm);
    this.isPausing = false;
  }

  #answer(post, seq) {
    this.#out.settle(post.request, seq);
    post.request = null;
  }

  #settle(post) {
    this.#out.tell(this.room, 'pending');
    this.#posts.splice(this.#posts.indexOf(post), 1);
    this.#settled.push(post);
    if (this.#settled.length > SETTLED_KEPT) this.#settled.shift();
  }

  #recall(id) {
    const post = this.#settled.find((post) => post.id === id);
    if (!post) return;
    this.#settled.splice(this.#settled.indexOf(post), 1);
    this.#posts.push(post);
    this.#posts.sort((one, other) => one.id - other.id);
    return post;
  }
}

/** One room: joined anew on every socket, its changes told once and in order. */
class Membership {
  /** `out`, for want of a socket or put off; `joining`, `joined`, `leaving`, `over`. */
  #phase = 'out';
  #id = 0;
  /** Up to where the room is known; null until the first join. */
  #known = null;
  #room;
  #wish;
  /** The profile that a node has taken; the wish may be a newer one. */
  #profile;
  #joinRequest;
  #leaveRequest = null;
  #out;

  constructor(outbox, wish, request, out) {
    this.outbox = outbox;
    this.#room = outbox.room;
    this.#wish = wish;
    this.#joinRequest = request;
    this.#out = out;
  }

  get isJoined() { return this.#phase === 'joined'; }
  get isLeaving() { return this.#phase === 'leaving'; }
  get isOver() { return this.#phase === 'over'; }

  /** Shown from the next join on: at once, if it can be. */
  profile(text) {
    this.#wish.profile = text;
    if (['joined', 'joining'].includes(this.#phase)) this.join();
  }

  abandon(request, hello) {
    this.outbox.abandon(request);
    // Nobody has the room, so nobody could leave it.
    if (this.#joinRequest === request) this.leave(null, hello);
  }

  signal(rest) { if (this.#phase === 'joined') this.#out.send(frame('signal', 0, this.#room, rest)); }

  leave(request, hello) {
    this.#leaveRequest = request;
    // Not joined again on the next socket, the member is gone after its grace.
    if (!hello) return this.end('left');
    this.#phase = 'leaving';
    this.#out.silence(this.outbox.alarm);
    this.#request('leave');
  }

  join() {
    const { profile, recent, presence } = this.#wish;
    const start = this.#known ? `,"after":${JSON.stringify(this.#known.position)}` : `,"recent":${recent}`;
    this.#interrupt('joining');
    this.#request('join', (profile ? `,"profile":${profile}` : '') + start + (presence ? '' : ',"presence":false'));
  }

  down() {
    const { isLeaving } = this;
    this.#interrupt('out');
    if (isLeaving) this.end('left');
  }

  rang(isOpen) {
    if (this.#phase === 'out' && isOpen) this.join();
    else if (this.isLeaving && isOpen) this.#request('leave');
    else if (this.outbox.isPausing) this.outbox.pauseEnded();
  }

  /** The reply to one's own join, or a fresh copy unasked. */
  joined(reply, hello) {
    const { id, state, clients, count } = reply;
    const isReply = this.#phase === 'joining' && id === this.#id;
    if (id !== undefined && !isReply) return;
    if (isReply) this.#out.settle(this.#joinRequest, 'joined');
    this.#show(state);
    if (isReply) [this.#phase, this.#joinRequest, this.#profile] = ['joined', null, this.#wish.profile];
    if (this.#phase !== 'joined') return;
    const isNew = !this.#known || state.reset || !isReply;
    if (isNew) {
      const event = this.#known ? 'reset' : 'joined';
      this.#known = { seq: state.to, position: state.position };
      this.#tell(event, { state });
    } else {
      this.#take(state);
    }
    this.#tell('roster', { clients, count });
    if (isReply) this.outbox.joined(hello.clientId, reply, hello.limits ?? {});
    if (isNew) this.outbox.skipped();
  }

  updated(state) {
    // Durable is durable, in order or not.
    this.#show(state);
    if (this.#phase !== 'joined') return;
    if (!this.#take(state)) this.join();
  }

  told(event, news) { if (this.#phase === 'joined') this.#tell(event, news); }

  left({ id, reason, lastId }) {
    const isOwn = this.isLeaving && id === this.#id;
    if (isOwn || id === undefined) this.end(isOwn ? 'left' : reason === 'closed' ? 'closed' : 'removed', lastId);
  }

  failed(error) {
    const { id, code, reason, temporary, retryMs } = error;
    if (this.isLeaving && id === this.#id) {
      return temporary ? this.#out.alarm(this.outbox.alarm, within(retryMs, RETRY_MS)) : this.end('left');
    }
    if (this.#phase === 'joining' && id === this.#id) {
      if (temporary) return this.#interrupt('out', within(retryMs, RETRY_MS));
      if (this.#known && this.#wish.profile !== this.#profile) {
        this.#wish.profile = this.#profile;
        this.#out.add('error', { error: new ParleyError(code, reason, { roomId: this.#room }) });
        return this.join();
      }
      this.#out.fail(this.#joinRequest, code, reason);
      this.#joinRequest = null;
      return this.end('refused', null, new ParleyError(code, reason));
    }
    this.outbox.failed(error);
  }

  end(end, lastId = null, error) {
    this.outbox.ended(lastId);
    this.#interrupt('over');
    this.#out.fail(this.#joinRequest, 'not_sent');
    this.#out.settle(this.#leaveRequest, 'left');
    this.#tell('ended', { end, error });
  }

  #request(method, rest) {
    this.#id = this.#out.nextId();
    this.#out.send(frame(method, this.#id, this.#room, rest));
  }

  #interrupt(phase, retryMs) {
    this.#phase = phase;
    this.outbox.interrupted();
    if (retryMs) this.#out.alarm(this.outbox.alarm, retryMs);
  }

  /** False when the run begins later than what is known ends. */
  #take(state) {
    const { seq } = this.#known;
    if (state.from > seq + 1) return false;
    if (state.to > seq) {
      this.#known = { seq: state.to, position: state.position };
      this.#tell('changes', { changes: numbered(state).slice(seq + 1 - state.from) });
    }
    return true;
  }

  #show({ from, changes }) {
    changes.forEach(({ clientId, id }, index) => { if (clientId && id) this.outbox.shown(clientId, id, from + index); });
  }

  #tell(event, news) { this.#out.tell(this.#room, event, news); }
}

export class ClientMachine {
  #out = new Deeds();
  #rooms = new Map();
  /** Requests with a reply of their own: `create` and reads of a room, by id. */
  #asked = new Map();
  #waitingMax;

  constructor({ session = null, waitingMax = WAITING_MAX } = {}) {
    this.link = new Link(session, this.#out);
    this.#waitingMax = waitingMax;
  }

  /** What is not settled, by room, for a later client of the same session. */
  get kept() { return Object.fromEntries([...this.#rooms].map(([room, { outbox }]) => [room, outbox.kept])); }

  take() {
    for (const [room, member] of this.#rooms) if (member.isOver) this.#rooms.delete(room);
    for (const [id, { method, room }] of this.#asked) {
      if (method !== 'create' && !this.#rooms.has(room)) this.#failed({ id, code: 'not_in_room' });
    }
    return this.#out.take();
  }

  /** Sent once it can be, and again on the next socket or when it was put off. */
  ask(method, room, rest, request) {
    if (this.link.isClosed) return this.#out.fail(request, 'closed');
    if (this.#asked.size >= REQUESTS_MAX) return this.#out.fail(request, 'too_many_waiting');
    const id = this.#out.nextId();
    this.#asked.set(id, { method, room, text: frame(method, id, room, rest), request, isSent: false });
    this.#send(id);
  }

  join(room, { profile, recent = 50, presence = true }, request, kept) {
    if (this.link.isClosed) return this.#out.fail(request, 'closed');
    if (this.#rooms.has(room)) return this.#out.fail(request, 'in_room_already');
    const outbox = new Outbox(room, this.#waitingMax, kept, this.#out);
    const member = new Membership(outbox, { profile, recent, presence }, request, this.#out);
    this.#rooms.set(room, member);
    if (this.link.hello) member.join();
  }

  isLeaving(room) { return this.#rooms.get(room)?.isLeaving === true; }

  member(room, request) {
    const member = this.#rooms.get(room);
    if (member && !member.isLeaving) return member;
    this.#out.fail(request, 'not_in_room');
  }

  /** What was asked for may happen all the same. */
  abandon(request) {
    for (const [id, asked] of this.#asked) if (asked.request === request) this.#asked.delete(id);
    for (const member of this.#rooms.values()) member.abandon(request, this.link.hello);
  }

  close() {
    if (this.link.isClosed) return;
    this.#out.add(this.link.hello ? 'finish' : 'drop');
    this.link.close('asked', 'closed');
    this.#down();
  }

  received(text, socket) {
    if (!this.#isNewest(socket)) return;
    this.link.heard();
    let frame;
    try {
      frame = read(text);
    } catch (error) {
      this.link.giveUp(`the node sent what cannot be read: ${error.message}`);
      return this.#down();
    }
    if (this.link.hello) this.#take(frame);
    else if (frame.method === 'connect') this.#welcomed(frame);
  }

  socketEnded(socket, code, reason) {
    if (!this.#isNewest(socket)) return;
    this.link.ended(code, reason);
    this.#down();
  }

  rang(name) {
    const [kind, key] = name.split(' ');
    if (kind === 'room') this.#rooms.get(key)?.rang(this.link.hello !== null);
    if (kind === 'request') this.#send(Number(key));
    if (kind !== 'link') return;
    const { hasSocket } = this.link;
    this.link.rang();
    if (hasSocket && !this.link.hasSocket) this.#down();
  }

  #send(id) {
    const asked = this.#asked.get(id);
    if (!asked || !(asked.method === 'create' ? this.link.hello : this.#rooms.get(asked.room)?.isJoined)) return;
    asked.isSent = true;
    this.#out.send(asked.text);
  }

  #isNewest(socket) { return socket === this.link.socket && this.link.hasSocket; }

  #welcomed(hello) {
    this.link.welcomed(hello);
    for (const id of this.#asked.keys()) this.#send(id);
    for (const member of this.#rooms.values()) member.join();
  }

  #take(frame) {
    const { method, id, roomId, state, clients, joined = [], left = [], count } = frame;
    this.link.worked();
    if (method === 'error') return this.#failed(frame);
    const asked = this.#asked.get(id);
    if (asked?.method === method) {
      this.#asked.delete(id);
      return this.#out.settle(asked.request, frame);
    }
    const member = this.#rooms.get(roomId);
    switch (member && method) {
      case 'update': return member.updated(state);
      case 'ack': return member.outbox.acknowledged(id);
      case 'signal': return member.told('signals', { signals: frame.signals ?? [] });
      case 'leave': if (!frame.left) return member.left(frame);
      // Falls through: others have left.
      case 'join':
        if (!state) return member.told('members', { joined, left, clients, count });
        member.joined(frame, this.link.hello);
        for (const [id, asked] of this.#asked) if (asked.room === roomId && asked.method !== 'create') this.#send(id);
    }
  }

  #failed(error) {
    const { id, roomId, code, reason, temporary, retryMs } = error;
    if (id === undefined) return this.#out.add('error', { error: new ParleyError(code, reason, { roomId }) });
    const asked = this.#asked.get(id);
    if (!asked) return this.#rooms.get(roomId)?.failed(error);
    if (temporary) return this.#out.alarm(`request ${id}`, within(retryMs, RETRY_MS));
    this.#asked.delete(id);
    this.#out.fail(asked.request, code, reason);
  }

  #down() {
    if (!this.link.isClosed) return this.#rooms.forEach((member) => member.down());
    for (const [id, { method, isSent }] of this.#asked) {
      this.#out.silence(`request ${id}`);
      if (method === 'create') this.#failed({ id, code: isSent ? 'outcome_unknown' : 'not_sent' });
    }
    for (const member of this.#rooms.values()) member.end('client_closed');
  }
}

// MARK: - The shell

class Emitter extends EventTarget {
  on(type, listener, options) {
    const told = (event) => listener(event.detail);
    this.addEventListener(type, told, options);
    return () => this.removeEventListener(type, told);
  }

  emit(type, detail) { this.dispatchEvent(Object.assign(new Event(type), { detail })); }
}

const json = (value) => {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('JSON has nothing like this');
  return text;
};

/** A frame that is too large ends the client for good. */
const brief = (value) => {
  const text = json(value);
  if (isLonger(text, BRIEF_BYTES_MAX)) throw new ParleyError('too_large');
  return text;
};

const inner = (text) => text === '{}' ? '' : `,${text.slice(1, -1)}`;
const given = ({ request, method, rest }) => ({ key: request, ...JSON.parse(`{"method":"${method}"${rest}}`) });

const ROOM = /^(?!\.{1,2}$)[\w.~-]{1,64}$/;

/** Until that event, or until it is aborted; neither keeps a listener. */
async function until(target, type, signal) {
  signal?.throwIfAborted();
  const woken = new AbortController();
  await new Promise((resolve) => {
    target.addEventListener(type, resolve, { signal: woken.signal });
    signal?.addEventListener('abort', resolve, { signal: woken.signal });
  });
  woken.abort();
  signal?.throwIfAborted();
}

/** Without a prototype: any key is a key. */
const bare = (record) => Object.assign(Object.create(null), record);

/** A room that one is in; the declarations tell what each member is for. */
export class Room extends Emitter {
  state = 'joining';
  members = new Map();
  count = 0;
  changes = [];
  seq = 0;
  values = Object.freeze(bare());
  versions = this.values;
  /** Null after the end: another room may have the id by then. */
  #key;
  #shell;
  #hasPresence;
  #kept = CHANGES_KEPT;
  /** Raised when what follows does not continue what was. */
  #history = 0;
  #isReading = false;

  constructor(id, shell, hasPresence) {
    super();
    this.id = this.#key = id;
    this.#shell = shell;
    this.#hasPresence = hasPresence;
  }

  get clientId() { return this.#shell.machine.link.clientId; }
  get pending() { return this.#shell.machine.member(this.#key)?.outbox.pending.map(given) ?? []; }
  get #first() { return this.seq + 1 - this.changes.length; }

  async send(message, options) { return this.#post('message', `,"message":${json(message)}`, options); }

  async set(values, options) {
    return this.#post('set', `,"set":${json(values)}${inner(json({ if: options?.if }))}`, options);
  }

  signal(signal, key) {
    const rest = `,"signal":${brief(signal)}${inner(brief({ key }))}`;
    this.#shell.do((machine) => machine.member(this.#key)?.signal(rest));
  }

  async history({ before, after, limit = 100, signal } = {}) {
    const { from, to, first, more, changes } = await this.#read('history', { before, after, limit }, signal);
    return { from, to, first, more, changes: numbered({ from, changes }) };
  }

  async older(limit = 50, { signal } = {}) {
    const [history, before] = [this.#history, this.#first];
    const { changes } = await this.history({ before, limit, signal });
    // Another call, or a reset, was faster.
    if (history !== this.#history || before !== this.#first) return 0;
    this.changes = [...changes, ...this.changes].slice(-CHANGES_KEPT_MAX);
    this.#kept = Math.max(this.#kept, this.changes.length);
    this.emit('update');
    return changes.length;
  }

  membersPage({ after, limit = MEMBERS_KEPT, signal } = {}) { return this.#read('members', { after, limit }, signal); }

  setProfile(profile) {
    const text = brief(profile);
    this.#shell.do((machine) => machine.member(this.#key)?.profile(text));
  }

  async leave({ signal } = {}) { await this.#ask((member, request, { link }) => member.leave(request, link.hello), signal); }

  [Symbol.asyncIterator]() { return this.stream(); }

  /** No queue: a slow reader reads again what is not known any more. */
  async *stream({ after, signal } = {}) {
    let seq = after ?? this.#first - 1;
    let history = this.#history;
    for (;;) {
      signal?.throwIfAborted();
      const first = this.#first;
      if (history !== this.#history) [history, seq] = [this.#history, first - 1];
      let changes = this.changes.slice(Math.max(0, seq + 1 - first));
      if (seq < first - 1) {
        const read = this.history({ after: seq, before: first, signal });
        // Of a room that has ended there is what is known.
        ({ changes } = await read.catch((error) => { if (this.state !== 'ended') throw error; return { changes: [] }; }));
      }
      // Those between are no longer kept.
      if (changes.length === 0) seq = Math.max(seq, first - 1);
      for (const change of changes) {
        if (history !== this.#history) break;
        seq = change.seq;
        yield change;
      }
      if (seq < this.seq || history !== this.#history || signal?.aborted) continue;
      if (this.state === 'ended') return;
      await until(this, 'update', signal);
    }
  }

  take(event, news) {
    switch (event) {
      case 'joined': case 'reset':
        this.#begin(news.state);
        if (event === 'reset') this.emit('reset', { diverged: news.state.diverged === true });
        break;
      case 'changes': return this.#add(news.changes);
      case 'members': case 'roster': return this.#took(news, event === 'roster' && !news.clients);
      case 'signals': return news.signals.forEach((signal) => this.emit('signal', signal));
      case 'ended':
        this.state = 'ended';
        this.#key = null;
        return this.emit('end', { reason: news.end, error: news.error });
    }
  }

  #begin(state) {
    if (state.diverged) this.#history += 1;
    this.state = 'joined';
    this.seq = state.to;
    this.#kept = CHANGES_KEPT;
    this.changes = numbered(state);
    [this.values, this.versions] = [bare(state.values), bare(state.versions)].map(Object.freeze);
  }

  #add(changes) {
    this.seq += changes.length;
    this.changes = [...this.changes, ...changes].slice(-this.#kept);
    const written = changes.filter((change) => change.set);
    if (written.length > 0) {
      const [values, versions] = [bare(this.values), bare(this.versions)];
      for (const { seq, set } of written) {
        for (const [key, value] of Object.entries(set)) {
          [values[key], versions[key]] = [value, seq];
          if (value === null) for (const map of [values, versions]) delete map[key];
        }
      }
      [this.values, this.versions] = [values, versions].map(Object.freeze);
    }
    for (const change of changes) this.emit('change', change);
  }

  #took({ clients, joined = clients ?? [], left = [], count }, isUnknown) {
    this.count = count;
    if (clients) this.members = new Map();
    for (const member of [...(clients ?? []), ...joined]) {
      if (this.members.size < MEMBERS_KEPT) this.members.set(member.clientId, member);
    }
    for (const clientId of left) this.members.delete(clientId);
    this.emit('members', { joined, left, count });
    // Too many to be told at once; or some have left unheard.
    if (this.#hasPresence && !this.#isReading && (isUnknown || this.members.size > count)) this.#readRoster();
  }

  async #readRoster() {
    this.#isReading = true;
    const page = await this.membersPage().catch(() => null);
    this.#isReading = false;
    if (!page) return;
    this.#took(page, false);
    this.emit('update');
  }

  #post(method, rest, { signal } = {}) {
    return this.#ask((member, request) => member.outbox.add(method, rest, request), signal);
  }

  async #read(method, bounds, signal) {
    const rest = inner(json(bounds));
    return this.#ask((_, request, machine) => machine.ask(method, this.id, rest, request), signal);
  }

  #ask(call, signal) {
    return this.#shell.ask((machine, request) => {
      const member = machine.member(this.#key, request);
      if (member) call(member, request, machine);
    }, signal);
  }
}

export class Parley extends Emitter {
  #options;
  #page;
  #machine;
  #socket = null;
  #number = 0;
  #alarms = new Map();
  #answers = new Map();
  #newest = 0;
  #rooms = new Map();
  #kept = {};
  #deeds = [];
  #isActing = false;
  #changed = new Set();
  #listening = new AbortController();

  constructor(url, { page = globalThis.window, ...options } = {}) {
    super();
    this.url = new URL(url, page?.location?.href);
    this.url.protocol = this.url.protocol.replace('http', 'ws');
    if (!this.url.protocol.startsWith('ws') || this.url.hash) throw new TypeError(`no address of a node: ${url}`);
    if (this.url.pathname === '/') this.url.pathname = '/ws';
    this.#page = page;
    this.#options = { WebSocket: globalThis.WebSocket, storageKey: `parley ${this.url}`, ...options };
    if (!this.#options.WebSocket) throw new TypeError('no WebSocket here: give one as an option');
    const saved = this.#unsave();
    this.#kept = saved?.rooms ?? {};
    this.#machine = new ClientMachine({ session: options.session ?? saved?.session, waitingMax: options.waitingMax });
    this.#listen();
    this.#do(({ link }) => link.open());
  }

  get state() { return this.#machine.link.state.name; }
  get node() { return this.#machine.link.node; }
  get clientId() { return this.#machine.link.clientId; }
  get session() { return this.#machine.link.session; }

  async create({ roomId = randomId(), meta, retain, rule, signal } = {}) {
    // A repeat takes the room that is there: the answer to the first may be lost.
    const rest = inner(brief({ ifMissing: true, meta, retain, rule }));
    await this.#ask((machine, request) => machine.ask('create', roomId, rest, request), signal);
    return roomId;
  }

  async join(roomId, { create = false, signal, ...wish } = {}) {
    if (typeof roomId !== 'string' || !ROOM.test(roomId)) throw new ParleyError('bad_request', 'no room can have this id');
    try {
      return await this.#join(roomId, wish, signal);
    } catch (error) {
      if (!create || error.code !== 'room_not_found') throw error;
    }
    await this.create({ ...create, roomId, signal });
    return this.#join(roomId, wish, signal);
  }

  close() { this.#do((machine) => machine.close()); }

  async #join(roomId, { profile, recent, presence = true }, signal) {
    for (let former; (former = this.#rooms.get(roomId));) {
      if (!this.#machine.isLeaving(roomId)) throw new ParleyError('in_room_already');
      await until(former, 'end', signal);
    }
    const wish = { profile: profile && brief(profile), recent, presence };
    const shell = { machine: this.#machine, do: (call) => this.#do(call), ask: (call, signal) => this.#ask(call, signal) };
    const room = new Room(roomId, shell, presence);
    const kept = Object.hasOwn(this.#kept, roomId) ? this.#kept[roomId] : null;
    delete this.#kept[roomId];
    // Who gave them is gone; who shows the room hears of those that fail, once it has the room.
    for (const post of kept?.posts ?? []) {
      post.request = this.#expect((error) => { if (error) setTimeout(() => room.emit('failed', { ...given(post), error })); });
    }
    this.#rooms.set(roomId, room);
    try {
      await this.#ask((machine, request) => machine.join(roomId, wish, request, kept), signal);
    } catch (error) {
      // A join that was given up is left first.
      if (this.#rooms.get(roomId) === room && !this.#machine.isLeaving(roomId)) this.#rooms.delete(roomId);
      throw error;
    }
    return room;
  }

  #expect(answered) {
    this.#answers.set(++this.#newest, answered);
    return this.#newest;
  }

  #ask(call, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const request = this.#expect((error, answer) => {
        signal?.removeEventListener('abort', abort);
        if (error) reject(error);
        else resolve(answer);
      });
      const abort = () => {
        this.#answers.delete(request);
        reject(signal.reason);
        this.#do((machine) => machine.abandon(request));
      };
      signal?.addEventListener('abort', abort);
      this.#do((machine) => call(machine, request));
    });
  }

  // In order, also when who is told of one deed causes others.

  #do(call) {
    call(this.#machine);
    this.#deeds.push(...this.#machine.take());
    if (this.#isActing) return;
    this.#isActing = true;
    try {
      while (this.#deeds.length > 0) this.#act(this.#deeds.shift());
    } finally {
      this.#isActing = false;
    }
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const room of changed) room?.emit('update');
  }

  #act(deed) {
    const { name, text, state, error, request, room: roomId, event } = deed;
    switch (deed.do) {
      case 'open': return this.#open(deed);
      case 'send': return this.#socket?.send(text);
      case 'drop': return this.#detach();
      case 'finish': return this.#detach(1000);
      case 'silence': return this.#silence(name);
      case 'alarm': {
        const ring = () => {
          this.#alarms.delete(name);
          this.#do((machine) => machine.rang(name));
        };
        this.#silence(name);
        return this.#alarms.set(name, setTimeout(ring, deed.least + Math.random() * (deed.most - deed.least)));
      }
      case 'state':
        if (state.name === 'closed') {
          this.#listening.abort();
          this.#unsave();
        }
        return this.emit('state', state);
      case 'error': return this.emit('error', error);
      case 'settle': {
        const answered = this.#answers.get(request);
        this.#answers.delete(request);
        return answered?.(error, deed.answer);
      }
      case 'tell': {
        const room = this.#rooms.get(roomId);
        if (event === 'ended') this.#rooms.delete(roomId);
        this.#changed.add(room);
        return room?.take(event, deed);
      }
    }
  }

  #silence(name) {
    clearTimeout(this.#alarms.get(name));
    this.#alarms.delete(name);
  }

  async #open({ socket: number, session, isRefused }) {
    this.#number = number;
    const { token, WebSocket } = this.#options;
    try {
      const bearer = typeof token === 'function' ? await token({ isRefused }) : token;
      // The machine may have given up meanwhile.
      if (number !== this.#number) return;
      // As subprotocols, which no access log shows.
      const words = [bearer && `bearer.${bearer}`, session && `session.${session}`].filter(Boolean);
      const socket = this.#socket = new WebSocket(this.url.href, ['parley.v1', ...words]);
      socket.onmessage = ({ data }) => this.#do((machine) => machine.received(data, number));
      socket.onclose = ({ code, reason }) => this.#ended(number, code === 1005 || code === 1006 ? null : code, reason);
      socket.onerror = () => { /* The end of the socket follows. */ };
    } catch (error) {
      // What no WebSocket takes, such as a token with spaces, it will not take the next time either.
      this.#ended(number, error?.name === 'SyntaxError' ? 1008 : null, error?.message ?? 'no token');
    }
  }

  #ended(number, code, reason) {
    if (number !== this.#number) return;
    this.#detach();
    this.#do((machine) => machine.socketEnded(number, code, reason));
  }

  /** Without a code a node takes it for lost: the memberships stay. */
  #detach(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#number = 0;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #listen() {
    const page = this.#page;
    if (!page) return;
    const on = (target, type, listener) => target?.addEventListener(type, listener, { signal: this.#listening.signal });
    const nudge = (isBack) => this.#do(({ link }) => link.nudged(isBack));
    const wake = () => this.#do(({ link }) => {
      // Another page may have taken it meanwhile.
      if (this.#storage && this.#unsave()?.session !== link.session) link.session = null;
      link.nudged(true);
    });
    on(page, 'online', () => nudge(true));
    on(page, 'offline', () => nudge());
    on(page, 'pagehide', () => this.#save());
    // Who freezes pages says `resume` as well.
    on(page, 'pageshow', (event) => { if (event.persisted && !('onresume' in page.document)) wake(); });
    on(page.document, 'visibilitychange', () => { if (page.document.visibilityState === 'visible') nudge(true); });
    on(page.document, 'freeze', () => this.#save());
    on(page.document, 'resume', wake);
  }

  /** Null where it is forbidden. */
  get #storage() {
    try {
      return this.#options.storage === undefined ? this.#page?.sessionStorage : this.#options.storage;
    } catch { return null; }
  }

  /** Only while no page lives: a duplicated tab copies the storage, and must not come with the session of the first. */
  #save() {
    const { session } = this;
    const { storageKey } = this.#options;
    for (const rooms of session ? [{ ...this.#kept, ...this.#machine.kept }, {}] : []) {
      // If it is too much, less.
      try { return this.#storage?.setItem(storageKey, JSON.stringify({ session, rooms })); } catch { continue; }
    }
  }

  #unsave() {
    const { storageKey } = this.#options;
    try {
      const text = this.#storage?.getItem(storageKey) ?? null;
      this.#storage?.removeItem(storageKey);
      return JSON.parse(text);
    } catch { return null; }
  }
}

/** 96 random bits: who is not told of a room does not find it. */
const randomId = () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join('');
