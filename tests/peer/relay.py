"""A UDP relay to one server, which can be cut: then it takes packets and passes nothing on, in either direction."""

import asyncio


class Relay:
    """Where clients send to. The server sees each client under a port of its own."""

    def __init__(self, server: tuple[str, int]):
        self.server = server
        self.is_cut = False
        self.to_server: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self.front: asyncio.DatagramTransport | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        self.front, _ = await loop.create_datagram_endpoint(lambda: Front(self), local_addr=("127.0.0.1", 0))
        host, port = self.front.get_extra_info("sockname")
        return host, port

    def from_client(self, data: bytes, client: tuple[str, int]) -> None:
        if self.is_cut:
            return
        if client in self.to_server:
            self.to_server[client].sendto(data)
        else:
            task = asyncio.get_running_loop().create_task(self.open(client, data))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def open(self, client: tuple[str, int], data: bytes) -> None:
        loop = asyncio.get_running_loop()
        back, _ = await loop.create_datagram_endpoint(lambda: Back(self, client), remote_addr=self.server)
        self.to_server[client] = back
        back.sendto(data)

    def from_server(self, data: bytes, client: tuple[str, int]) -> None:
        if not self.is_cut and self.front is not None:
            self.front.sendto(data, client)

    def stop(self) -> None:
        for transport in [self.front, *self.to_server.values()]:
            if transport is not None:
                transport.close()


class Front(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay):
        self.relay = relay

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.relay.from_client(data, addr)


class Back(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, client: tuple[str, int]):
        self.relay, self.client = relay, client

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.relay.from_server(data, self.client)
