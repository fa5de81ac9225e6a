"""Listens for DIMSE peers: no peer's handshake holds the others up, and what each sends is under limits."""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from socketserver import TCPServer
from typing import Any, cast

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from app.ingest.connections import Connection, Connections
from app.ingest.messages import Messages
from app.ingest.upper_layer import GuardedSocket
from app.settings import DimseSettings


class Listener(ThreadedAssociationServer):  # type: ignore[misc]
    """A server of associations whose sockets and messages are guarded."""

    daemon_threads = True
    # A flood of connections waits in the system, where it costs next to nothing.
    request_queue_size = 64

    def __init__(
        self,
        entity: Any,
        address: tuple[str, int],
        settings: DimseSettings,
        tls: ssl.SSLContext | None,
        handlers: Sequence[tuple[Any, Callable[[Any], Any]]],
        connections: Connections,
        new_file: Callable[[], Path],
        max_bytes: int,
        handshake_failed: Callable[[Connection, str], None],
    ) -> None:
        """Bind and listen. Raises OSError."""
        super().__init__(
            entity, address, entity.ae_title, [], tls, evt_handlers=list(handlers), request_handler=_Handler
        )
        self.supported = entity.supported_contexts
        self.settings = settings
        self.connections = connections
        self.new_file = new_file
        self.max_bytes = max_bytes
        self.handshake_failed = handshake_failed

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self.socket is not None
        return int(self.socket.getsockname()[1])

    def get_request(self) -> tuple[Any, Any]:
        """The next connection; its TLS handshake is part of its own first read."""
        assert self.socket is not None
        client, address = self.socket.accept()
        client.setblocking(True)
        if self.ssl_context is not None:
            client = self.ssl_context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return client, address

    def shutdown(self) -> None:
        """Stop listening."""
        # pynetdicom's own also strikes it off a list of its entity, on which it is not.
        TCPServer.shutdown(self)
        self.server_close()


class _Handler(RequestHandler):  # type: ignore[misc]
    def _create_association(self) -> Any:
        server = cast(Listener, self.server)
        association = super()._create_association()
        # Not copied for each connection: the negotiation reads them only.
        association.acceptor.supported_contexts = server.supported
        connection = Connection(server.settings, association, str(self.client_address[0]))
        # The indication (Evt5) of the socket that is replaced.
        association.dul.event_queue.get_nowait()
        association.dul.socket = GuardedSocket(
            association, self.request, connection, server.settings.max_pdu, server.handshake_failed
        )
        association.dimse = Messages(association, connection, server.new_file, server.max_bytes)
        server.connections.add(connection)
        return association
