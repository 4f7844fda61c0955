// The client on a real node, by a network that loses connections.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Parley } from '../../Sources/ParleyGateway/Web/Page/parley.js';
import { LiveNode, systemPackage, until } from './client.js';

const { WebSocket } = systemPackage('ws');

/** Between clients and a node: connections that can be cut, stalled, and refused. */
class Network {
  #sockets = new Set();
  #isDown = false;

  constructor(nodePort) {
    this.server = net.createServer((client) => {
      if (this.#isDown) return client.destroy();
      const node = net.connect(nodePort, '127.0.0.1');
      for (const [socket, other] of [[client, node], [node, client]]) {
        this.#sockets.add(socket);
        socket.pipe(other);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
      return undefined;
    });
  }

  async start() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this.server.address().port;
  }

  cut() { for (const socket of this.#sockets) socket.destroy(); }
  set isDown(isDown) {
    this.#isDown = isDown;
    if (isDown) this.cut();
  }

  stop() {
    this.cut();
    this.server.close();
  }
}

describe('on a node', { skip: LiveNode.missing }, () => {
  let [node, network, url, clients] = [null, null, '', []];
  const connect = (options) => {
    const parley = new Parley(url, { WebSocket, ...options });
    clients.push(parley);
    return parley;
  };

  before(async () => {
    node = await LiveNode.start();
    network = new Network(node.port);
    url = `ws://127.0.0.1:${await network.start()}`;
  });

  after(() => {
    for (const parley of clients) parley.close();
    network.stop();
    node.stop();
  });

  test('two clients speak, set values, signal, read history, and see each other come and go', async () => {
    const [ann, bob] = [connect(), connect()];
    const id = await ann.create({ meta: { topic: 'tea' } });
    const room = await ann.join(id, { profile: { name: 'Ann' } });
    const other = await bob.join(id, { profile: { name: 'Bob' } });
    await until(() => room.members.size === 2);
    assert.deepEqual([...other.members.values()].map(({ profile }) => profile.name).sort(), ['Ann', 'Bob']);

    const signals = [];
    other.on('signal', ({ key, signal }) => signals.push([key, signal]));
    room.signal({ x: 1 }, 'cursor');
    assert.equal(await room.send({ text: 'hi' }), 1);
    assert.equal(await other.set({ score: 3 }, { if: { score: 0 } }), 2);
    await until(() => room.versions.score === 2);
    await assert.rejects(room.set({ score: 4 }, { if: { score: 1 } }), ({ code, values }) => code === 'conflict' && values.score === 3);
    await until(() => signals.length > 0);
    assert.deepEqual(signals, [['cursor', { x: 1 }]]);
    assert.deepEqual((await other.history({ before: 2 })).changes.map(({ message }) => message), [{ text: 'hi' }]);

    room.setProfile({ name: 'Anna' });
    await until(() => other.members.get(ann.clientId).profile.name === 'Anna');
    await room.leave();
    await until(() => other.members.size === 1 && other.count === 1);
  });

  test('connections are cut again and again: each message is there once, in order, and each answer is its place', async () => {
    const [count, cuts] = [400, 12];
    const writers = await Promise.all(['a', 'b'].map(async (name) => ({ name, room: await connect().join('cut', { create: true }) })));
    const reader = await connect().join('cut');
    const read = (async () => {
      const seen = [];
      for await (const change of reader) if (seen.push(change) === count * writers.length) return seen;
      return seen;
    })();
    const sent = writers.map(({ name, room }) => (async () => {
      const answers = [];
      for (let number = 1; number <= count; number += 1) {
        answers.push(room.send(`${name}${number}`));
        // In bursts, so that cuts fall between sending and hearing of it.
        if (number % 20 === 0) await answers.at(-1);
        if (name === 'a' && number % Math.floor(count / cuts) === 0) network.cut();
      }
      return Promise.all(answers);
    })());
    const places = await Promise.all(sent);
    const seen = await read;
    assert.deepEqual(seen.map(({ seq }) => seq), Array.from(seen, (_, index) => index + 1));
    for (const [index, { name }] of writers.entries()) {
      const own = seen.filter(({ message }) => message.startsWith(name));
      assert.deepEqual(own.map(({ message }) => message), Array.from({ length: count }, (_, index) => `${name}${index + 1}`));
      assert.deepEqual(own.map(({ seq }) => seq), places[index]);
    }
  });

  test('away for a while: what was written meanwhile arrives once, and nobody came or went', async () => {
    const [ann, bob] = [connect(), connect()];
    const room = await ann.join('away', { create: true });
    const other = await bob.join('away');
    await until(() => room.count === 2);
    const changes = [];
    for (const client of [ann, bob]) client.on('state', ({ name, resumed }) => { if (name === 'open') changes.push(resumed); });
    other.on('members', ({ left }) => changes.push(...left));
    network.isDown = true;
    await until(() => ann.state === 'waiting' && bob.state === 'waiting');
    const sent = ['one', 'two', 'three'].map((text) => room.send(text));
    await until(() => ann.state === 'connecting');
    network.isDown = false;
    assert.deepEqual(await Promise.all(sent), [1, 2, 3]);
    await until(() => other.seq === 3);
    assert.deepEqual([other.changes.map(({ message }) => message), changes], [['one', 'two', 'three'], [true, true]]);
  });

  test('a session is taken up by another client of the same token, and the first one stops', async () => {
    const first = connect();
    const room = await first.join('taken', { create: true });
    const second = connect({ session: first.session });
    const again = await second.join('taken');
    await until(() => first.state === 'closed');
    assert.deepEqual([second.clientId, again.count, room.state, first.session], [first.clientId, 1, 'ended', null]);
    assert.equal(await again.send('here'), 1);
  });
});
