"""redflag from Python: a channel that sends the API key, sets a deadline, and tries again where that is safe.

    with Client() as redflag:
        redflag.alerts.FlagEntity(pb.FlagEntityRequest(entity_id="bln_1", description="Over its limit"))

`AioClient` is the same for asyncio. Where the server is and which key to use is read from `REDFLAG_SERVER` and
`REDFLAG_API_KEY`, unless it is given. Every call may take its own `timeout` (seconds) and `metadata`.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from redflag.v1.alert_service_pb2_grpc import AlertServiceStub
from redflag.v1.alert_status_service_pb2_grpc import AlertStatusServiceStub

if TYPE_CHECKING:  # the generated code has these as types only
    from redflag.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from redflag.v1.alert_status_service_pb2_grpc import AlertStatusServiceAsyncStub

Detail = TypeVar("Detail", bound=Message)

# gRPC's own retries: the message is sent again as it was, under the request_id that it got before the first try.
# UNAVAILABLE may come after a change was made, so without a request_id this would not be safe.
CONFIG = {
    "methodConfig": [
        {
            "name": [
                {"service": "redflag.v1.AlertService"},
                {"service": "redflag.v1.AlertStatusService"},
                {"service": "redflag.v1.AuditService"},
            ],
            "timeout": "10s",
            # A server that restarts is waited for.
            "waitForReady": True,
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}
OPTIONS = [("grpc.service_config", json.dumps(CONFIG))]


def _target(server: str | None) -> tuple[str, bool]:
    """What to connect to, and whether with TLS."""
    url = urlsplit(server or os.environ["REDFLAG_SERVER"])
    if url.scheme not in ("http", "https") or not url.netloc:
        raise ValueError(f"the server must be http://HOST:PORT or https://HOST:PORT, not {url.geturl()}")
    return url.netloc, url.scheme == "https"


def _key(key: str | None) -> str:
    return os.environ["REDFLAG_API_KEY"] if key is None else key


def _named(request: Any) -> Any:
    """The request under a request_id, so that the change happens once however often it is sent."""
    if "request_id" not in request.DESCRIPTOR.fields_by_name or request.request_id:
        return request
    named = type(request)()
    named.CopyFrom(request)
    named.request_id = str(uuid.uuid4())
    return named


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: list[tuple[str, str | bytes]]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: Any


class _Intercept(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, key: str) -> None:
        self._key = key

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        details = _Details(
            client_call_details.method,
            client_call_details.timeout,
            [*(client_call_details.metadata or ()), ("authorization", f"Bearer {self._key}")],
            client_call_details.credentials,
            client_call_details.wait_for_ready,
            client_call_details.compression,
        )
        return continuation(details, _named(request))


class _InterceptAio(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, key: str) -> None:
        self._key = key

    async def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Awaitable[Any]], client_call_details: Any, request: Any
    ) -> Any:
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()))
        metadata.add("authorization", f"Bearer {self._key}")
        return await continuation(client_call_details._replace(metadata=metadata), _named(request))


class Client:
    """A connection to one redflag as one key."""

    def __init__(self, server: str | None = None, key: str | None = None) -> None:
        target, tls = _target(server)
        if tls:
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), OPTIONS)
        else:
            channel = grpc.insecure_channel(target, OPTIONS)
        self.channel = grpc.intercept_channel(channel, _Intercept(_key(key)))
        self.alerts = AlertServiceStub(self.channel)
        self.statuses = AlertStatusServiceStub(self.channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()


class AioClient:
    """The same for asyncio."""

    def __init__(self, server: str | None = None, key: str | None = None) -> None:
        target, tls = _target(server)
        interceptors = [_InterceptAio(_key(key))]
        if tls:
            credentials = grpc.ssl_channel_credentials()
            self.channel = grpc.aio.secure_channel(target, credentials, OPTIONS, interceptors=interceptors)
        else:
            self.channel = grpc.aio.insecure_channel(target, OPTIONS, interceptors=interceptors)
        self.alerts: AlertServiceAsyncStub = AlertServiceStub(self.channel)
        self.statuses: AlertStatusServiceAsyncStub = AlertStatusServiceStub(self.channel)

    async def __aenter__(self) -> AioClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()


class Problem(NamedTuple):
    """What an error says to programs."""

    reason: str
    domain: str
    details: dict[str, str]
    fields: dict[str, str]


def problem(error: grpc.RpcError) -> Problem:
    """Reads the details of an error of either client. The reason is empty when redflag did not send it."""
    found = _status(error)
    info = _detail(found, error_details_pb2.ErrorInfo())
    bad = _detail(found, error_details_pb2.BadRequest())
    fields = {violation.field: violation.description for violation in bad.field_violations}
    return Problem(info.reason, info.domain, dict(info.metadata), fields)


def _status(error: grpc.RpcError) -> status_pb2.Status:
    for key, value in cast(grpc.Call, error).trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return status_pb2.Status.FromString(cast(bytes, value))
    return status_pb2.Status()


def _detail(status: status_pb2.Status, empty: Detail) -> Detail:
    for detail in status.details:
        if detail.Unpack(empty):
            break
    return empty
