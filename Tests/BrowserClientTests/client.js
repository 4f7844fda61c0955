// What the tests of the browser's client share: where things are, a node that is told what to say, and a page around a client.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** A file of the repository. */
export const repositoryFile = (path) => new URL(`../../${path}`, import.meta.url);

/** A file that nodes serve. */
export const pageFile = (name) => new URL(name, repositoryFile('Sources/ParleyGateway/Web/Page/'));

/** A package of the system's, which NODE_PATH has. */
export const systemPackage = createRequire(import.meta.url);

/** A socket to a node that says what a test wants it to say. */
export class FakeSocket {
  static all = [];
  static get newest() { return FakeSocket.all.at(-1); }

  constructor(url, protocols) {
    Object.assign(this, { url, protocols, sent: [], closedWith: undefined });
    FakeSocket.all.push(this);
  }

  // As a browser's.
  send(text) { this.sent.push(JSON.parse(text)); }
  close(code) { this.closedWith = code ?? 'nothing'; }

  // As a node's.
  says(frame) { this.onmessage?.({ data: JSON.stringify(frame) }); }
  ends(code = 1006, reason = '') { this.onclose?.({ code, reason }); }

  welcomes({ clientId = 'me', session = 's1', resumed = false, limits = {}, ...more } = {}) {
    this.says({
      method: 'connect', clientId, session, resumed, node: 'n1', heartbeatMs: 10000, graceMs: 15000, rooms: [],
      limits: { frameBytes: 65536, inFlight: 256, ...limits }, ...more,
    });
  }

  /** Answers the newest join. `changes` are messages, or changes in full. */
  admits({ from = 1, changes = [], lastId = 0, clients = [{ clientId: 'me' }], count = clients?.length, ...state } = {}) {
    // A large roster is left out: null.
    const { id, roomId } = this.newest('join');
    const values = this.newest('join').after === undefined ? { values: {}, versions: {} } : {};
    this.says({
      method: 'join', id, roomId, clientId: 'me', count, lastId, clients: clients ?? undefined, state: { ...run(from, changes), ...values, reset: false, ...state },
    });
  }

  updates(from, ...changes) { this.says({ method: 'update', roomId: 'r', state: run(from, changes) }); }

  refuses(id, code, more = {}) {
    this.says({ method: 'error', id, roomId: 'r', code, reason: 'because', temporary: more.retryMs !== undefined, ...more });
  }

  answers(method, reply) { this.says({ method, id: this.newest(method).id, roomId: 'r', ...reply }); }

  /** What was sent of a kind. */
  of(method) { return this.sent.filter((frame) => frame.method === method); }
  newest(method) { return this.of(method).at(-1); }
}

const run = (from, changes) => {
  const to = from + changes.length - 1;
  const whole = changes.map((change) => (typeof change === 'object' ? change : { clientId: 'other', message: change }));
  return { from, to, position: `${to}-a`, changes: whole };
};

/** In place of the real one, from `install` on: time passes when a test says so. */
export class FakeClock {
  #timers = new Map();
  #now = 0;
  #newest = 0;

  install() {
    this.#timers.clear();
    globalThis.setTimeout = (does, ms = 0) => {
      this.#timers.set(++this.#newest, { does, due: this.#now + ms });
      return this.#newest;
    };
    globalThis.clearTimeout = (timer) => this.#timers.delete(timer);
  }

  tick(ms) {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(([, { due }]) => due <= end).sort(([, one], [, other]) => one.due - other.due);
      if (!next) break;
      const [timer, { does, due }] = next;
      this.#timers.delete(timer);
      this.#now = due;
      does();
    }
    this.#now = end;
  }
}

/** As much of a browser's window as the client looks at. */
export class FakePage extends EventTarget {
  location = { href: 'https://example.org/chat?x=1#room' };
  document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  stored = new Map();
  sessionStorage = {
    getItem: (key) => this.stored.get(key) ?? null,
    setItem: (key, text) => this.stored.set(key, text),
    removeItem: (key) => this.stored.delete(key),
  };

  tells(type, more = {}) { this.dispatchEvent(Object.assign(new Event(type), more)); }
  shows(visibilityState) {
    this.document.visibilityState = visibilityState;
    this.document.dispatchEvent(new Event('visibilitychange'));
  }
}

/** Lets everything happen that waits for nothing but its turn. */
export async function settled() { for (let count = 0; count < 3; count += 1) await turn(); }

/** Waits for what comes from elsewhere. */
export async function until(holds, what = holds.toString()) {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A node without a database. */
export class LiveNode {
  static #executable = process.env.PARLEY_EXECUTABLE
    ?? ['debug', 'release'].map((kind) => fileURLToPath(repositoryFile(`.build/${kind}/parley`))).find(existsSync);
  /** Why there can be none; false when there can. */
  static missing = LiveNode.#executable ? false : 'no executable of parley: build it first';

  name = 'n1';

  static async start() {
    const node = new LiveNode();
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    node.port = server.address().port;
    node.url = `ws://127.0.0.1:${node.port}`;
    await new Promise((resolve) => server.close(resolve));
    const arguments_ = ['serve', '--store', 'memory', '--port', String(node.port), '--node-name', node.name, '--allow-anonymous'];
    node.process = spawn(LiveNode.#executable, arguments_, { stdio: 'ignore' });
    await until(async () => (await fetch(`http://127.0.0.1:${node.port}/health/ready`).catch(() => null))?.ok, 'the node is ready');
    return node;
  }

  stop() { this.process.kill('SIGKILL'); }
}
