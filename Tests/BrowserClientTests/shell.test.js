// What a program sees of the client, over sockets whose other end is the test.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { beforeEach, describe, test } from 'node:test';
import { Parley } from '../../Sources/ParleyGateway/Web/Page/parley.js';
import { FakeClock, FakePage, FakeSocket, settled } from './client.js';

const clock = new FakeClock();
const connect = (options) => new Parley('ws://node', { WebSocket: FakeSocket, page: null, ...options });

/** In the room `r`, on an open socket. */
async function joined({ parley = connect(), ...state } = {}) {
  const joining = parley.join('r');
  FakeSocket.newest.welcomes();
  FakeSocket.newest.admits(state);
  return { parley, room: await joining, socket: FakeSocket.newest };
}

const code = (code) => (error) => error.code === code;
const texts = (changes) => changes.map((change) => change.message);

beforeEach(() => {
  FakeSocket.all = [];
  clock.install();
});

describe('where it connects', () => {
  test('to /ws unless told otherwise, also of a page, also by http', () => {
    const page = new FakePage();
    const urls = [
      ['ws://node:1', 'ws://node:1/ws'], ['http://node/', 'ws://node/ws'], ['https://node/a/ws?b=c', 'wss://node/a/ws?b=c'],
      ['/ws?room=r', 'wss://example.org/ws?room=r'], ['/', 'wss://example.org/ws'],
    ];
    for (const [url, real] of urls) {
      const parley = connect({ page, url });
      parley.close();
      assert.equal(new Parley(url, { WebSocket: FakeSocket, page }).url.href, real);
    }
  });

  test('credential and session travel as subprotocols; the credential is asked for anew for each socket', async () => {
    const asked = [];
    const parley = connect({ token: async (why) => { asked.push(why.isRefused); return `t${asked.length}`; }, session: 's0' });
    await settled();
    assert.deepEqual(FakeSocket.newest.protocols, ['parley.v1', 'bearer.t1', 'session.s0']);
    FakeSocket.newest.ends(4003);
    clock.tick(250);
    await settled();
    assert.deepEqual(FakeSocket.newest.protocols, ['parley.v1', 'bearer.t2', 'session.s0']);
    FakeSocket.newest.ends(4003);
    assert.deepEqual([parley.state, asked], ['closed', [false, true]]);
  });

  test('a credential that cannot be had is tried for again', async () => {
    let isAway = true;
    const parley = connect({ token: async () => { if (isAway) throw new Error('away'); return 't'; } });
    await settled();
    assert.deepEqual([parley.state, FakeSocket.all.length], ['waiting', 0]);
    isAway = false;
    clock.tick(250);
    await settled();
    assert.deepEqual(FakeSocket.newest.protocols, ['parley.v1', 'bearer.t']);
  });

  test('a credential that comes too late is not used', async () => {
    const waiting = [];
    connect({ token: () => new Promise((resolve) => waiting.push(resolve)) });
    clock.tick(5000);
    clock.tick(250);
    waiting[0]('late');
    await settled();
    assert.equal(FakeSocket.all.length, 0);
    waiting[1]('t');
    await settled();
    assert.deepEqual(FakeSocket.all.map(({ protocols }) => protocols[1]), ['bearer.t']);
  });

  test('where there is no WebSocket, that is said at once', () => {
    assert.throws(() => new Parley('ws://node', { WebSocket: undefined }), TypeError);
  });
});

