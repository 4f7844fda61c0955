"""Members in headless Chromium, driven over its DevTools protocol."""

import asyncio
import itertools
import json
import pathlib
import re
import shutil
import tempfile

import websockets


class Browser:
    def __init__(self):
        self.numbers = itertools.count(1)
        self.folder = tempfile.mkdtemp()
        self.process = None

    async def start(self, page):
        """Opens `page`, whose origin the members will have, and gives it the script of the members."""
        self.process = await asyncio.create_subprocess_exec(
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--remote-debugging-port=0", f"--user-data-dir={self.folder}", page,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        while True:
            line = (await asyncio.wait_for(self.process.stderr.readline(), 60)).decode(errors="replace")
            if not line:
                raise RuntimeError("chromium ended at once")
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                break
        self.drain = asyncio.ensure_future(self.process.stderr.read())
        self.socket = await websockets.connect(found[1], max_size=None)
        target = None
        while target is None:
            targets = (await self.call("Target.getTargets"))["targetInfos"]
            target = next((t for t in targets if t["type"] == "page" and t["url"] == page), None)
            await asyncio.sleep(0 if target else 0.05)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        # A script that comes earlier is gone with the empty page before this one.
        while await self.evaluate("location.href + ' ' + document.readyState") != f"{page} complete":
            await asyncio.sleep(0.05)
        await self.evaluate(pathlib.Path(__file__).with_name("member.js").read_text())

    async def call(self, method, session=None, **params):
        number = next(self.numbers)
        request = {"id": number, "method": method, "params": params}
        if session:
            request["sessionId"] = session
        await self.socket.send(json.dumps(request))
        while True:
            answer = json.loads(await asyncio.wait_for(self.socket.recv(), 60))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["result"]

    async def evaluate(self, script):
        result = await self.call("Runtime.evaluate", self.session, expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    async def add(self, name, url, rooms, pace):
        """`rooms`: room id -> {lines, total}."""
        arguments = ", ".join(json.dumps(value) for value in (name, url, rooms, pace))
        await self.evaluate(f"startMember({arguments})")

    async def states(self):
        return json.loads(await self.evaluate("memberStates()"))

    async def logs(self):
        return json.loads(await self.evaluate("memberLogs()"))

    async def stop(self):
        if self.process and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 10)
            except asyncio.TimeoutError:
                self.process.kill()
                await self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
