"""A client's session, written from docs/PROTOCOL.md: one stream at a time, over any number of paths.

The numbers in comments are sections of that document.
"""

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable
from typing import Any

import wire
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StreamDataReceived,
    StreamReset,
)
from cryptography.hazmat.primitives.serialization import Encoding
from stream import ReceivedStream
from wire import Chunk, Frame

STREAM_WINDOW = 512 * 1024
SESSION_WINDOW = 768 * 1024
MAX_ACK_DELAY = 0.025
RESUME_TIMEOUT = 30.0
LIMITS = {
    0x01: SESSION_WINDOW,
    0x02: STREAM_WINDOW,
    0x03: 10,
    0x04: 10,
    0x06: 4,
    0x07: int(RESUME_TIMEOUT * 1000),
    0x08: int(MAX_ACK_DELAY * 1000),
    # A reserved parameter (8), to see that the server passes over it.
    0x40: 7,
}
# 4.1 and 7.
UNKNOWN_SESSION, PATH_ID_USED, PATH_ABANDONED, SESSION_CLOSED = 0x0A, 0x0C, 0x0F, 0x10
# A path that does not answer a PING for so long is suspect (6.1), and given up after so long.
SUSPECT_AFTER = 0.6
GIVE_UP_AFTER = 2.5
OPEN_WITHIN = 5.0


class SessionEnded(Exception):
    pass


class Path(QuicConnectionProtocol):
    """One QUIC connection that carries part of the session."""

    def __init__(self, quic: QuicConnection, session: "Session", ident: int, address: "Address"):
        super().__init__(quic)
        self.session = session
        self.ident = ident
        self.address = address
        self.opened_at = time.monotonic()
        self.heard_at = self.opened_at
        self.accepted = False
        self.closed = False
        self.suspect = False
        self.control: int | None = None
        self.lanes: dict[int, wire.Lane] = {}
        self.early: list[StreamDataReceived] = []
        self.received = 0
        self.newest_at = 0.0
        self.reported = 0
        self.ping_sent_at: float | None = None
        self.next_ping = 0

    def quic_event_received(self, event: QuicEvent) -> None:
        self.heard_at = time.monotonic()
        try:
            self.on_event(event)
        except (wire.Malformed, wire.More) as error:
            self.session.finish(f"the server broke the protocol: {error!r}")

    def on_event(self, event: QuicEvent) -> None:
        match event:
            case HandshakeCompleted():
                self.greet()
            case StreamDataReceived():
                self.lane_data(event)
            case StreamReset():
                self.lanes.pop(event.stream_id, None)
                if event.stream_id == self.control:
                    self.session.lose(self, "the control lane was reset")
            case ConnectionTerminated():
                self.session.lose(self, f"closed with code {event.error_code}: {event.reason_phrase}")

    def greet(self) -> None:
        # 9: no join before the carrier has authenticated the server. aioquic has checked the signature.
        certificate = self._quic.tls._peer_certificate.public_bytes(Encoding.DER)
        if hashlib.sha256(certificate).digest() != self.address.pin:
            self.session.lose(self, "the certificate is not the pinned one")
            return
        # 2.2: the control lane is the first bidirectional lane. 8: an unknown frame may come before HELLO.
        self.control = self._quic.get_next_available_stream_id()
        unknown = wire.frame(0x5F, b"\xaa\xbb\xcc")
        hello = wire.hello(self.ident, LIMITS, self.session.credentials)
        self.write(self.control, wire.varint(wire.LANE_CONTROL) + unknown + hello)

    def lane_data(self, event: StreamDataReceived) -> None:
        # 2.2: what overtakes ACCEPT is left unread.
        if not self.accepted and event.stream_id != self.control:
            self.early.append(event)
            return
        lane = self.lanes.setdefault(event.stream_id, wire.Lane())
        for item in lane.push(event.data):
            if self.closed:
                return
            match item:
                case Frame():
                    self.session.on_frame(self, item.kind, item.body)
                case Chunk():
                    self.session.on_chunk(self, item)
        if event.end_stream:
            if event.stream_id == self.control:
                self.session.lose(self, "the control lane ended")
            elif not lane.is_between_items():
                raise wire.Malformed("a lane that ends inside a record")
            self.lanes.pop(event.stream_id, None)

    def read_early(self) -> None:
        early, self.early = self.early, []
        for event in early:
            self.lane_data(event)

    def write(self, lane: int, data: bytes, end: bool = False) -> None:
        self._quic.send_stream_data(lane, data, end)
        self.transmit()

    def say(self, frames: bytes) -> None:
        self.write(self.control, frames)

    def report(self) -> None:
        """6.1: what has arrived on this path, each `max_ack_delay`."""
        if self.reported < self.received:
            self.reported = self.received
            delay = int((time.monotonic() - self.newest_at) * 1e6)
            self.say(wire.frame(wire.PATH_REPORT, self.received, delay))

    def end(self, code: int) -> None:
        self.closed = True
        self.close(error_code=code)


