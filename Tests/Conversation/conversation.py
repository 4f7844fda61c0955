#!/usr/bin/env python3
"""A conversation through the proxy of a running cluster, between clients that others wrote: Python's `websockets` and
`aiohttp`, and Chromium. In the middle a node is killed with SIGKILL and started again. At the end every client must have
seen the same sequence as `parley.messages` holds, and that must be everything that was said, once.

    conversation.py PARLEY --folder FOLDER --port PORT [--messages N]

PARLEY is the executable, FOLDER the cluster's; exit code 0 means that all of that was so.
"""

import argparse
import asyncio
import csv
import io
import pathlib
import random
import sys
import time

from browser import Browser
from member import Member, Room
from transports import Aiohttp, Websockets

ROOMS, WEBSOCKETS, AIOHTTP, TABS = 6, 16, 12, 6
PACE = 0.02  # seconds between two messages of one client in one room, at most
TEXTS = ["/usr/share/common-licenses/GPL-2", "/usr/share/common-licenses/GPL-3", "/usr/share/common-licenses/LGPL-2.1",
         "/usr/share/zoneinfo/iso3166.tab", "/usr/share/zoneinfo/tzdata.zi"]  # fmt: skip
OWN = pathlib.Path(__file__).resolve().parents[2]


def real_text(count):
    """Lines of real text, in several languages, with quotes, tabs and signs of all kinds; each is made unique."""
    lines = []
    for path in [*map(pathlib.Path, TEXTS), *sorted(OWN.glob("docs/*")), OWN / "README.md", OWN / "LICENSE"]:
        if path.is_file():
            lines += [line[:2000] for line in path.read_text(errors="replace").splitlines() if line.strip()]
    lines += ["Grüße aus Köln — „schön“", "Привет, комната", "部屋の皆さん、こんにちは", "שלום לכולם", "👩‍👩‍👧‍👦 ok \u2028 end"]
    random.Random(1).shuffle(lines)
    assert len(lines) > 1000, "this machine has too little text"
    return [f"{number}: {lines[number % len(lines)]}" for number in range(count)]


async def run(*command):
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {errors.decode()}")
    return output.decode()


async def converse(arguments):
    def cluster(command, *rest):
        return run(arguments.parley, "cluster", command, "--folder", arguments.folder, *rest)

    url = f"ws://127.0.0.1:{arguments.port}/ws"
    mark = format(random.getrandbits(32), "x")
    room_ids = [f"talk-{mark}-{number}" for number in range(ROOMS)]
    for room_id in room_ids:
        socket = await Websockets.open(url)
        await socket.receive()
        await socket.send('{"method":"create","roomId":"%s"}' % room_id)
        assert '"created":true' in await socket.receive()
        await socket.close()

    # Client k is in rooms k and k + 1, and says what is its share there.
    names = [f"client-{number}" for number in range(WEBSOCKETS + AIOHTTP + TABS)]
    places = [(number, (number + step) % ROOMS) for number in range(len(names)) for step in (0, 1)]
    said = {room_id: [] for room_id in room_ids}
    shares = {place: [] for place in places}
    for number, line in enumerate(real_text(arguments.messages)):
        place = places[number % len(places)]
        shares[place].append(line)
        said[room_ids[place[1]]].append(line)

    members, browser = [], Browser()
    started = time.monotonic()
    await browser.start(f"http://127.0.0.1:{arguments.port}/health/live")
    try:
        for number, name in enumerate(names):
            rooms = {
                room_ids[room]: (lines, len(said[room_ids[room]]))
                for (client, room), lines in shares.items()
                if client == number
            }
            if number < WEBSOCKETS + AIOHTTP:
                transport = Websockets.open if number < WEBSOCKETS else Aiohttp.open
                members.append(Member(name, transport, url, {i: Room(*parts) for i, parts in rooms.items()}, PACE))
            else:
                parts = {i: {"lines": lines, "total": total} for i, (lines, total) in rooms.items()}
                await browser.add(name, url, parts, PACE)
        tasks = [asyncio.ensure_future(member.run()) for member in members]
        failed = asyncio.ensure_future(asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION))

        async def reach(share):
            """Waits until so much of everything has been seen, by the slowest client of these libraries."""
            while True:
                seen = [sum(room.last for room in member.rooms.values()) for member in members]
                whole = [sum(room.total for room in member.rooms.values()) for member in members]
                if all(a >= share * b for a, b in zip(seen, whole)):
                    return
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)

        await asyncio.wait_for(reach(0.3), 120)
        print(await cluster("kill", "2"), end="")
        await asyncio.wait_for(reach(0.6), 120)
        print(await cluster("restart", "2"), end="")
        await asyncio.wait_for(asyncio.gather(*tasks), 240)
        failed.cancel()
        deadline = time.monotonic() + 120
        while True:
            states = await browser.states()
            if all(state["done"] for state in states):
                break
            assert not any(state["fault"] for state in states) and time.monotonic() < deadline, states
            await asyncio.sleep(0.1)
        seconds = time.monotonic() - started
        tabs = await browser.logs()
    finally:
        await browser.stop()

    rows = csv.reader(
        io.StringIO(
            await cluster(
                "psql", "-X", "-q", "--csv", "-t", "-c",
                f"SELECT room_id, seq, client_id, message #>> '{{}}' FROM parley.messages "
                f"WHERE room_id LIKE 'talk-{mark}-%' ORDER BY room_id, seq",
            )  # fmt: skip
        )
    )
    truth = {room_id: [] for room_id in room_ids}
    for room_id, seq, client_id, message in rows:
        truth[room_id].append((client_id, message))
        assert len(truth[room_id]) == int(seq), f"{room_id}: a gap before {seq}"
    for room_id, lines in said.items():
        stored = sorted(message for _, message in truth[room_id])
        assert stored == sorted(lines), f"{room_id}: not everything once"
    views = [(m.name, room_id, [r.log[seq] for seq in sorted(r.log)]) for m in members for room_id, r in m.rooms.items()]
    views += [(t["name"], i, [tuple(entry) for entry in log]) for t in tabs for i, log in t["logs"].items()]
    for name, room_id, log in views:
        assert log == truth[room_id], f"{name} saw something else in {room_id} than psql"
    reconnects = sum(m.reconnects for m in members) + sum(state["reconnects"] for state in states)
    assert reconnects > 0, "nobody was on the node that was killed"
    print(
        f"{arguments.messages} messages in {ROOMS} rooms between {len(names)} clients (websockets {WEBSOCKETS}, aiohttp "
        f"{AIOHTTP}, Chromium {TABS}) in {seconds:.0f} s, {reconnects} reconnects: all {len(views)} logs equal psql's"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parley")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--messages", type=int, default=6000)
    arguments = parser.parse_args()
    try:
        asyncio.run(converse(arguments))
    except (AssertionError, RuntimeError, asyncio.TimeoutError, Member.Lost) as error:
        sys.exit(f"the conversation failed: {error!r}")


main()
