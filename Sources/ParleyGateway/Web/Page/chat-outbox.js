import { bounded } from './chat-link.js';

const OUTBOX_MAX = 256;
const IN_FLIGHT_MAX = 64;

/** What was written and is not yet known to be in the room's log, oldest first. One room, any number of sockets. */
export class Outbox {
  constructor(send, changed) {
    this.send = send;
    this.changed = changed;
    this.entries = [];
    this.nextId = 1;
    this.clientId = null;
    this.close();
  }

  /** Nothing is to be answered on this socket. */
  get isIdle() {
    return this.retry === null && !this.entries.some((entry) => entry.sent || entry.held);
  }

  /** False when too much waits already. */
  add(text) {
    if (this.entries.length >= OUTBOX_MAX) return false;
    this.entries.push({ text, id: null, clientId: null, sent: false, held: false, settled: false, failed: null });
    this.flush();
    return true;
  }

  remove(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    this.changed();
  }

  /** The room was joined on a new socket: `lastId` is final, and what is unanswered above it goes out again. */
  open(clientId, lastId, refused, inFlight) {
    this.clientId = clientId;
    this.inFlightMax = bounded(inFlight, 1, IN_FLIGHT_MAX, 1);
    this.judge(lastId, refused, null);
    this.nextId = Math.max(this.nextId, lastId + 1);
    this.isOpen = true;
    this.flush();
  }

  /** Nothing can be sent for now. The socket's list of ids to be sent again is gone with it. */
  close() {
    clearTimeout(this.retry);
    this.retry = null;
    this.isOpen = false;
    this.recent = new Map();
    this.entries = this.entries.filter((entry) => !entry.settled);
    for (const entry of this.entries) entry.sent = entry.held = false;
    this.changed();
  }

  /** Decides what `lastId` decides; `end` is said of ids above it, when those will not be applied any more. */
  judge(lastId, refused, end) {
    const applied = [];
    for (const entry of this.entries) {
      if (entry.id === null || entry.failed) continue;
      // The session that sent it is over: sent again, it could be there twice.
      if (entry.clientId !== this.clientId) entry.failed = 'it is not known whether this arrived';
      else if (entry.id <= lastId && refused.includes(entry.id)) entry.failed = 'the server refused it';
      else if (entry.id <= lastId) applied.push(entry);
      else if (end) entry.failed = end;
    }
    this.entries = this.entries.filter((entry) => !applied.includes(entry));
    this.changed();
  }

  /** A change was seen in the room, or acknowledged. */
  seen(clientId, id) {
    const entry = this.entries.find((entry) => entry.id === id && entry.clientId === clientId);
    if (!entry) return;
    entry.settled = true;
    // An id that was answered by a temporary error has to be sent again even so: the server waits for it.
    if (!entry.held) this.forget(entry);
    this.changed();
  }

  refused(id, temporary, retryMs, reason) {
    let entry = this.entries.find((entry) => entry.id === id && entry.clientId === this.clientId && !entry.failed);
    if (!entry && temporary) entry = this.recall(id);
    if (!entry) return;
    if (temporary) {
      entry.sent = false;
      entry.held = true;
      this.retry ??= setTimeout(() => { this.retry = null; this.flush(); }, bounded(retryMs, 50, 30000, 1000));
    } else {
      entry.sent = false;
      entry.failed = reason;
    }
    this.flush();
  }

  /** The lowest id first; nothing new while something is to be sent again. */
  flush() {
    if (this.isOpen && this.retry === null) {
      let inFlight = this.entries.filter((entry) => entry.sent && !entry.settled && !entry.failed).length;
      for (const entry of this.entries) {
        if (entry.sent || entry.failed) continue;
        if (entry.id === null) {
          if (inFlight >= this.inFlightMax) break;
          entry.id = this.nextId++;
          entry.clientId = this.clientId;
        }
        entry.sent = true;
        entry.held = false;
        inFlight += 1;
        this.send(entry.id, entry.text);
      }
    }
    this.changed();
  }

  forget(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    this.recent.set(entry.id, entry);
    if (this.recent.size > OUTBOX_MAX) this.recent.delete(this.recent.keys().next().value);
    this.flush();
  }

  recall(id) {
    const entry = this.recent.get(id);
    if (!entry) return undefined;
    this.recent.delete(id);
    this.entries.push(entry);
    this.entries.sort((a, b) => (a.id ?? Infinity) - (b.id ?? Infinity));
    return entry;
  }
}
