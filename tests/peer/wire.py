"""The bytes of docs/PROTOCOL.md: varints, frames, records, lanes."""

import hashlib
import hmac
from dataclasses import dataclass

# Section 4.2.
HELLO, ACCEPT, REJECT, PATH_STATUS, PING, PONG, ACK, PATH_REPORT = range(0x01, 0x09)
MAX_DATA, MAX_STREAM_DATA, MAX_STREAMS, RESET_STREAM, STOP_SENDING = range(0x09, 0x0E)
ADD_PATH, REMOVE_PATH, PATH_CLOSE, GOAWAY, CLOSE, STREAM, DATAGRAM = range(0x0E, 0x15)

LANE_STREAM, LANE_CONTROL = 0x00, 0x01
MAX_FRAME_BYTES = 65_536
VERSION = 1


class Malformed(Exception):
    """The peer wrote what section 2 or 4 forbids."""


class More(Exception):
    """What has arrived ends before what is being read does."""


def varint(value: int) -> bytes:
    for prefix, length in enumerate((1, 2, 4, 8)):
        if value < 1 << (8 * length - 2):
            return (value | prefix << (8 * length - 2)).to_bytes(length, "big")
    raise ValueError(f"{value} is no varint")


class Reader:
    """Reads from bytes that may not all be there yet."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        if self.at + length > len(self.data):
            raise More
        self.at += length
        return self.data[self.at - length : self.at]

    def varint(self) -> int:
        first = self.take(1)[0]
        rest = self.take((1 << (first >> 6)) - 1)
        return int.from_bytes(bytes([first & 0x3F]) + rest, "big")

    def text(self) -> bytes:
        return self.take(self.varint())

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def done(self) -> bool:
        return self.at == len(self.data)


def frame(kind: int, *fields: int | bytes) -> bytes:
    body = b"".join(varint(field) if isinstance(field, int) else field for field in fields)
    return varint(kind) + varint(len(body)) + body


# ---- HELLO and ACCEPT ----


@dataclass
class Credentials:
    session: bytes
    resume_key: bytes
    nonce: bytes

    def proof(self, path: int) -> bytes:
        message = b"kwik/1 join" + self.session + path.to_bytes(8, "big") + self.nonce
        return hmac.new(self.resume_key, message, hashlib.sha256).digest()


def parameters(values: dict[int, int]) -> bytes:
    encoded = ((varint(key), varint(value)) for key, value in values.items())
    return b"".join(key + varint(len(value)) + value for key, value in encoded)


def hello(path: int, limits: dict[int, int], join: Credentials | None) -> bytes:
    # The second version is a reserved one (section 8), to see that the server passes over it.
    versions = varint(2) + varint(VERSION) + varint(0x21)
    intent = varint(0) if join is None else varint(1) + join.session + join.proof(path)
    return frame(HELLO, versions, path, intent, parameters(limits))


@dataclass
class Accept:
    version: int
    session: bytes
    credentials: Credentials | None
    limits: dict[int, int]


def read_accept(body: bytes) -> Accept:
    reader = Reader(body)
    version, session, flags = reader.varint(), reader.take(16), reader.varint()
    credentials = Credentials(session, reader.take(32), reader.take(16)) if flags == 1 else None
    limits: dict[int, int] = {}
    while not reader.done():
        key, value = reader.varint(), Reader(reader.text())
        if key in limits:
            raise Malformed(f"parameter {key} is there twice")
        # Of unknown parameters only the length is known.
        limits[key] = value.varint() if 1 <= key <= 8 else 0
    return Accept(version, session, credentials, limits)


# ---- lanes ----


@dataclass
class Frame:
    kind: int
    body: bytes


@dataclass
class Chunk:
    stream: int
    offset: int
    data: bytes
    fin: bool


class Lane:
    """The receiving half of one lane (section 2.2): give it bytes, it gives frames and chunks."""

    def __init__(self) -> None:
        self.buffer = b""
        self.kind: int | None = None
        self.stream = 0
        self.offset = 0
        self.missing = 0
        self.fin = False

    def push(self, data: bytes) -> list[Frame | Chunk]:
        reader = Reader(self.buffer + data)
        items: list[Frame | Chunk] = []
        mark = 0
        try:
            while True:
                mark = reader.at
                if self.kind is None:
                    self.header(reader)
                elif self.kind == LANE_CONTROL:
                    items.append(self.frame(reader))
                elif self.kind == LANE_STREAM:
                    self.record(reader, items)
                else:
                    mark = len(reader.data)
                    break
                if reader.done():
                    mark = reader.at
                    break
        except More:
            pass
        self.buffer = reader.data[mark:]
        return items

    def is_between_items(self) -> bool:
        return not self.buffer and self.missing == 0

    def header(self, reader: Reader) -> None:
        kind = reader.varint()
        self.stream = reader.varint() if kind == LANE_STREAM else 0
        self.kind = kind

    def frame(self, reader: Reader) -> Frame:
        kind, length = reader.varint(), reader.varint()
        if length > MAX_FRAME_BYTES:
            raise Malformed(f"a frame of {length} bytes")
        return Frame(kind, reader.take(length))

    def record(self, reader: Reader, items: list[Frame | Chunk]) -> None:
        if self.missing == 0:
            if self.fin:
                raise Malformed("a record behind fin")
            offset, tag = reader.varint(), reader.varint()
            self.offset, self.missing, self.fin = offset, tag >> 1, bool(tag & 1)
            if self.missing == 0:
                items.append(Chunk(self.stream, self.offset, b"", self.fin))
                return
        # The bytes of a record are used as they arrive.
        data = reader.take(min(self.missing, len(reader.data) - reader.at))
        self.missing -= len(data)
        if data:
            items.append(Chunk(self.stream, self.offset, data, self.fin and self.missing == 0))
            self.offset += len(data)


def record(offset: int, data: bytes, fin: bool) -> bytes:
    return varint(offset) + varint(len(data) << 1 | fin) + data
