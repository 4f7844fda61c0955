// What the machines decide, in the transcripts that the Swift client's machines are held to as well.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { ClientMachine } from '../../Sources/ParleyGateway/Web/Page/parley.js';
import { repositoryFile } from './client.js';

const folder = repositoryFile('Tests/ClientTranscripts/');
const HEARTBEAT = 'alarm link 10000';

/** A machine that is told one step after the other, and what it wants done, as transcripts have it. */
class Player {
  #machine;
  #socket = 0;
  #alarms = new Set();
  #showsHeartbeat;

  constructor({ heartbeat = false }) { this.#showsHeartbeat = heartbeat; }

  play({ call, request, room, frame, text, closed, alarm, socket = this.#socket, ...more }) {
    if (call) {
      this.#call(call, room, request, more);
    } else if (frame || text !== undefined) {
      this.#machine.received(text ?? JSON.stringify(frame), socket);
    } else if (alarm) {
      this.#alarms.delete(alarm);
      this.#machine.rang(alarm);
    } else {
      this.#machine.socketEnded(socket, closed);
    }
    return this.#lines(this.#machine.take());
  }

  #call(call, room, request, { session, message, profile, recent, presence }) {
    switch (call) {
      case 'start':
        this.#machine = new ClientMachine({ session });
        return this.#machine.link.open();
      case 'create': return this.#machine.ask('create', room, ',"ifMissing":true', request);
      case 'join': return this.#machine.join(room, { profile: JSON.stringify(profile), recent, presence }, request);
      case 'send': return this.#machine.member(room, request)?.outbox.add('message', `,"message":${JSON.stringify(message)}`, request);
      case 'leave': return this.#machine.member(room, request)?.leave(request, this.#machine.link.hello);
      case 'close': return this.#machine.close();
    }
    throw new Error(`no such call: ${call}`);
  }

  #lines(actions) {
    const lines = actions.flatMap((action) => this.#line(action) ?? []);
    if (lines.includes('closed taken_over')) lines.push(`session ${this.#machine.link.session}`);
    return lines;
  }

  #line(action) {
    const span = ({ from, to }) => `${from}...${to}`;
    switch (action.do) {
      case 'open':
        this.#socket = action.socket;
        return `socket ${action.socket}${action.session ? ` as ${action.session}` : ''}`;
      case 'send': return { send: JSON.parse(action.text) };
      case 'drop': case 'finish': return action.do;
      case 'alarm': {
        const { name, least, most } = action;
        this.#alarms.add(name);
        const line = `alarm ${name} ${least === most ? most : `${least}...${most}`}`;
        return line === HEARTBEAT && !this.#showsHeartbeat ? undefined : line;
      }
      case 'silence': return this.#alarms.delete(action.name) ? `silence ${action.name}` : undefined;
      case 'state': {
        const { name, node, clientId, resumed, end } = action.state;
        if (name === 'open') return `open ${node} ${clientId}${resumed ? ' resumed' : ''}`;
        return name === 'closed' ? `closed ${end}` : name;
      }
      case 'settle': return `settle ${action.request} ${action.error?.code ?? this.#answer(action.answer)}`;
      case 'tell': {
        const { room, event, state, changes, joined, left, count, end } = action;
        switch (event) {
          case 'joined': return `${room} joined ${span(state)}`;
          case 'changes': return `${room} changes ${changes.map((change) => change.seq).join(' ')}`;
          case 'reset': return `${room} ${state.diverged ? 'diverged' : 'reset'} ${span(state)}`;
          case 'members': {
            const [sign, ids] = left.length > 0 ? ['-', left] : ['+', joined.map((member) => member.clientId)];
            return `${room} ${sign} ${ids.join(' ')} (${count})`;
          }
          case 'ended': return `${room} ended ${end}`;
        }
      }
    }
    return undefined;
  }

  #answer(answer) {
    if (typeof answer === 'number') return `at ${answer}`;
    if (typeof answer === 'object' && answer) return `created ${answer.created}`;
    return answer === null ? 'somewhere' : answer;
  }
}

for (const name of readdirSync(folder).filter((name) => name.endsWith('.jsonl'))) {
  describe(name, () => {
    let transcript;
    const transcripts = [];
    for (const line of readFileSync(new URL(name, folder), 'utf8').trim().split('\n').map(JSON.parse)) {
      if (line.transcript !== undefined) transcripts.push((transcript = { ...line, steps: [] }));
      else transcript.steps.push(line);
    }
    for (const transcript of transcripts) {
      test(transcript.transcript, () => {
        const player = new Player(transcript);
        for (const step of transcript.steps) {
          assert.deepEqual(player.play(step.in), step.out, `after ${JSON.stringify(step.in)}`);
        }
      });
    }
  });
}
