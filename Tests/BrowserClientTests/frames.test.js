// Each frame that a node may send, of docs/frames.jsonl, is one that the client can read.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ClientMachine } from '../../Sources/ParleyGateway/Web/Page/parley.js';
import { repositoryFile } from './client.js';

const fixtures = readFileSync(repositoryFile('docs/frames.jsonl'), 'utf8').trim().split('\n').map(JSON.parse)
  .filter(({ direction }) => direction === 'server');

test('whatever a node may send, no frame costs the socket', () => {
  assert.ok(fixtures.length > 40);
  const connect = fixtures.find(({ name }) => name === 'connect');
  for (const { name, frame } of fixtures) {
    const machine = new ClientMachine();
    machine.link.open();
    if (!name.startsWith('connect')) {
      machine.received(connect.frame, 1);
      machine.join('r', {}, 1);
    }
    machine.received(frame, 1);
    assert.equal(machine.link.state.name, 'open', `${name}: ${JSON.stringify(machine.take())}`);
  }
});
