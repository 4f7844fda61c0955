// One client in the conversation, in a browser: the same rules as member.py.
globalThis.startMember = (name, url, rooms, pace) => {
  const member = { name, clientId: null, session: null, reconnects: -1, fault: null, rooms };
  for (const room of Object.values(rooms)) {
    Object.assign(room, { position: null, last: 0, log: [], nextId: 1, unanswered: new Map(), joined: false });
  }
  const isRoomDone = (room) => !room.lines.length && !room.unanswered.size && room.last >= room.total;
  member.isDone = () => Object.values(rooms).every(isRoomDone);
  let attempt = 0;
  let socket;

  const send = (frame) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame));
  const message = (roomId, id, text) => send({ method: "message", id, roomId, message: text });

  const record = (room, state) => {
    if (state.changes.length && state.from !== room.last + 1) throw new Error(`${state.from} follows ${room.last}`);
    for (const change of state.changes) {
      room.log.push([change.clientId, change.message]);
      if (change.clientId === member.clientId) room.unanswered.delete(change.id);
    }
    room.last = state.to;
    room.position = state.position;
  };
  const resend = (roomId, room) => {
    for (const [id, text] of [...room.unanswered].sort((a, b) => a[0] - b[0])) message(roomId, id, text);
  };

  const take = (frame) => {
    const room = rooms[frame.roomId];
    if (frame.method === "connect") {
      if (member.clientId && member.clientId !== frame.clientId) throw new Error("the session was not taken up");
      member.clientId = frame.clientId;
      member.session = frame.session;
      Object.entries(rooms).forEach(([roomId, known], index) => {
        const from = known.position ? { after: known.position } : { recent: 1000 };
        send({ method: "join", id: index + 1, roomId, profile: { name }, ...from });
      });
    } else if (frame.method === "join" && frame.state) {
      if (frame.state.reset) throw new Error("reset");
      record(room, frame.state);
      for (const id of [...room.unanswered.keys()]) if (id <= frame.lastId) room.unanswered.delete(id);
      room.nextId = Math.max(room.nextId, frame.lastId + 1);
      room.joined = true;
      resend(frame.roomId, room);
    } else if (frame.method === "update") {
      record(room, frame.state);
    } else if (frame.method === "ack") {
      room.unanswered.delete(frame.id);
    } else if (frame.method === "error") {
      if (!frame.temporary) throw new Error(JSON.stringify(frame));
      if (!room.resending) {
        room.resending = setTimeout(() => { room.resending = null; resend(frame.roomId, room); }, frame.retryMs);
      }
    }
    for (const [roomId, open] of Object.entries(rooms)) fill(roomId, open);
  };
  const fill = (roomId, room) => {
    if (!room.joined || room.filling || room.resending || !room.lines.length || room.unanswered.size >= 16) return;
    room.filling = setTimeout(() => {
      room.filling = null;
      if (!room.joined) return;
      const text = room.lines.shift();
      const id = room.nextId++;
      room.unanswered.set(id, text);
      message(roomId, id, text);
      fill(roomId, room);
    }, Math.random() * pace * 1000);
  };

  const connect = () => {
    socket = new WebSocket(url, member.session ? ["parley.v1", `session.${member.session}`] : ["parley.v1"]);
    socket.onopen = () => { attempt = 0; member.reconnects++; };
    socket.onmessage = (event) => {
      try { take(JSON.parse(event.data)); } catch (error) { member.fault = String(error); socket.close(); }
    };
    socket.onclose = () => {
      for (const room of Object.values(rooms)) room.joined = false;
      if (member.isDone() || member.fault) return;
      attempt++;
      setTimeout(connect, Math.random() * Math.min(2000, 100 * 2 ** attempt));
    };
  };
  connect();
  (globalThis.members ??= []).push(member);
};
globalThis.memberStates = () => JSON.stringify(members.map((m) => ({
  name: m.name, clientId: m.clientId, done: m.isDone(), fault: m.fault, reconnects: m.reconnects,
})));
globalThis.memberLogs = () => JSON.stringify(members.map((m) => ({
  name: m.name, clientId: m.clientId, logs: Object.fromEntries(Object.entries(m.rooms).map(([id, r]) => [id, r.log])),
})));
