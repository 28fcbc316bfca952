"""The receiving half of a stream (docs/PROTOCOL.md sections 5.1 and 5.3): bytes in any order, read in order."""

import wire


class ReceivedStream:
    def __init__(self) -> None:
        self.contiguous = 0
        self.final: int | None = None
        self.highest = 0
        self.pending: dict[int, bytes] = {}
        self.readable = bytearray()

    def push(self, offset: int, data: bytes, fin: bool) -> bool:
        """Takes a chunk; says whether it held anything new."""
        end = offset + len(data)
        if fin and self.final not in (None, end) or self.final is not None and end > self.final:
            raise wire.Malformed("the stream ends in two places")
        news = fin and self.final is None
        if fin:
            self.final = end
        self.highest = max(self.highest, end)
        if end <= self.contiguous:
            return news
        if len(self.pending.get(offset, b"")) < len(data):
            self.pending[offset] = data
            news = True
        self.collect()
        return news

    def collect(self) -> None:
        for offset in sorted(self.pending):
            if offset > self.contiguous:
                break
            data = self.pending.pop(offset)[self.contiguous - offset :]
            self.readable += data
            self.contiguous += len(data)

    def is_complete(self) -> bool:
        return self.final == self.contiguous

    def ack(self, stream: int) -> bytes:
        if self.is_complete():
            return wire.frame(wire.ACK, stream, 1, self.contiguous, 0)
        ranges: list[tuple[int, int]] = []
        for offset in sorted(self.pending):
            end = offset + len(self.pending[offset])
            if ranges and offset <= ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
            else:
                ranges.append((offset, end))
        fields = []
        before = self.contiguous
        for start, end in ranges[:256]:
            fields += [start - before, end - start]
            before = end
        return wire.frame(wire.ACK, stream, 0, self.contiguous, len(fields) // 2, *fields)
