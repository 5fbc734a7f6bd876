"""The four ports, taken before anything is started that would have to be stopped again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from remit_local.errors import RefusedError
from remit_local.home import SERVICES, Addresses, variable
from remit_service import serving

Bound = dict[str, socket.socket]


@contextmanager
def claimed_ports(addresses: Addresses) -> Iterator[Bound]:
    """The four listening sockets; raises RefusedError naming the port or host that cannot be had and the way out."""
    with ExitStack() as opened:
        bound = {name: opened.enter_context(_listening(addresses, name)) for name in SERVICES}
        yield bound


def _listening(addresses: Addresses, name: str) -> socket.socket:
    port = addresses.ports[name]
    try:
        return serving.listen(addresses.host, port)
    except serving.NoPortError as error:
        raise RefusedError(_not_listening(addresses.host, port, name, error)) from None


def _not_listening(host: str, port: int, name: str, error: serving.NoPortError) -> str:
    if error.no_host:
        return f"nothing can listen on {host} ({error.why}): give an address of this machine with --host or HOST"
    what, stop = ("is in use", "stop what uses it, or ") if error.in_use else (f"cannot be used ({error.why})", "")
    return (
        f"port {port} on {host} {what} ({name} listens there): {stop}choose another with --port or REMIT_PORT "
        f"(the first of four), or {variable(name)}_PORT"
    )
