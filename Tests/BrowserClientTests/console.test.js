import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cluster, KEPT, bytes, figure, lease, quantile, time } from '../../Sources/ParleyGateway/Web/Page/console-model.js';

const boundsMs = [1, 10];

/** What a node answers `seconds` after its start, with `rate` changes a second. */
function answer(node, seconds, { rate = 0, at = seconds * 1000, rooms = [], nodes = [], failure } = {}) {
  const own = {
    uptimeMs: seconds * 1000, sockets: 2, rooms: 1, changes: rate * seconds, batches: seconds, updates: 2 * seconds,
    waitingBytes: 0, waits: [seconds, 2 * seconds, 0],
  };
  return { node, version: '1', everyMs: 1000, boundsMs, membersMax: 10, own, database: { lookMs: 3 }, cluster: { at, nodes, rooms }, failure };
}

const peer = (number, name, more) => ({ number, name, isAlive: true, leaseLeftMs: 4000, ageMs: 5, batches: 10, members: 3, ...more });

describe('the model of the console', () => {
  test('rates are what came between two answers of one node', () => {
    const cluster = new Cluster();
    for (let second = 1; second <= 4; second += 1) cluster.took(answer('n1', second, { rate: 7 }), second * 1000);
    assert.deepEqual(cluster.series.changes, [0, 7, 7, 7]);
    assert.deepEqual(cluster.series.updates, [0, 2, 2, 2]);
    assert.deepEqual(cluster.series.look, [3, 3, 3, 3]);
    assert.deepEqual(cluster.waits, [3, 6, 0]);
  });

  test('a series is a minute long', () => {
    const cluster = new Cluster();
    for (let second = 1; second <= KEPT + 20; second += 1) cluster.took(answer('n1', second), second * 1000);
    assert.equal(cluster.series.changes.length, KEPT);
    assert.deepEqual(cluster.waits, [KEPT, 2 * KEPT, 0]);
  });

  test('answers of several nodes in turn add up, and one that is silent does not count for long', () => {
    const cluster = new Cluster();
    for (let second = 1; second <= 6; second += 1) {
      cluster.took(answer(second % 2 ? 'n1' : 'n2', second, { rate: second % 2 ? 3 : 5 }), second * 1000);
    }
    assert.equal(cluster.series.changes.at(-1), 8);
    assert.equal(cluster.series.sockets.at(-1), 4);
    cluster.took(answer('n1', 60, { rate: 3 }), 60_000);
    assert.equal(cluster.series.sockets.at(-1), 2);
  });

  test('a node that has started anew is no fall below zero', () => {
    const cluster = new Cluster();
    cluster.took(answer('n1', 100, { rate: 9 }), 1000);
    cluster.took(answer('n1', 1, { rate: 9 }), 2000);
    assert.deepEqual(cluster.series.changes, [0, 0]);
    cluster.took(answer('n1', 2, { rate: 9 }), 3000);
    assert.equal(cluster.series.changes.at(-1), 9);
  });

  test('nodes: the living first, and what only the node itself knows', () => {
    const cluster = new Cluster();
    const nodes = [peer(1, 'n2', { isAlive: false, leaseLeftMs: -3000 }), peer(2, 'n2'), peer(3, 'n1')];
    cluster.took(answer('n1', 1, { nodes }), 1000);
    cluster.took(answer('n1', 2, { nodes: nodes.map((node) => ({ ...node, batches: 14 })), rate: 0 }), 2000);
    const shown = cluster.nodes;
    assert.deepEqual(shown.map(({ number }) => number), [3, 2, 1]);
    assert.deepEqual(shown.map(({ own }) => own?.sockets), [2, undefined, undefined]);
    assert.deepEqual(shown.map(({ batches }) => batches), [4, 4, 4]);
    assert.equal(cluster.members, 6);
  });

  test('without a database there is the node that answers', () => {
    const cluster = new Cluster();
    cluster.took(answer('n1', 1), 1000);
    assert.deepEqual(cluster.nodes.map(({ name, isAlive }) => [name, isAlive]), [['n1', true]]);
  });

  test('rooms: the busiest first, by what the database counts; the same look twice says nothing new', () => {
    const cluster = new Cluster();
    const rooms = (tea, milk) => [{ id: 'milk', seq: milk, members: 1 }, { id: 'tea', seq: tea, members: 2 }];
    cluster.took(answer('n1', 1, { rooms: rooms(0, 100) }), 1000);
    cluster.took(answer('n1', 2, { rooms: rooms(50, 110) }), 2000);
    cluster.took(answer('n1', 3, { at: 2000, rooms: rooms(50, 110) }), 2500);
    assert.deepEqual(cluster.rooms.map(({ id, rate, rates }) => [id, rate, rates]), [['tea', 50, [50]], ['milk', 10, [10]]]);
    for (let second = 4; second < 20; second += 1) cluster.took(answer('n1', second, { rooms: [] }), second * 1000);
    assert.deepEqual(cluster.rooms, []);
  });

  test('a failure is told while it lasts', () => {
    const cluster = new Cluster();
    cluster.took({ ...answer('n1', 1, { failure: 'the database does not answer' }), cluster: undefined }, 1000);
    assert.equal(cluster.failure, 'the database does not answer');
    cluster.took(answer('n1', 2), 2000);
    assert.equal(cluster.failure, null);
  });
});

test('figures for people', () => {
  assert.deepEqual([null, 0, 0.04, 3, 3.14, 42.4, 12345].map(figure), ['–', '0', '0.0', '3', '3.1', '42', '12,345']);
  assert.deepEqual([null, 0.3, 4.2, 999, 4200, 61_000, 3_700_000, 90_000_000].map(time),
    ['–', '< 1 ms', '4.2 ms', '999 ms', '4.2 s', '1 min 1 s', '1 h 1 min', '1 d 1 h']);
  assert.deepEqual([null, 5, 2048, 3 * 1024 ** 2].map(bytes), ['–', '5 B', '2 KiB', '3 MiB']);
  assert.equal(lease({ isAlive: true, leaseLeftMs: 4200 }), '4.2 s left');
  assert.equal(lease({ isAlive: false, leaseLeftMs: -4200 }), 'over for 4.2 s');
  assert.equal(lease({ isAlive: false, leaseLeftMs: undefined }), '–');
  assert.deepEqual([0.5, 0.99, 1].map((part) => quantile([50, 49, 1], boundsMs, part)), [1, 10, Infinity]);
  assert.equal(quantile([0, 0, 0], boundsMs, 0.5), null);
});
