"""One client in the conversation, by the protocol's rules, whatever library carries its frames."""

import asyncio
import json
import random
import urllib.parse


class Room:
    def __init__(self, lines, total):
        self.lines = list(lines)  # to be sent
        self.total = total  # changes that the room will have in the end
        self.position = None
        self.last = 0
        self.log = {}  # seq -> (clientId, message)
        self.next_id = 1
        self.unanswered = {}  # id -> message, ascending
        self.is_joined = False
        self.is_resending = False

    @property
    def is_done(self):
        return not self.lines and not self.unanswered and self.last >= self.total


class Member:
    """`transport(url)` opens a socket: an object with `send(text)`, `receive()` that raises `Lost` at the end, `close()`."""

    WINDOW = 16

    class Lost(Exception):
        pass

    def __init__(self, name, transport, url, rooms, pace):
        self.name, self.transport, self.url, self.pace = name, transport, url, pace
        self.rooms = rooms  # room id -> Room
        self.session = None
        self.client_id = None
        self.reconnects = -1
        self.socket = None

    @property
    def is_done(self):
        return all(room.is_done for room in self.rooms.values())

    async def run(self):
        attempt = 0
        while not self.is_done:
            url = self.url
            if self.session:
                url += "?session=" + urllib.parse.quote(self.session)
            try:
                self.socket = await self.transport(url)
                self.reconnects += 1
                attempt = 0
                await self.converse()
            except (self.Lost, OSError, asyncio.TimeoutError):
                attempt += 1
                for room in self.rooms.values():
                    room.is_joined = False
                await asyncio.sleep(random.uniform(0, min(2, 0.1 * 2**attempt)))
            finally:
                if self.socket:
                    await self.socket.close()

    async def converse(self):
        hello = await self.receive()
        assert hello["method"] == "connect", hello
        assert self.client_id in (None, hello["clientId"]), "the session was not taken up"
        self.client_id, self.session = hello["clientId"], hello["session"]
        for number, (room_id, room) in enumerate(self.rooms.items()):
            join = {"method": "join", "id": number + 1, "roomId": room_id, "profile": {"name": self.name}}
            join |= {"after": room.position} if room.position else {"recent": 1000}
            await self.send(join)
        while not self.is_done:
            await self.take(await self.receive())
            for room_id, room in self.rooms.items():
                await self.fill(room_id, room)

    async def take(self, frame):
        room = self.rooms.get(frame.get("roomId"))
        method = frame["method"]
        if method == "join" and "state" in frame:
            assert not frame["state"].get("reset"), frame
            self.record(room, frame["state"])
            room.unanswered = {i: m for i, m in room.unanswered.items() if i > frame["lastId"]}
            room.next_id = max(room.next_id, frame["lastId"] + 1)
            room.is_joined = True
            await self.resend(frame["roomId"], room)
        elif method == "update":
            self.record(room, frame["state"])
        elif method == "ack":
            room.unanswered.pop(frame["id"], None)
        elif method == "error":
            assert frame["temporary"], f"{self.name}: {frame}"
            if not room.is_resending:
                room.is_resending = True
                asyncio.ensure_future(self.resend_later(frame["roomId"], room, frame["retryMs"] / 1000))

    def record(self, room, state):
        assert not state["changes"] or state["from"] == room.last + 1, (
            f"{self.name}: {state['from']} follows {room.last}"
        )
        for offset, change in enumerate(state["changes"]):
            room.log[state["from"] + offset] = (change["clientId"], change["message"])
            if change["clientId"] == self.client_id:
                room.unanswered.pop(change.get("id"), None)
        room.last, room.position = state["to"], state["position"]

    async def resend(self, room_id, room):
        for number, message in sorted(room.unanswered.items()):
            await self.send({"method": "message", "id": number, "roomId": room_id, "message": message})

    async def resend_later(self, room_id, room, seconds):
        await asyncio.sleep(seconds)
        room.is_resending = False
        if room.is_joined:
            try:
                await self.resend(room_id, room)
            except self.Lost:
                pass  # the next join sends them again

    async def fill(self, room_id, room):
        while room.is_joined and room.lines and len(room.unanswered) < self.WINDOW and not room.is_resending:
            message = room.lines.pop(0)
            number, room.next_id = room.next_id, room.next_id + 1
            room.unanswered[number] = message
            await asyncio.sleep(random.uniform(0, self.pace))
            await self.send({"method": "message", "id": number, "roomId": room_id, "message": message})

    async def send(self, frame):
        await self.socket.send(json.dumps(frame, ensure_ascii=False))

    async def receive(self):
        return json.loads(await asyncio.wait_for(self.socket.receive(), 60))
