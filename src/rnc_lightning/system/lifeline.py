"""How the nodes of a run notice that another node has failed: its connection closes without a farewell message.

The processes themselves may hang for a long time when those of another machine are gone. So the launcher process of
each node keeps a connection to the launcher of node 0, and when one node fails the others end within seconds.
"""

import socket
import time
from contextlib import suppress

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.nodes import Node

_HELLO, _FAREWELL = b"rnc node", b"."
_PATIENCE = 600.0  # seconds until all nodes must have connected
_RETRY = 1.0  # seconds


class NodeFailedError(UserError):
    """Another node ended before its part was done, or never connected."""


class Lifeline:
    """This node's connections to the other nodes; does nothing for a single node.

    Args:
        node: This machine.
        patience: Seconds to wait for nodes that have not connected yet.
    """

    def __init__(self, node: Node, patience: float = _PATIENCE) -> None:
        self._node = node
        self._deadline = time.monotonic() + patience
        self._patience = patience
        self._listener: socket.socket | None = None
        self._others: list[socket.socket] = []
        self._connected = 0  # connections made so far, including lost ones
        self._next_try = 0.0
        if node.count > 1 and node.rank == 0:
            self._listener = _listen(node)

    def check(self) -> None:
        """Accept nodes that connect, and check that all connected nodes are still there.

        Raises:
            NodeFailedError: If a node is gone without a farewell, or has not connected in time.
        """
        expected = 0 if self._node.count == 1 else 1 if self._node.rank else self._node.count - 1
        if self._connected < expected:
            self._accept() if self._listener else self._connect()
            if self._connected < expected and time.monotonic() > self._deadline:
                raise NodeFailedError(self._describe_missing())
        for other in list(self._others):
            with suppress(BlockingIOError):
                if _receive(other) != _FAREWELL:
                    who = "node 0" if self._node.rank else "another node"
                    raise NodeFailedError(f"{who} of {self._node.count} ended before the run did: see its output")
                self._others.remove(other)
                other.close()

    def close(self, farewell: bool) -> None:
        """Close all connections.

        Args:
            farewell: Whether this node has done its part.
        """
        for other in self._others:
            with suppress(OSError):
                if farewell:
                    other.sendall(_FAREWELL)
                other.close()
        if self._listener:
            self._listener.close()

    def _accept(self) -> None:
        assert self._listener is not None
        with suppress(BlockingIOError, TimeoutError, ConnectionError):
            other = self._listener.accept()[0]
            other.settimeout(_RETRY)
            if other.recv(len(_HELLO)) == _HELLO:  # and not a port scanner
                self._add(other)

    def _connect(self) -> None:
        if time.monotonic() < self._next_try:
            return
        self._next_try = time.monotonic() + _RETRY
        with suppress(OSError):
            other = socket.create_connection((self._node.address, _port(self._node)), timeout=_RETRY)
            other.sendall(_HELLO)
            self._add(other)

    def _add(self, other: socket.socket) -> None:
        other.setblocking(False)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine that vanishes is noticed too
        self._others.append(other)
        self._connected += 1

    def _describe_missing(self) -> str:
        waited = f"within {self._patience:.0f} s"
        if self._node.rank:
            return f"node 0 did not answer at {self._node.address}:{_port(self._node)} {waited}: has it been started?"
        return (
            f"only {self._connected + 1} of {self._node.count} nodes connected {waited}: "
            "start the same command on all of them"
        )


def _listen(node: Node) -> socket.socket:
    try:
        listener = socket.create_server(("", _port(node)))
    except OSError as error:
        raise UserError(f"port {_port(node)} is in use ({error}): set another MASTER_PORT on all nodes") from error
    listener.setblocking(False)
    return listener


def _port(node: Node) -> int:
    assert node.port is not None
    return node.port + 1


def _receive(other: socket.socket) -> bytes:
    try:
        return other.recv(1)
    except ConnectionError:
        return b""
