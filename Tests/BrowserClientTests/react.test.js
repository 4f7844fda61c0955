// The hook, with React as the system packages it.
import assert from 'node:assert/strict';
import { register } from 'node:module';
import { beforeEach, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { FakeClock, FakeSocket, settled, systemPackage } from './client.js';

// `import 'react'` does not look where NODE_PATH points.
const react = JSON.stringify(pathToFileURL(systemPackage.resolve('react')).href);
register(`data:text/javascript,${encodeURIComponent(`
  export const resolve = (name, context, next) => name === 'react' ? { url: ${react}, shortCircuit: true } : next(name, context);
`)}`);
const { default: React } = await import('react');
const { create, act } = systemPackage('react-test-renderer');
const { renderToString } = systemPackage('react-dom/server');
const { useRoom } = await import('../../Sources/ParleyGateway/Web/Page/parley-react.js');

globalThis.IS_REACT_ACT_ENVIRONMENT = true;
const { createElement, StrictMode } = React;

const clock = new FakeClock();
/** What the last rendering of each component got. */
const seen = new Map();

function Chat({ name = 'chat', room = 'r', ...options }) {
  const used = useRoom('ws://node', room, { WebSocket: FakeSocket, ...options });
  seen.set(name, used);
  return createElement('ul', null, used.changes.map((change) => createElement('li', { key: change.seq }, change.message)));
}

const chat = (props) => createElement(Chat, props);
const told = (does) => act(async () => { does(); await settled(); });
const mounted = async (...elements) => {
  let root;
  await act(async () => { root = create(createElement(StrictMode, null, ...elements)); });
  return root;
};
const admitted = (state) => told(() => {
  FakeSocket.newest.welcomes();
  FakeSocket.newest.admits(state);
});
/** Nothing of one test is left to the next. */
const over = async (root) => {
  await act(async () => root.unmount());
  clock.tick(1000);
};

beforeEach(() => {
  FakeSocket.all = [];
  seen.clear();
  // React's scheduler keeps the real one; what lingers and what waits has this.
  clock.install();
});

test('on a server nothing is opened, and there is something to show', () => {
  const html = renderToString(createElement(StrictMode, null, chat({ key: 1 })));
  assert.equal(html, '<ul></ul>');
  assert.deepEqual([seen.get('chat').status, FakeSocket.all.length], ['connecting', 0]);
});

test('mounted twice at once, as StrictMode does, it opens one socket and joins once', async () => {
  const root = await mounted(chat({ key: 1, profile: { name: 'Ann' } }));
  assert.equal(FakeSocket.all.length, 1);
  await admitted({ changes: ['a', 'b'], clients: [{ clientId: 'me', profile: { name: 'Ann' } }], values: { score: 3 } });
  assert.equal(FakeSocket.newest.of('join').length, 1);
  const { status, node, clientId, members, count, changes, values } = seen.get('chat');
  assert.deepEqual([status, node, clientId, count, members[0].profile, values.score], ['open', 'n1', 'me', 1, { name: 'Ann' }, 3]);
  assert.deepEqual(changes.map(({ message }) => message), ['a', 'b']);
  assert.deepEqual(root.root.findAllByType('li').length, 2);
  clock.tick(1000);
  assert.equal(FakeSocket.newest.closedWith, undefined);
  await over(root);
  assert.equal(FakeSocket.newest.closedWith, 1000);
});

test('a room outlives a short while without components', async () => {
  const root = await mounted(chat({ key: 1 }));
  await admitted({ changes: ['a'] });
  await act(async () => root.unmount());
  clock.tick(500);
  const again = await mounted(chat({ key: 1 }));
  assert.deepEqual([seen.get('chat').status, seen.get('chat').changes.length], ['open', 1]);
  clock.tick(1000);
  assert.deepEqual([FakeSocket.all.length, FakeSocket.newest.closedWith], [1, undefined]);
  await over(again);
});

test('what comes is rendered, what is sent is pending until it is durable, and verbs stay the same', async () => {
  const root = await mounted(chat({ key: 1 }));
  await admitted();
  const { send } = seen.get('chat');
  let sent;
  await told(() => { sent = send('hello'); });
  assert.deepEqual(seen.get('chat').pending.map(({ message }) => message), ['hello']);
  await told(() => FakeSocket.newest.updates(1, { clientId: 'me', id: 1, message: 'hello' }));
  assert.equal(await sent, 1);
  assert.deepEqual([seen.get('chat').pending, seen.get('chat').changes.length, seen.get('chat').send === send], [[], 1, true]);
  await over(root);
});

test('sent before the room is joined, it waits for that', async () => {
  const root = await mounted(chat({ key: 1 }));
  let sent;
  await told(() => { sent = [seen.get('chat').send('one'), seen.get('chat').send('two')]; });
  await admitted();
  assert.deepEqual(FakeSocket.newest.of('message').map(({ message }) => message), ['one', 'two']);
  sent.forEach((sent) => sent.catch(() => {}));
  await over(root);
});

test('before the room is joined, the wait for it ends with a signal, and nothing is sent then', async () => {
  const root = await mounted(chat({ key: 1 }));
  const [asked, isOver] = [new AbortController(), AbortSignal.abort(new Error('too late'))];
  let sent;
  await told(() => {
    const { send, set, older } = seen.get('chat');
    const { signal } = asked;
    sent = [send('a', { signal }), set({ a: 1 }, { signal }), older(5, { signal }), send('b', { signal: isOver })];
    sent.forEach((sent) => sent.catch(() => {}));
    asked.abort(new Error('changed my mind'));
  });
  for (const one of sent.slice(0, 3)) await assert.rejects(one, /changed my mind/);
  await assert.rejects(sent[3], /too late/);
  await admitted();
  assert.deepEqual(['message', 'set', 'history'].flatMap((method) => FakeSocket.newest.of(method)), []);
  await over(root);
});

test('effects of the layout and of children, which come before the room, can send', async () => {
  const results = [];
  const send = (used, text) => { used.send(text).then((seq) => results.push(seq), (error) => results.push(error.code)); };
  const Child = ({ used }) => { React.useEffect(() => send(used, 'child'), []); return null; };
  const Parent = () => {
    const used = useRoom('ws://node', 'r', { WebSocket: FakeSocket });
    seen.set('parent', used);
    React.useLayoutEffect(() => send(used, 'layout'), []);
    return createElement(Child, { used });
  };
  let root;
  await act(async () => { root = create(createElement(Parent)); });
  await admitted();
  assert.deepEqual(FakeSocket.newest.of('message').map(({ message }) => message), ['layout', 'child']);
  await told(() => FakeSocket.newest.updates(1, ...['layout', 'child'].map((message, index) => ({ clientId: 'me', id: index + 1, message }))));
  assert.deepEqual(results, [1, 2]);
  await over(root);
  await assert.rejects(seen.get('parent').send('after its end'), { code: 'not_in_room' });
});

test('a lost socket is a status, and what is known stays', async () => {
  const root = await mounted(chat({ key: 1 }));
  await admitted({ changes: ['a'] });
  await told(() => FakeSocket.newest.ends());
  assert.deepEqual([seen.get('chat').status, seen.get('chat').changes.length], ['waiting', 1]);
  await told(() => clock.tick(250));
  await told(() => {
    FakeSocket.newest.welcomes({ resumed: true });
    FakeSocket.newest.admits({ from: 2, changes: ['b'] });
  });
  assert.deepEqual([seen.get('chat').status, seen.get('chat').changes.length], ['open', 2]);
  await over(root);
});

test('two components share a room, two rooms share a client; each ends with its last user', async () => {
  const root = await mounted(chat({ key: 1, name: 'one' }), chat({ key: 2, name: 'two' }), chat({ key: 3, name: 'three', room: 'q' }));
  await told(() => FakeSocket.newest.welcomes());
  assert.deepEqual(FakeSocket.all.length, 1);
  assert.deepEqual(FakeSocket.newest.of('join').map(({ roomId }) => roomId), ['r', 'q']);
  await act(async () => root.update(createElement(StrictMode, null, chat({ key: 1, name: 'one' }))));
  clock.tick(1000);
  assert.deepEqual(FakeSocket.newest.of('leave').map(({ roomId }) => roomId), ['q']);
  await over(root);
  assert.equal(FakeSocket.newest.closedWith, 1000);
});

test('mounted again just as its room is left, it waits for that, and joins', async () => {
  const both = [chat({ key: 1, name: 'one' }), chat({ key: 2, name: 'two', room: 'q' })];
  const root = await mounted(...both);
  await told(() => FakeSocket.newest.welcomes());
  await told(() => {
    for (const { id, roomId } of FakeSocket.newest.of('join')) {
      const state = { from: 1, to: 0, position: '0-a', changes: [], values: {}, versions: {}, reset: false };
      FakeSocket.newest.says({ method: 'join', id, roomId, clientId: 'me', count: 1, lastId: 0, clients: [{ clientId: 'me' }], state });
    }
  });
  await act(async () => root.update(createElement(StrictMode, null, both[1])));
  clock.tick(1000);
  await act(async () => root.update(createElement(StrictMode, null, ...both)));
  assert.deepEqual([seen.get('one').status, FakeSocket.newest.of('join').length], ['connecting', 2]);
  await told(() => FakeSocket.newest.answers('leave', { reason: 'left', lastId: 0 }));
  await told(() => FakeSocket.newest.admits());
  assert.deepEqual([seen.get('one').status, seen.get('one').error], ['open', null]);
  await over(root);
});

test('another profile is told, another room is joined', async () => {
  const root = await mounted(chat({ key: 1, profile: { name: 'Ann' } }));
  await admitted();
  const rendered = (props) => act(async () => { root.update(createElement(StrictMode, null, chat({ key: 1, ...props }))); await settled(); });
  await rendered({ profile: { name: 'Ann' } });
  await rendered({ profile: { name: 'Anna' } });
  assert.deepEqual(FakeSocket.newest.of('join').map(({ profile }) => profile.name), ['Ann', 'Anna']);
  await told(() => FakeSocket.newest.ends(4001));
  await told(() => seen.get('chat').retry());
  await admitted();
  assert.deepEqual(FakeSocket.newest.of('join').map(({ profile }) => profile.name), ['Anna']);
  await rendered({ profile: { name: 'Anna' }, room: 'q' });
  assert.deepEqual([FakeSocket.newest.newest('join').roomId, seen.get('chat').status], ['q', 'connecting']);
  await over(root);
});

test('a profile that is too large is an error, and the room goes on with the one that it has', async () => {
  const root = await mounted(chat({ key: 1, profile: { name: 'Ann' } }));
  await admitted();
  const rendered = (name) => act(async () => {
    root.update(createElement(StrictMode, null, chat({ key: 1, profile: { name } })));
    await settled();
  });
  await rendered('x'.repeat(40_000));
  assert.deepEqual([seen.get('chat').status, seen.get('chat').error.code], ['open', 'too_large']);
  await told(() => FakeSocket.newest.updates(1, 'a'));
  assert.deepEqual([seen.get('chat').changes.length, seen.get('chat').error.code], [1, 'too_large']);
  await rendered('Anna');
  assert.deepEqual([seen.get('chat').status, seen.get('chat').error], ['open', null]);
  assert.deepEqual(FakeSocket.newest.of('join').map(({ profile }) => profile.name), ['Ann', 'Anna']);
  await over(root);
});

test('not let in, it says why, before it is joined and after', async () => {
  const refused = async () => {
    await told(() => FakeSocket.newest.ends(4003, 'token expired'));
    await told(() => clock.tick(250));
    await told(() => FakeSocket.newest.ends(4003, 'token expired'));
    const { status, error } = seen.get('chat');
    assert.deepEqual([status, error.code, error.end, error.message], ['closed', 'closed', 'not_admitted', 'token expired']);
  };
  const root = await mounted(chat({ key: 1 }));
  await refused();
  await told(() => seen.get('chat').retry());
  await admitted();
  await refused();
  await over(root);
});

test('a room that cannot be joined is an error that can be tried again; so is a client that is closed', async () => {
  const root = await mounted(chat({ key: 1 }));
  await told(() => {
    FakeSocket.newest.welcomes();
    FakeSocket.newest.refuses(FakeSocket.newest.newest('join').id, 'room_not_found');
  });
  assert.deepEqual([seen.get('chat').status, seen.get('chat').error.code], ['ended', 'room_not_found']);
  await told(() => seen.get('chat').retry());
  await told(() => FakeSocket.newest.admits());
  assert.deepEqual([seen.get('chat').status, seen.get('chat').error], ['open', null]);
  await told(() => FakeSocket.newest.ends(4001));
  assert.equal(seen.get('chat').status, 'closed');
  await told(() => seen.get('chat').retry());
  await admitted();
  assert.deepEqual([seen.get('chat').status, FakeSocket.all.length], ['open', 2]);
  await over(root);
  assert.equal(FakeSocket.newest.closedWith, 1000);
});
