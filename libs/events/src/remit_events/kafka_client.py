"""An aiokafka client: its settings from the URL, its errors as BusError, started and put down within bounds."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from remit_events.bus import BusError

Client: TypeAlias = AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient

STOP_SECONDS = 10

# It logs an error for each of the ten retries a second while a broker is away; what matters comes as BusError.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def settings_of(url: str) -> dict[str, Any]:
    """aiokafka's client settings of `kafka://[user:password@]host:port[,host:port][?security_protocol=SASL_SSL]`.

    Further query fields: sasl_mechanism (SCRAM-SHA-512 unless given). Raises ValueError for others.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    credentials, _, hosts = parts.netloc.rpartition("@")
    settings: dict[str, Any] = {"bootstrap_servers": hosts.split(",") if hosts else ["127.0.0.1:9092"]}
    settings["security_protocol"] = query.pop("security_protocol", "SASL_SSL" if credentials else "PLAINTEXT")
    if settings["security_protocol"].endswith("SSL"):
        settings["ssl_context"] = ssl.create_default_context()
    if credentials:
        user, _, password = credentials.partition(":")
        settings["sasl_mechanism"] = query.pop("sasl_mechanism", "SCRAM-SHA-512")
        settings["sasl_plain_username"], settings["sasl_plain_password"] = unquote(user), unquote(password)
    if query:
        raise ValueError(f"EVENTS_URL: {min(query)!r} is no setting of the Kafka transport")
    return settings


@contextmanager
def bus_errors(doing: str) -> Iterator[None]:
    """Whatever aiokafka, the network or a time limit says becomes a BusError."""
    try:
        yield
    except KafkaConnectionError as error:  # whose text is a list of Python objects
        raise BusError(f"Kafka, {doing}: no broker could be reached") from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise BusError(f"Kafka, {doing}: {type(error).__name__}: {error}") from error


async def start(client: Client, doing: str, seconds: float) -> None:
    """Raises BusError when it does not get there in time; then nothing of it is left."""
    try:
        with bus_errors(doing):
            await asyncio.wait_for(client.start(), seconds)
    except BaseException:
        await put_down(client)
        raise


async def put_down(client: Client) -> None:
    """Stops a client within bounds, whatever it says.

    While the broker is away aiokafka's own stop hangs, or ends half way with the CancelledError of a task of its own,
    and leaves tasks that try for ever on connections that nobody closes: those are ended here.
    """
    if isinstance(client, AIOKafkaProducer):
        client._closed = True  # its stop waits for batches to be taken, but whoever sent them waits no more
    else:
        stop = client.close if isinstance(client, AIOKafkaAdminClient) else client.stop
        await _bounded(asyncio.ensure_future(stop()))
    if running := set(_running(client)):
        await _bounded(*running, seconds=0)
    await _bounded(asyncio.ensure_future(_network(client).close()), seconds=1)


def _network(client: Client) -> Any:
    return client.client if isinstance(client, AIOKafkaProducer) else client._client


def _running(client: Client) -> Iterator[asyncio.Task[Any]]:
    """The tasks of the client and of its parts: aiokafka keeps each in an attribute, those of one kind in a set."""
    parts = (getattr(client, name, None) for name in ("_sender", "_coordinator", "_fetcher"))
    for part in (client, _network(client), *parts):
        for value in vars(part).values() if part is not None else ():
            for task in value if isinstance(value, set) else (value,):
                if isinstance(task, asyncio.Task) and not task.done():
                    yield task


async def _bounded(*tasks: asyncio.Future[Any], seconds: float = STOP_SECONDS) -> None:
    """Waits so long, then cancels and gives them a moment; what they raise is of no interest any more."""
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=1)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