describe('messages', () => {
  test('send resolves with the place once an update shows it', async () => {
    const { room, socket } = await joined({ changes: ['a', 'b'] });
    const sent = room.send({ text: 'c' });
    assert.deepEqual(room.pending.map(({ method, message }) => ({ method, message })), [{ method: 'message', message: { text: 'c' } }]);
    socket.updates(3, { clientId: 'me', id: 1, message: { text: 'c' } });
    assert.equal(await sent, 3);
    assert.deepEqual([texts(room.changes), room.seq, room.pending], [['a', 'b', { text: 'c' }], 3, []]);
  });

  test('what was given stays as it was, whatever becomes of it; what JSON does not have is refused', async () => {
    const { room, socket } = await joined();
    const message = { text: 'first' };
    room.send(message);
    message.text = 'second';
    socket.ends();
    clock.tick(250);
    FakeSocket.newest.welcomes({ resumed: true });
    FakeSocket.newest.admits();
    assert.deepEqual(FakeSocket.newest.of('message'), [{ method: 'message', id: 1, roomId: 'r', message: { text: 'first' } }]);
    await assert.rejects(room.send(undefined), TypeError);
    await assert.rejects(room.send(1n), TypeError);
  });

  test('whoever sends from within an event keeps the order', async () => {
    const { room, socket } = await joined({ changes: [] });
    room.on('change', ({ message }) => { if (message === 'go') for (const text of ['x', 'y']) room.send(text); });
    room.send('w');
    socket.updates(1, 'go', 'other');
    assert.deepEqual(socket.of('message').map(({ id, message }) => [id, message]), [[1, 'w'], [2, 'x'], [3, 'y']]);
  });

  test('nobody is told of one thing from within another', async () => {
    const { parley, room, socket } = await joined({ changes: [] });
    const told = [];
    room.on('change', ({ message }) => {
      told.push(`${message} {`);
      parley.close();
      told.push('}');
    });
    room.on('end', () => told.push('end'));
    socket.updates(1, 'a', 'b');
    assert.deepEqual(told, ['a {', '}', 'b {', '}', 'end']);
  });

  test('what waits to be sent has a bound, and an error when it is full', async () => {
    const { room, socket } = await joined({ parley: connect({ waitingMax: 2 }) });
    socket.ends();
    room.send(1);
    room.send(2);
    await assert.rejects(room.send(3), code('too_many_waiting'));
  });

  test('an aborted message that was not sent never is; one that was may be applied', async () => {
    const { room, socket } = await joined();
    const [first, second] = [new AbortController(), new AbortController()];
    const sent = room.send('sent', { signal: first.signal });
    socket.ends();
    const waiting = room.send('waiting', { signal: second.signal });
    first.abort(new Error('no more'));
    second.abort();
    await assert.rejects(sent, /no more/);
    await assert.rejects(waiting, { name: 'AbortError' });
    assert.deepEqual(room.pending, []);
    clock.tick(250);
    FakeSocket.newest.welcomes({ resumed: true });
    FakeSocket.newest.admits();
    assert.deepEqual(FakeSocket.newest.of('message'), []);
    await assert.rejects(room.send('never', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });

  test('close answers all that waits', async () => {
    const { parley, room, socket } = await joined();
    const sent = room.send('sent');
    const ends = [];
    room.on('end', ({ reason }) => ends.push(reason));
    parley.close();
    await assert.rejects(sent, code('outcome_unknown'));
    await assert.rejects(room.send('late'), code('not_in_room'));
    await assert.rejects(parley.join('q'), code('closed'));
    assert.deepEqual([socket.closedWith, ends, room.state, parley.state], [1000, ['client_closed'], 'ended', 'closed']);
  });
});

describe('values', () => {
  test('written by changes, removed by null, with the place of the change that wrote them; any key is a key', async () => {
    const { room, socket } = await joined({ from: 5, values: { turn: 'ann' }, versions: { turn: 4 } });
    const before = room.values;
    socket.updates(5, { set: { score: 3, turn: null } }, { set: JSON.parse('{"__proto__":1,"constructor":2}') }, 'text');
    assert.deepEqual(Object.entries(room.values), [['score', 3], ['__proto__', 1], ['constructor', 2]]);
    assert.deepEqual(Object.entries(room.versions), [['score', 5], ['__proto__', 6], ['constructor', 6]]);
    assert.deepEqual([before.turn, room.values.turn, room.values.toString], ['ann', undefined, undefined]);
  });

  test('a condition that does not hold tells what there is', async () => {
    const { room, socket } = await joined();
    const set = room.set({ score: 4 }, { if: { score: 0 } });
    assert.deepEqual(socket.newest('set'), { method: 'set', id: 1, roomId: 'r', set: { score: 4 }, if: { score: 0 } });
    socket.refuses(1, 'conflict', { values: { score: 9 }, versions: { score: 2 } });
    await assert.rejects(set, ({ code, values, versions }) => code === 'conflict' && values.score === 9 && versions.score === 2);
  });
});

describe('members', () => {
  const ids = (room) => [...room.members.keys()];

  test('come and go by frames', async () => {
    const { room, socket } = await joined({ clients: [{ clientId: 'me' }, { clientId: 'b', profile: { name: 'Bob' } }] });
    assert.deepEqual([ids(room), room.count, room.members.get('b').profile], [['me', 'b'], 2, { name: 'Bob' }]);
    socket.says({ method: 'join', roomId: 'r', count: 3, joined: [{ clientId: 'c' }] });
    socket.says({ method: 'leave', roomId: 'r', count: 2, left: ['b'] });
    assert.deepEqual([ids(room), room.count], [['me', 'c'], 2]);
  });

  test('of a large room are asked for', async () => {
    const { room, socket } = await joined({ clients: null, count: 3 });
    await settled();
    socket.answers('members', { count: 3, clients: [{ clientId: 'a' }, { clientId: 'b' }, { clientId: 'me' }], more: false });
    await settled();
    socket.says({ method: 'leave', roomId: 'r', count: 2, left: ['a'] });
    assert.deepEqual([ids(room), room.count], [['b', 'me'], 2]);
  });

  test('more than there are: some have left unheard, so they are read anew', async () => {
    const { room, socket } = await joined({ clients: [{ clientId: 'me' }, { clientId: 'b' }, { clientId: 'c' }] });
    socket.says({ method: 'leave', roomId: 'r', count: 1, left: ['c'] });
    await settled();
    socket.answers('members', { count: 1, clients: [{ clientId: 'me' }], more: false });
    await settled();
    assert.deepEqual(ids(room), ['me']);
  });
});

describe('the log', () => {
  const page = (from, ...changes) => ({ from, to: from + changes.length - 1, first: 1, changes: changes.map((message) => ({ message })), more: from > 1 });

  test('a stream begins with what is known, goes on with what comes, and ends with the room', async () => {
    const { parley, room, socket } = await joined({ changes: ['a', 'b'] });
    const seen = [];
    const reading = (async () => { for await (const { seq, message } of room) seen.push([seq, message]); })();
    await settled();
    socket.updates(3, 'c', 'd');
    await settled();
    parley.close();
    await reading;
    assert.deepEqual(seen, [[1, 'a'], [2, 'b'], [3, 'c'], [4, 'd']]);
  });

  test('what a slow reader missed is read again', async () => {
    const { room, socket } = await joined({ changes: ['a'] });
    const stream = room.stream();
    assert.equal((await stream.next()).value.message, 'a');
    // A fresh copy that begins further on, as for one who is too far behind.
    socket.says({
      method: 'join', roomId: 'r', count: 1,
      state: { from: 4, to: 4, position: '4-a', changes: [{ message: 'd' }], values: {}, versions: {}, reset: true },
    });
    const next = stream.next();
    await settled();
    assert.deepEqual([socket.newest('history').after, socket.newest('history').before], [1, 4]);
    socket.answers('history', page(2, 'b', 'c'));
    assert.equal((await next).value.message, 'b');
    assert.equal((await stream.next()).value.message, 'c');
    assert.deepEqual((await stream.next()).value, { seq: 4, message: 'd' });
  });

  test('after another timeline a stream begins with what is there now', async () => {
    const { room, socket } = await joined({ changes: ['a', 'b', 'c'] });
    const stream = room.stream({ after: 2 });
    assert.equal((await stream.next()).value.message, 'c');
    const resets = [];
    room.on('reset', (reset) => resets.push(reset));
    socket.says({
      method: 'join', roomId: 'r', count: 1,
      state: { from: 1, to: 1, position: '1-b', changes: [{ message: 'x' }], values: {}, versions: {}, reset: true, diverged: true },
    });
    assert.deepEqual((await stream.next()).value, { seq: 1, message: 'x' });
    assert.deepEqual([resets, texts(room.changes)], [[{ diverged: true }], ['x']]);
  });

  test('a loop that is aborted from within ends, also when nothing comes any more', async () => {
    const { room } = await joined({ changes: ['a', 'b'] });
    const abort = new AbortController();
    const seen = [];
    const loop = (async () => {
      for await (const { message } of room.stream({ signal: abort.signal })) {
        seen.push(message);
        if (message === 'b') abort.abort();
      }
    })();
    await assert.rejects(Promise.race([loop, settled().then(() => { throw new Error('it waits'); })]), { name: 'AbortError' });
    assert.deepEqual(seen, ['a', 'b']);
  });

  test('a wait for the next change can be aborted', async () => {
    const { room } = await joined();
    const abort = new AbortController();
    const next = room.stream({ signal: abort.signal }).next();
    await settled();
    abort.abort();
    await assert.rejects(next, { name: 'AbortError' });
  });

  test('older changes go before those that are known', async () => {
    const { room, socket } = await joined({ from: 3, changes: ['c'] });
    const older = room.older(2);
    assert.deepEqual([socket.newest('history').before, socket.newest('history').limit], [3, 2]);
    socket.answers('history', page(1, 'a', 'b'));
    assert.deepEqual([await older, texts(room.changes), room.changes.map(({ seq }) => seq)], [2, ['a', 'b', 'c'], [1, 2, 3]]);
  });

  test('a read that a lost socket cut off is asked again; one that is put off, when the node says', async () => {
    const { room, socket } = await joined({ changes: ['a'] });
    const history = room.history({ after: 0 });
    socket.ends();
    clock.tick(250);
    FakeSocket.newest.welcomes({ resumed: true });
    FakeSocket.newest.admits({ from: 2 });
    FakeSocket.newest.refuses(FakeSocket.newest.newest('history').id, 'unavailable', { retryMs: 100 });
    clock.tick(100);
    assert.equal(FakeSocket.newest.of('history').length, 2);
    FakeSocket.newest.answers('history', page(1, 'a'));
    assert.deepEqual(texts((await history).changes), ['a']);
  });
});

describe('joining', () => {
  test('a room that has ended has no part in a later one of the same id', async () => {
    const { parley, room, socket } = await joined();
    const leaving = room.leave();
    socket.answers('leave', { reason: 'left', lastId: 0 });
    await leaving;
    const { room: later } = await joined({ parley });
    await assert.rejects(room.send('stray'), code('not_in_room'));
    room.signal('stray');
    room.setProfile({ name: 'stray' });
    await assert.rejects(room.leave(), code('not_in_room'));
    assert.deepEqual([later.state, socket.of('message'), socket.of('signal'), socket.of('join').length], ['joined', [], [], 2]);
  });

  test('makes the room if told to', async () => {
    const parley = connect();
    const joining = parley.join('r', { create: { meta: { topic: 'tea' } }, profile: { name: 'Ann' } });
    const socket = FakeSocket.newest;
    socket.welcomes();
    socket.refuses(socket.newest('join').id, 'room_not_found');
    await settled();
    assert.deepEqual(socket.newest('create').meta, { topic: 'tea' });
    socket.answers('create', { created: true });
    await settled();
    socket.admits();
    assert.equal((await joining).id, 'r');
    assert.deepEqual(socket.of('join').map(({ profile }) => profile.name), ['Ann', 'Ann']);
  });

  test('aborted, the room is left again', async () => {
    const parley = connect();
    const abort = new AbortController();
    const joining = parley.join('r', { signal: abort.signal });
    FakeSocket.newest.welcomes();
    abort.abort();
    await assert.rejects(joining, { name: 'AbortError' });
    FakeSocket.newest.admits();
    assert.equal(FakeSocket.newest.of('leave').length, 1);
    const again = parley.join('r');
    const twice = assert.rejects(parley.join('r'), code('in_room_already'));
    await settled();
    assert.equal(FakeSocket.newest.of('join').length, 1, 'not before it is left');
    FakeSocket.newest.answers('leave', { reason: 'left', lastId: 0 });
    await settled();
    FakeSocket.newest.admits();
    assert.equal((await again).state, 'joined');
    await twice;
  });

  test('a join that waits for a leave can be given up; neither way it leaves a listener on its signal', async () => {
    for (const isGivenUp of [true, false]) {
      const { parley, room, socket } = await joined();
      const leaving = room.leave();
      const abort = new AbortController();
      const joining = parley.join('r', { signal: abort.signal });
      await settled();
      if (isGivenUp) {
        abort.abort();
        await assert.rejects(joining, { name: 'AbortError' });
      }
      socket.answers('leave', { reason: 'left', lastId: 0 });
      await leaving;
      const again = isGivenUp ? parley.join('r') : joining;
      await settled();
      socket.admits();
      assert.equal((await again).state, 'joined');
      assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
    }
  });

  test('a new room has an id that nobody guesses', async () => {
    const parley = connect();
    const creating = parley.create();
    FakeSocket.newest.welcomes();
    FakeSocket.newest.answers('create', { created: true });
    assert.match(await creating, /^[0-9a-z]{12,21}$/);
  });
});

describe('the page around it', () => {
  const key = 'parley wss://example.org/ws';
  const onPage = (page) => new Parley('/', { WebSocket: FakeSocket, page });

  test('a reload is the same member, and what it had not sent or not heard of goes on', async () => {
    const page = new FakePage();
    const { room, socket } = await joined({ parley: onPage(page), changes: ['a'] });
    assert.equal(page.stored.size, 0, 'a tab that is duplicated must not find the session');
    room.send('one').catch(() => {});
    room.send('two').catch(() => {});
    socket.updates(2, { clientId: 'me', id: 1, message: 'one' });
    page.tells('pagehide');
    assert.equal(JSON.parse(page.stored.get(key)).session, 's1');

    const later = onPage(page);
    assert.deepEqual(FakeSocket.newest.protocols, ['parley.v1', 'session.s1']);
    assert.equal(page.stored.size, 0);
    FakeSocket.newest.welcomes({ resumed: true, session: 's2' });
    const joining = later.join('r');
    FakeSocket.newest.admits({ from: 2, changes: ['one'], lastId: 1 });
    const again = await joining;
    assert.deepEqual(FakeSocket.newest.of('message').map(({ id, message }) => [id, message]), [[2, 'two']]);
    assert.deepEqual(again.pending.map(({ message }) => message), ['two']);
    FakeSocket.newest.refuses(2, 'forbidden');
    assert.deepEqual(again.pending, []);
  });

  test('what a former page had sent and the node refuses is told to who shows the room', async () => {
    const page = new FakePage();
    const { room } = await joined({ parley: onPage(page) });
    room.send('one').catch(() => {});
    page.tells('pagehide');
    const later = onPage(page);
    const joining = later.join('r');
    FakeSocket.newest.welcomes({ resumed: true });
    FakeSocket.newest.admits();
    const again = await joining;
    const failed = [];
    again.on('failed', ({ message, error }) => failed.push([message, error.code]));
    FakeSocket.newest.refuses(1, 'forbidden');
    clock.tick(0);
    assert.deepEqual(failed, [['one', 'forbidden']]);
  });

  test('the same if that is known with the join already: of a session that is over', async () => {
    const page = new FakePage();
    const { room } = await joined({ parley: onPage(page) });
    room.send('one').catch(() => {});
    page.tells('pagehide');
    const joining = onPage(page).join('r');
    FakeSocket.newest.welcomes({ clientId: 'another' });
    FakeSocket.newest.admits();
    const again = await joining;
    const failed = [];
    again.on('failed', ({ message, error }) => failed.push([message, error.code]));
    clock.tick(0);
    assert.deepEqual(failed, [['one', 'outcome_unknown']]);
  });

  test('what a former page had sent is applied, further back than what is shown: nothing is left to wait for', async () => {
    const page = new FakePage();
    const { room } = await joined({ parley: onPage(page) });
    room.send('one').catch(() => {});
    page.tells('pagehide');
    const joining = onPage(page).join('r');
    FakeSocket.newest.welcomes({ resumed: true });
    FakeSocket.newest.admits({ from: 90, changes: ['a', 'b'], lastId: 1 });
    const again = await joining;
    assert.deepEqual(again.pending, []);
    again.send('two').catch(() => {});
    assert.deepEqual(FakeSocket.newest.of('message').map(({ id, message }) => [id, message]), [[2, 'two']]);
  });

  test('back from the browser\'s cache it is the same member, in browsers that freeze pages and in others', () => {
    for (const freezes of [true, false]) {
      const page = new FakePage();
      if (freezes) page.document.onresume = null;
      const parley = onPage(page);
      FakeSocket.newest.welcomes();
      page.tells('pagehide');
      if (freezes) for (const type of ['freeze', 'resume']) page.document.dispatchEvent(new Event(type));
      page.tells('pageshow', { persisted: true });
      assert.equal(parley.session, 's1');
      assert.equal(page.stored.size, 0);
    }
  });

  test('a session that went on elsewhere, or was ended, is not kept', () => {
    for (const end of [(parley) => FakeSocket.newest.ends(4001), (parley) => parley.close()]) {
      const page = new FakePage();
      const parley = onPage(page);
      FakeSocket.newest.welcomes();
      page.tells('pagehide');
      end(parley);
      page.tells('pagehide');
      assert.equal(page.stored.size, 0);
    }
  });

  test('the network is back: no further wait, unless a node has said so', () => {
    const page = new FakePage();
    const parley = onPage(page);
    FakeSocket.newest.ends();
    page.tells('offline');
    assert.equal(parley.state, 'waiting');
    page.tells('online');
    assert.equal(parley.state, 'connecting');
    FakeSocket.newest.ends(1013);
    page.tells('online');
    page.shows('visible');
    assert.equal(parley.state, 'waiting');
  });

  test('news of the network asks an open socket for a sign of life, once; without one it is given up', () => {
    const page = new FakePage();
    const parley = onPage(page);
    FakeSocket.newest.welcomes();
    page.tells('offline');
    page.shows('hidden');
    page.shows('visible');
    assert.deepEqual(FakeSocket.newest.sent, [{ method: 'ping' }]);
    clock.tick(3000);
    assert.deepEqual([parley.state, FakeSocket.newest.closedWith], ['waiting', 'nothing']);
  });

  test('back from sleep: with its session, unless another page has taken that meanwhile', () => {
    for (const isTaken of [false, true]) {
      const page = new FakePage();
      const parley = onPage(page);
      FakeSocket.newest.welcomes();
      page.tells('pagehide', { persisted: true });
      FakeSocket.newest.ends();
      if (isTaken) page.stored.clear();
      page.tells('pageshow', { persisted: true });
      assert.deepEqual(FakeSocket.newest.protocols, isTaken ? ['parley.v1'] : ['parley.v1', 'session.s1']);
      assert.equal(page.stored.size, 0);
      parley.close();
    }
  });

  test('back from sleep without a place to keep the session: it was nobody else\'s meanwhile', () => {
    const page = new FakePage();
    connect({ page, storage: null });
    FakeSocket.newest.welcomes();
    page.tells('pagehide', { persisted: true });
    FakeSocket.newest.ends();
    page.tells('pageshow', { persisted: true });
    assert.deepEqual(FakeSocket.newest.protocols, ['parley.v1', 'session.s1']);
  });

  test('who reads a room slowly that has ended meanwhile reads to the end of what is known', async () => {
    const { room, socket } = await joined({ from: 2, changes: ['b'] });
    const read = async () => { const all = []; for await (const { message } of room.stream({ after: 0 })) all.push(message); return all; };
    const reading = read();
    socket.says({ method: 'leave', roomId: 'r', reason: 'removed', lastId: 0 });
    assert.deepEqual([await reading, await read()], [['b'], ['b']]);
  });
});

describe('what nobody should do', () => {
  test('an address that is none, a room that cannot be, nothing instead of values: an error at once', async () => {
    for (const url of ['localhost:8080', 'ftp://node', 'ws://node/#room']) {
      assert.throws(() => new Parley(url, { WebSocket: FakeSocket }), TypeError);
    }
    const { parley, room, socket } = await joined();
    for (const id of [null, 1, {}, undefined, '', '..', 'a b', '\ud800', 'x'.repeat(65)]) {
      await assert.rejects(parley.join(id), code('bad_request'));
    }
    await assert.rejects(room.set(undefined), TypeError);
    assert.throws(() => room.signal(undefined), TypeError);
    void room.set({ a: 1 }).catch(() => {});
    assert.deepEqual(room.pending.map(({ set }) => set), [{ a: 1 }]);
    room.signal(1);
    assert.deepEqual(socket.newest('signal').signal, 1);
  });

  test('rooms may be called as every object has members', async () => {
    const parley = connect();
    FakeSocket.newest.welcomes();
    for (const id of ['constructor', '__proto__', 'toString']) {
      const joining = parley.join(id);
      await settled();
      FakeSocket.newest.admits();
      assert.equal((await joining).id, id);
    }
  });

  test('a profile that is refused: the former one stays, and the room with it', async () => {
    const { parley, room, socket } = await joined();
    const errors = [];
    parley.on('error', ({ code, roomId }) => errors.push([code, roomId]));
    const sending = room.send('hello');
    room.setProfile({ name: '\0' });
    socket.says({ method: 'error', id: socket.newest('join').id, roomId: 'r', code: 'bad_request', reason: 'no', temporary: false });
    assert.deepEqual([errors, room.state, 'profile' in socket.newest('join')], [[['bad_request', 'r']], 'joined', false]);
    socket.admits({ from: 1, changes: [{ clientId: 'me', id: 1, message: 'hello' }], lastId: 1 });
    assert.equal(await sending, 1);
  });

  test('a token that no WebSocket takes is the end; one that fails for no reason is tried for again', async () => {
    class Strict extends FakeSocket {
      constructor(url, protocols) {
        if (protocols.some((word) => word.includes(' '))) throw Object.assign(new Error('bad subprotocol'), { name: 'SyntaxError' });
        super(url, protocols);
      }
    }
    const parley = connect({ WebSocket: Strict, token: 'a b' });
    await settled();
    assert.equal(parley.state, 'closed');
    const other = connect({ token: () => Promise.reject() });
    await settled();
    assert.equal(other.state, 'waiting');
  });

  test('frames with the wrong types end the socket, not the program', async () => {
    for (const more of [{ joined: 5 }, { joined: null }, { joined: [null] }, { left: 5 }, { clients: 5 }]) {
      const { parley, socket } = await joined();
      socket.says({ method: 'join', roomId: 'r', count: 1, ...more });
      assert.equal(parley.state, 'waiting', JSON.stringify(more));
    }
    const { parley, socket } = await joined();
    socket.says({ method: 'signal', roomId: 'r', signals: 5 });
    assert.equal(parley.state, 'waiting');
  });

  test('refused for good before it was sent, `create` says so', async () => {
    const parley = connect();
    const creating = parley.create();
    FakeSocket.newest.ends(4003);
    clock.tick(250);
    FakeSocket.newest.ends(4003);
    await assert.rejects(creating, code('not_sent'));
  });
});
