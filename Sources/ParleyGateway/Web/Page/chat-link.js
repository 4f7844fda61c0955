const CONNECT_MS = 10000;
const PONG_MS = 3000;
const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 10000;

/** What the other side says as a number, if it is one, within what is sensible. */
export const bounded = (value, least, most, otherwise) =>
  Number.isFinite(value) ? Math.min(Math.max(value, least), most) : otherwise;

/** One session, kept over successive sockets. Tells `owner`: up(hello), frame(frame), down(), state(name, text, action). */
export class Link {
  constructor(owner, token) {
    this.owner = owner;
    this.token = token;
    this.hello = null;
    this.attempts = 0;
    this.refusals = 0;
  }

  open() {
    this.detach();
    this.owner.state('connecting', 'connecting …');
    // For a load balancer that sends a room to one node, as nodes without a database need it.
    const url = new URL(`/ws?room=${encodeURIComponent(this.owner.id)}`, location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, ['parley.v1', ...(this.token ? [`session.${this.token}`] : [])]);
    this.socket = socket;
    socket.onmessage = (event) => this.received(event.data);
    socket.onclose = (event) => this.closed(event.code, event.reason);
    this.alarm = setTimeout(() => this.restart(), CONNECT_MS);
  }

  send(frame) {
    if (this.hello && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  /** Leaves the socket, as a lost network does, and takes the session up on another. */
  restart() {
    if (!this.socket) return;
    this.detach();
    this.closed(1006, '');
  }

  /** What was joined works: the next trouble is a new one. */
  settle() { this.attempts = 0; }

  stop(text, action) {
    this.detach();
    this.owner.state('stopped', text, action);
  }

  detach() {
    clearTimeout(this.alarm);
    clearTimeout(this.timer);
    this.timer = null;
    if (this.socket) {
      this.socket.onmessage = this.socket.onclose = null;
      // Without a code, so that the session's memberships stay.
      this.socket.close();
      this.socket = null;
    }
    if (this.hello) this.owner.down();
    this.hello = null;
  }

  received(data) {
    this.listen();
    let frame;
    try { frame = JSON.parse(data); } catch { return; }
    if (frame?.method === 'connect' && !this.hello) {
      this.hello = frame;
      this.token = frame.session;
      this.refusals = 0;
      this.listen();
      this.owner.up(frame);
    } else if (this.hello) {
      this.owner.frame(frame);
    }
  }

  /** Any frame is a sign of life; after heartbeatMs without one a ping asks for it. */
  listen() {
    clearTimeout(this.alarm);
    this.alarm = setTimeout(() => {
      this.send({ method: 'ping' });
      this.alarm = setTimeout(() => this.restart(), PONG_MS);
    }, bounded(this.hello?.heartbeatMs, 1000, 120000, CONNECT_MS));
  }

  closed(code, reason) {
    const graceMs = bounded(this.hello?.graceMs, 0, 120000, 15000);
    this.detach();
    const backOff = () => Math.random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** this.attempts++);
    const again = { label: 'Connect again', run: () => this.open() };
    switch (code) {
      case 1002: case 1003: case 1007: case 1008: case 1009:
        return this.stop(`the server ended the connection: ${reason || code}`, again);
      case 4001:
        this.token = null;
        return this.stop('this conversation goes on in another tab', { label: 'Use it here', run: () => this.open() });
      case 4003:
        if (++this.refusals > 1) return this.stop('the server lets nobody in without a credential', again);
        return this.wait(backOff());
      case 1012: return this.wait(Math.random() * graceMs / 3);
      case 1000: case 1001: case 1013: return this.wait(BACKOFF_CAP_MS / 4 + backOff());
      default: return this.wait(backOff());
    }
  }

  wait(ms) {
    this.owner.state('connecting', 'connection lost, trying again …');
    this.timer = setTimeout(() => this.open(), ms);
  }

  /** The network is back: no need to wait any longer. */
  hurry() { if (this.timer) this.open(); }
}
