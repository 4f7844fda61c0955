// Parley for React: a room as the state of a component. React, 18 or later, is the user's own.
import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import { Parley, ParleyError } from './parley.js';

/** How long a room outlives its last component: StrictMode, and many a router, unmount and mount again at once. */
const LINGER_MS = 1000;

const NOTHING = Object.freeze({
  status: 'connecting', node: null, clientId: null, room: null, error: null, count: 0,
  members: Object.freeze([]), changes: Object.freeze([]), pending: Object.freeze([]),
  values: Object.freeze({}), versions: Object.freeze({}),
});

/** What is promised, unless the signal ends the wait. */
async function unless(signal, promised) {
  signal?.throwIfAborted();
  let abort;
  const aborted = new Promise((_, reject) => { abort = () => reject(signal.reason); });
  signal?.addEventListener('abort', abort);
  try {
    return await Promise.race([promised(), aborted]);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Rooms in use, by address and id. The components that show one share it. */
const stores = new Map();
/** Clients in use, by address, with the number of their rooms. */
const clients = new Map();

/** A room in use, as snapshots: replaced whenever something of it has changed, never altered. */
class RoomStore {
  snapshot = NOTHING;
  /** The room, once it is joined. */
  joining;
  #key;
  #url;
  #roomId;
  #options;
  #profile;
  /** Aborted when the room is not in use any more. */
  #over;
  /** Does nothing from then on. */
  #show;
  #listeners = new Set();
  #timer;

  constructor(key, url, roomId, options) {
    this.#key = key;
    this.#url = url;
    this.#roomId = roomId;
    this.#options = options;
    this.#begin();
  }

  listen(listener) {
    // One function may listen twice, for StrictMode does so.
    const told = () => listener();
    clearTimeout(this.#timer);
    this.#listeners.add(told);
    return () => {
      this.#listeners.delete(told);
      if (this.#listeners.size === 0) this.#timer = setTimeout(() => this.#end(), LINGER_MS);
    };
  }

  setProfile(profile) {
    const text = JSON.stringify(profile);
    if (profile === undefined || text === this.#profile) return;
    this.#profile = text;
    this.#options = { ...this.#options, profile };
    const show = this.#show;
    this.joining.then((room) => {
      if (room.state === 'ended') return;
      let refused = null;
      try { room.setProfile(profile); } catch (error) { refused = error; }
      show(room, refused);
    }, () => { /* That is said elsewhere. */ });
  }

  /** After the end of the room, or of the client. Begins anew before it lets go, so that a client that lives is kept. */
  retry() {
    if (this.snapshot.status !== 'closed' && this.snapshot.status !== 'ended') return;
    const over = this.#over;
    this.#begin();
    over.abort();
  }

  #begin() {
    const { profile, recent, presence, create, ...options } = this.#options;
    const client = clients.get(this.#url) ?? { rooms: 0 };
    if (!client.parley || client.parley.state === 'closed') client.parley = new Parley(this.#url, options);
    const { parley } = client;
    client.rooms += 1;
    clients.set(this.#url, client);
    const { signal } = this.#over = new AbortController();
    const show = this.#show = (room, error = null) => { if (!signal.aborted) this.#take(parley, room, error); };
    this.#profile = JSON.stringify(profile);
    this.joining = parley.join(this.#roomId, { profile, recent, presence, create, signal });
    this.joining.then((room) => {
      const ended = ({ reason, error }) => {
        if (reason !== 'client_closed') show(room, error ?? new ParleyError('not_in_room', `the room has ended: ${reason}`));
      };
      room.on('update', () => show(room, this.snapshot.error), { signal });
      room.on('end', ended, { signal });
      show(room);
    }, (error) => {
      // A client that is closed has said why.
      show(null, parley.state === 'closed' ? this.snapshot.error : error);
    });
    parley.on('state', ({ name, end, reason }) => {
      show(this.snapshot.room, name === 'closed' ? new ParleyError('closed', reason, { end }) : this.snapshot.error);
    }, { signal });
    signal.addEventListener('abort', () => {
      this.snapshot.room?.leave().catch(() => { /* It has ended. */ });
      client.rooms -= 1;
      if (client.rooms > 0) return;
      client.parley.close();
      clients.delete(this.#url);
    });
    show(null);
  }

  #end() {
    this.#over.abort();
    stores.delete(this.#key);
  }

  #take(parley, room, error) {
    const { node, clientId } = parley;
    const hasEnded = room ? room.state === 'ended' : error;
    const status = parley.state === 'closed' ? 'closed' : hasEnded ? 'ended' : room ? parley.state : 'connecting';
    const { count = 0, members, changes, pending, values, versions } = room ?? NOTHING;
    this.snapshot = {
      status, node, clientId, room, error, count, members: [...members.values()], changes, pending, values, versions,
    };
    for (const listener of this.#listeners) listener();
  }
}

/** The room as it is now, and what one can do in it. The components that show one room share it, by the options of the first. No
    socket is opened before a component is mounted. */
export function useRoom(url, roomId, options = {}) {
  const key = `${url} ${roomId}`;
  const latest = useRef(options);
  useEffect(() => { latest.current = options; });

  const { subscribe, verbs } = useMemo(() => {
    let mounted;
    // Effects of children, and those of the layout, come before.
    const mounting = new Promise((resolve) => { mounted = resolve; });
    const subscribe = (listener) => {
      if (!stores.has(key)) stores.set(key, new RoomStore(key, String(url), roomId, latest.current));
      mounted();
      return stores.get(key).listen(listener);
    };
    const found = async () => {
      await mounting;
      const store = stores.get(key);
      if (!store) throw new ParleyError('not_in_room');
      return store.joining;
    };
    const joined = ({ signal } = {}) => unless(signal, found);
    const verbs = {
      send: async (message, options) => (await joined(options)).send(message, options),
      set: async (values, options) => (await joined(options)).set(values, options),
      signal: (signal, signalKey) => stores.get(key)?.snapshot.room?.signal(signal, signalKey),
      older: async (limit, options) => (await joined(options)).older(limit, options),
      retry: () => stores.get(key)?.retry(),
    };
    return { subscribe, verbs };
  }, [key]);
  const snapshot = useSyncExternalStore(subscribe, () => stores.get(key)?.snapshot ?? NOTHING, () => NOTHING);

  const { profile } = options;
  useEffect(() => stores.get(key)?.setProfile(profile), [key, JSON.stringify(profile)]);

  return useMemo(() => ({ ...snapshot, ...verbs }), [snapshot, verbs]);
}
