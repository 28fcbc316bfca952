"""Fetches a file from `kwik serve` with a client that was written from docs/PROTOCOL.md: run.py PROGRAM.

What is asked for, and what comes back, is the file protocol at the head of cli/src/protocol.rs.
"""

import asyncio
import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from relay import Relay
from session import Address, Session

FILE_BYTES = 12 << 20
PATIENCE = 90.0


class Failed(Exception):
    """A situation did not go as it must."""


def log(text: str) -> None:
    print(f"    {text}", flush=True)


class Fetch:
    """One file, by way of relays in front of the server."""

    def __init__(self, session: Session, relays: list[Relay]):
        self.session = session
        self.relays = relays
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.buffer = b""
        self.was_cut = False

    async def line(self) -> dict:
        while b"\n" not in self.buffer:
            data = await self.session.read()
            if not data:
                raise Failed("the stream ends too early")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    async def run(self, name: str, progress: Callable[["Fetch"], None]) -> None:
        await self.session.request(json.dumps({"kwik_files": 1, "get": {"name": name}}).encode() + b"\n")
        size = (await self.line())["sending"]["size"]
        while self.bytes < size:
            data = self.buffer[: size - self.bytes]
            self.buffer = self.buffer[len(data) :]
            self.digest.update(data)
            self.bytes += len(data)
            progress(self)
            if self.bytes < size:
                self.buffer += await self.session.read()
        sent = (await self.line())["sent"]["sha256"]
        if sent != self.digest.hexdigest():
            raise Failed(f"{sent} was sent, {self.digest.hexdigest()} arrived")


# ---- situations ----


def one_of_two_paths_is_cut(fetch: Fetch) -> None:
    if fetch.bytes > FILE_BYTES // 4 and not fetch.was_cut:
        log(f"the first path is cut after {fetch.bytes >> 10} KiB, for good")
        fetch.was_cut = fetch.relays[0].is_cut = True


def both_paths_are_cut_and_come_back(fetch: Fetch) -> None:
    def mend() -> None:
        log("both are there again")
        for relay in fetch.relays:
            relay.is_cut = False

    if fetch.bytes > FILE_BYTES // 2 and not fetch.was_cut:
        log(f"both paths are cut after {fetch.bytes >> 10} KiB, until the session has none")
        fetch.was_cut = True
        for relay in fetch.relays:
            relay.is_cut = True
        fetch.session.on_suspended = mend


def nothing_happens(fetch: Fetch) -> None:
    pass


async def situation(
    name: str, progress: Callable[[Fetch], None], url: str, expected: str, resumptions: int
) -> None:
    print(f"  {name.replace('_', ' ')}", flush=True)
    parts = urlsplit(url)
    pin = base64.urlsafe_b64decode(parse_qs(parts.query)["pin"][0] + "=")
    relays = [Relay((parts.hostname, parts.port)) for _ in range(2)]
    addresses = [Address(*await relay.start(), pin) for relay in relays]
    session = Session(addresses, log)
    fetch = Fetch(session, relays)
    try:
        await session.connected(paths=2)
        await fetch.run("file.bin", progress)
        await session.close(0, b"thanks")
    finally:
        session.stop()
        for relay in relays:
            relay.stop()
    carried = {path: f"{count >> 10} KiB" for path, count in sorted(session.carried.items())}
    log(f"{fetch.bytes} bytes, SHA-256 {fetch.digest.hexdigest()[:16]}..., by path: {carried}")
    if fetch.digest.hexdigest() != expected:
        raise Failed("what arrived is not the file")
    if len(session.carried) < 2:
        raise Failed("one path carried all of it")
    if session.resumed != resumptions:
        raise Failed(f"{session.resumed} resumptions, {resumptions} expected")


async def all_situations(url: str, expected: str) -> None:
    for progress, resumptions in [
        (nothing_happens, 0),
        (one_of_two_paths_is_cut, 0),
        (both_paths_are_cut_and_come_back, 1),
    ]:
        run = situation(progress.__name__, progress, url, expected, resumptions)
        await asyncio.wait_for(run, PATIENCE)


def wait_for(ready: Path, server: subprocess.Popen) -> str:
    """The first address, which the server writes into the file all at once when clients can come."""
    while not ready.exists():
        try:
            code = server.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise Failed(f"the server ended with code {code}")
    return ready.read_text().splitlines()[0].removeprefix("listening ")


def main(program: str) -> int:
    with tempfile.TemporaryDirectory() as directory:
        served = Path(directory, "served")
        served.mkdir()
        data = random.Random(8).randbytes(FILE_BYTES)
        Path(served, "file.bin").write_bytes(data)
        ready = Path(directory, "ready")
        command = [program, "serve", str(served), "--listen", "127.0.0.1:0", "--ready-file", str(ready)]
        environment = {**os.environ, "XDG_DATA_HOME": directory, "HOME": directory}
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        try:
            asyncio.run(all_situations(wait_for(ready, server), hashlib.sha256(data).hexdigest()))
        except Exception as error:
            print(f"FAILED: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
        finally:
            server.terminate()
            server.wait()
    print("an independent client fetched the file in all situations")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