class Address:
    def __init__(self, host: str, port: int, pin: bytes):
        self.host, self.port, self.pin = host, port, pin


class Session:
    def __init__(self, addresses: list[Address], log: Callable[[str], None]):
        self.addresses = addresses
        self.log = log
        self.credentials: wire.Credentials | None = None
        self.peer_limits: dict[int, int] = {}
        self.next_path = 0
        self.paths: dict[int, Path] = {}
        self.redial_at = {index: 0.0 for index in range(len(addresses))}
        self.backoff = {index: 0.1 for index in range(len(addresses))}
        self.dialling: set[int] = set()
        self.ended: str | None = None
        self.closing = False
        self.changed = asyncio.Event()
        self.suspended_at: float | None = None
        self.on_suspended: Callable[[], None] = lambda: None
        self.resumed = 0
        self.carried: dict[int, int] = {}
        # The one stream.
        self.incoming = ReceivedStream()
        self.outgoing = b""
        self.outgoing_acked = False
        self.ack_at: float | None = None
        self.unacked = 0
        self.granted_stream = STREAM_WINDOW
        self.granted_session = SESSION_WINDOW
        self.keeper = asyncio.ensure_future(self.keep_time())
        # asyncio holds tasks weakly.
        self.tasks: set[asyncio.Future[Any]] = set()

    # ---- paths ----

    async def dial(self, index: int) -> None:
        address = self.addresses[index]
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=["kwik/1"],
            verify_mode=ssl.CERT_NONE,
            server_name=address.host,
            idle_timeout=30.0,
            max_data=16 << 20,
            max_stream_data=8 << 20,
        )
        quic = QuicConnection(configuration=configuration)
        # 3.2 and 3.3: the first path is 0, each further one counts up.
        path = Path(quic, self, self.next_path, address)
        self.next_path += 1
        self.paths[path.ident] = path
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: path, local_addr=("127.0.0.1", 0))
        path.connect((address.host, address.port))

    def lose(self, path: Path, why: str) -> None:
        if self.paths.pop(path.ident, None) is None or self.closing:
            return
        self.log(f"path {path.ident} is gone: {why}")
        path.end(PATH_ABANDONED)
        index = self.addresses.index(path.address)
        self.redial_at[index] = time.monotonic() + self.backoff[index]
        self.backoff[index] = min(self.backoff[index] * 2, 2.0)
        if self.credentials is None:
            self.finish(f"the first path: {why}")
        elif not self.alive() and self.suspended_at is None:
            self.suspended_at = time.monotonic()
            self.log("suspended")
            self.on_suspended()
        self.restate()

    def alive(self) -> list[Path]:
        return [path for path in self.paths.values() if path.accepted and not path.closed]

    def best(self) -> Path | None:
        """Where control frames go: the path that answered last."""
        alive = self.alive()
        healthy = [path for path in alive if not path.suspect] or alive
        return max(healthy, key=lambda path: path.heard_at, default=None)

    def on_accept(self, path: Path, body: bytes) -> None:
        accept = wire.read_accept(body)
        if path.accepted or accept.version != wire.VERSION:
            raise wire.Malformed("a second ACCEPT, or of a version that was not offered")
        if self.credentials is None:
            if accept.credentials is None:
                raise wire.Malformed("no credentials")
            self.credentials = accept.credentials
            self.peer_limits = accept.limits
        elif accept.session != self.credentials.session:
            self.lose(path, "another session answers")
            return
        path.accepted = True
        self.backoff[self.addresses.index(path.address)] = 0.1
        self.log(f"path {path.ident} is there")
        if self.suspended_at is not None:
            self.suspended_at = None
            self.resumed += 1
            self.log("resumed")
            self.restate()
        path.read_early()
        self.changed.set()

    def on_reject(self, path: Path, body: bytes) -> None:
        reader = wire.Reader(body)
        code, reason = reader.varint(), reader.text().decode(errors="replace")
        if code == UNKNOWN_SESSION and not self.alive():
            self.finish(f"the server does not know the session: {reason}")
        self.lose(path, f"rejected with code {code}: {reason}")

    # ---- the stream ----

    async def request(self, data: bytes) -> None:
        """Opens the client's first bidirectional stream and sends all of it."""
        self.outgoing = data
        await self.until(lambda: self.credentials is not None)
        if self.peer_limits.get(0x03, 0) < 1 or self.peer_limits.get(0x02, 0) < len(data):
            raise SessionEnded("the server lets nobody ask")
        self.send_request()

    def send_request(self) -> None:
        """5.2: kept until it is acknowledged, sent again on another path when one fails."""
        path = self.best()
        if path is None or not self.outgoing or self.outgoing_acked:
            return
        lane = path._quic.get_next_available_stream_id()
        header = wire.varint(wire.LANE_STREAM) + wire.varint(0)
        path.write(lane, header + wire.record(0, self.outgoing, True), end=True)

    async def read(self) -> bytes:
        """The next bytes; none at the end."""
        await self.until(lambda: self.incoming.readable or self.incoming.is_complete())
        data = bytes(self.incoming.readable)
        self.incoming.readable.clear()
        self.grant()
        return data

    def grant(self) -> None:
        """5.5: limits rise as the application reads, half a window at a time."""
        path = self.best()
        consumed = self.incoming.contiguous - len(self.incoming.readable)
        if consumed + STREAM_WINDOW < self.granted_stream + STREAM_WINDOW // 2:
            return
        self.granted_stream = consumed + STREAM_WINDOW
        self.granted_session = consumed + SESSION_WINDOW
        if path is not None:
            path.say(self.limits())

    def limits(self) -> bytes:
        stream = wire.frame(wire.MAX_STREAM_DATA, 0, self.granted_stream)
        return stream + wire.frame(wire.MAX_DATA, self.granted_session)

    def on_chunk(self, path: Path, chunk: Chunk) -> None:
        now = time.monotonic()
        path.received += len(chunk.data)
        path.newest_at = now
        self.carried[path.ident] = path.received
        if chunk.stream != 0:
            raise wire.Malformed(f"a chunk of stream {chunk.stream}, which nobody opened")
        is_new = self.incoming.push(chunk.offset, chunk.data, chunk.fin)
        if self.incoming.highest > self.granted_stream:
            raise wire.Malformed("more bytes than the window")
        self.unacked += len(chunk.data)
        # 5.3: at once when complete, or when nothing was new; else within max_ack_delay. 6.1: each 64 KiB.
        if self.incoming.is_complete() or not is_new or self.unacked >= 65_536:
            self.acknowledge()
        elif self.ack_at is None:
            self.ack_at = now + MAX_ACK_DELAY * 0.6
        if path.received - path.reported >= 65_536:
            path.report()
        self.changed.set()

    def acknowledge(self) -> None:
        self.ack_at, self.unacked = None, 0
        path = self.best()
        if path is not None:
            path.say(self.incoming.ack(0))

    # ---- frames ----

    def on_frame(self, path: Path, kind: int, body: bytes) -> None:
        reader = wire.Reader(body)
        if not path.accepted and kind not in (wire.ACCEPT, wire.REJECT) and kind <= wire.DATAGRAM:
            raise wire.Malformed(f"frame {kind} before ACCEPT")
        match kind:
            case wire.ACCEPT:
                self.on_accept(path, body)
            case wire.REJECT:
                self.on_reject(path, body)
            case wire.PING:
                path.say(wire.frame(wire.PONG, reader.varint()))
            case wire.PONG:
                path.ping_sent_at = None
            case wire.ACK:
                stream, flags, contiguous = reader.varint(), reader.varint(), reader.varint()
                if stream == 0 and (flags & 1 or contiguous >= len(self.outgoing)):
                    self.outgoing_acked = True
            case wire.STREAM:
                stream, offset, flags = reader.varint(), reader.varint(), reader.varint()
                self.on_chunk(path, Chunk(stream, offset, reader.rest(), bool(flags & 1)))
            case wire.RESET_STREAM:
                _stream, code = reader.varint(), reader.varint()
                self.finish(f"the stream was reset with code {code}")
            case wire.PATH_CLOSE:
                ident, code = reader.varint(), reader.varint()
                closed = self.paths.get(ident)
                if closed is not None:
                    self.lose(closed, f"PATH_CLOSE with code {code}")
            case wire.CLOSE:
                flags, code, reason = reader.varint(), reader.varint(), reader.text()
                whose = "the application" if flags & 1 else "the transport"
                self.finish(f"{whose} closed with {code}: {reason.decode(errors='replace')}")
            case _:
                # What a client without a use for it may ignore (PATH_STATUS, advice, limits on what it does
                # not send, GOAWAY, datagrams), and frames of unknown types (4.1).
                pass

    def restate(self) -> None:
        """6.3: what may not have arrived is said again on another path, or on the first that joins."""
        path = self.best()
        if path is None:
            return
        path.say(self.limits() + self.incoming.ack(0))
        self.send_request()

    # ---- time ----

    async def keep_time(self) -> None:
        while self.ended is None and not self.closing:
            now = time.monotonic()
            self.dial_missing(now)
            for path in list(self.paths.values()):
                self.check(path, now)
            if self.ack_at is not None and now >= self.ack_at:
                self.acknowledge()
            for path in self.alive():
                if now - path.newest_at >= MAX_ACK_DELAY * 0.3:
                    path.report()
            if self.suspended_at is not None and now - self.suspended_at > RESUME_TIMEOUT:
                self.finish("no path came back in time")
            await asyncio.sleep(MAX_ACK_DELAY / 5)

    def dial_missing(self, now: float) -> None:
        if self.closing or self.credentials is None and self.next_path > 0:
            return  # 3.3: before the session has a name there is nothing to join.
        taken = {path.address for path in self.paths.values()}
        for index, address in enumerate(self.addresses):
            if address not in taken and now >= self.redial_at[index]:
                # Taken at once: the task has not run yet.
                self.redial_at[index] = now + OPEN_WITHIN
                task = asyncio.ensure_future(self.dial(index))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
                if self.credentials is None:
                    return

    def check(self, path: Path, now: float) -> None:
        silent = now - path.heard_at
        if not path.accepted:
            if now - path.opened_at > OPEN_WITHIN:
                self.lose(path, "it took too long to open")
            return
        if path.ping_sent_at is None and silent > SUSPECT_AFTER / 2:
            path.ping_sent_at = now
            path.next_ping += 1
            path.say(wire.frame(wire.PING, path.next_ping))
        is_suspect = silent > SUSPECT_AFTER
        if is_suspect and not path.suspect:
            path.suspect = True
            self.log(f"path {path.ident} is suspect")
            self.restate()
        path.suspect = is_suspect
        if not is_suspect:
            path.ping_sent_at = path.ping_sent_at if silent > SUSPECT_AFTER / 2 else None
        if silent > GIVE_UP_AFTER:
            # 6.2: the peer is told on another path.
            other = next((other for other in self.alive() if other is not path and not other.suspect), None)
            if other is not None:
                other.say(wire.frame(wire.PATH_CLOSE, path.ident, PATH_ABANDONED, b"\x00"))
            self.lose(path, "it does not answer")

    async def until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            if self.ended is not None:
                raise SessionEnded(self.ended)
            self.changed.clear()
            await self.changed.wait()

    def finish(self, why: str) -> None:
        if self.ended is None:
            self.ended = why
            self.changed.set()

    async def connected(self, paths: int) -> None:
        await self.until(lambda: len(self.alive()) >= paths)

    def stop(self) -> None:
        self.closing = True
        self.keeper.cancel()
        for path in list(self.paths.values()):
            path.end(SESSION_CLOSED)

    async def close(self, code: int, reason: bytes) -> None:
        """3.5: CLOSE on every path; the server closes the carriers."""
        self.closing = True
        frame = wire.frame(wire.CLOSE, 1, code, wire.varint(len(reason)) + reason)
        paths = self.alive()
        for path in paths:
            path.say(frame)
        waiting = [asyncio.ensure_future(path.wait_closed()) for path in paths]
        if waiting:
            await asyncio.wait(waiting, timeout=1.0)
        self.finish("closed by the client")
        self.stop()
