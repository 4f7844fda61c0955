"""The WebSocket clients that others wrote: `websockets` and `aiohttp`."""

import aiohttp
import websockets

from member import Member


class Websockets:
    def __init__(self, socket):
        self.socket = socket

    @classmethod
    async def open(cls, url):
        try:
            return cls(await websockets.connect(url, max_size=2**21, open_timeout=10))
        except websockets.exceptions.WebSocketException as error:
            raise Member.Lost from error

    async def send(self, text):
        try:
            await self.socket.send(text)
        except websockets.exceptions.ConnectionClosed as error:
            raise Member.Lost from error

    async def receive(self):
        try:
            return await self.socket.recv()
        except websockets.exceptions.ConnectionClosed as error:
            raise Member.Lost from error

    async def close(self):
        await self.socket.close()


class Aiohttp:
    def __init__(self, http, socket):
        self.http, self.socket = http, socket

    @classmethod
    async def open(cls, url):
        http = aiohttp.ClientSession()
        try:
            return cls(http, await http.ws_connect(url, max_msg_size=2**21, timeout=aiohttp.ClientWSTimeout(ws_close=5)))
        except (aiohttp.ClientError, OSError) as error:
            await http.close()
            raise Member.Lost from error

    async def send(self, text):
        try:
            await self.socket.send_str(text)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Member.Lost from error

    async def receive(self):
        message = await self.socket.receive()
        if message.type != aiohttp.WSMsgType.TEXT:
            raise Member.Lost
        return message.data

    async def close(self):
        await self.socket.close()
        await self.http.close()
