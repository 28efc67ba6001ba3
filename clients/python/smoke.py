"""What both clients must be able to do with a live server: one scenario, called by the one and by the other."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Protocol, cast

import grpc
import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from redflag.v1 import alert_service_pb2 as pb
from redflag.v1 import alert_status_service_pb2 as statuses_pb
from redflag.v1 import resources_pb2 as res
from redflag.v1.alert_service_pb2_grpc import AlertServiceServicer, add_AlertServiceServicer_to_server
from redflag_client import AioClient, Client, Problem, problem

Metadata = dict[str, str | bytes]


class Invoke(Protocol):
    """Calls a method; answers with the message and the metadata that came before it."""

    async def __call__(self, method: Any, request: Any, timeout: float | None = None) -> tuple[Any, Metadata]: ...


async def invoke_sync(method: Any, request: Any, timeout: float | None = None) -> tuple[Any, Metadata]:
    answer, call = method.with_call(request, timeout=timeout)
    return answer, dict(call.initial_metadata())


async def invoke_aio(method: Any, request: Any, timeout: float | None = None) -> tuple[Any, Metadata]:
    call = method(request, timeout=timeout)
    answer = await call
    return answer, dict(await call.initial_metadata())


class Smoke:
    """The scenario for one of the clients."""

    def __init__(self, invoke: Invoke, redflag: Any, reader: Any, stranger: Any, lossy: Any) -> None:
        self.invoke = invoke
        self.redflag = redflag
        self.reader = reader
        self.stranger = stranger
        self.lossy = lossy

    async def ask(self, method: Any, request: Any) -> Any:
        answer, metadata = await self.invoke(method, request)
        assert metadata["x-request-id"], metadata
        return answer

    async def refused(self, method: Any, request: Any, code: grpc.StatusCode, reason: str) -> Problem:
        try:
            await self.invoke(method, request)
        except grpc.RpcError as error:
            call: Any = error
            assert call.code() is code, call
            if isinstance(error, grpc.aio.AioRpcError):
                trailers = error.trailing_metadata()
            else:
                # Also checks that the details say the same code and text as the status.
                assert rpc_status.from_call(call) is not None
                trailers = call.trailing_metadata()
            assert "x-request-id" in dict(trailers), trailers
            found = problem(error)
            assert (found.reason, found.domain) == (reason, "redflag.dev"), found
            return found
        raise AssertionError(f"{request} was not refused")

    async def flag(self, entity_id: str, **fields: Any) -> res.Alert:
        request = pb.FlagEntityRequest(entity_id=entity_id, description="Over its limit", **fields)
        alert: res.Alert = (await self.ask(self.redflag.alerts.FlagEntity, request)).alert
        return alert

    async def run(self) -> None:
        await self.health()
        await self.kinds()
        await self.statuses()
        await self.changes()
        await self.pages()
        await self.errors()
        await self.deadline()
        await self.retries()

    async def health(self) -> None:
        health = health_pb2_grpc.HealthStub(self.redflag.channel)
        for service in ["", "redflag.v1.AlertService", "redflag.v1.AlertStatusService"]:
            answer, _ = await self.invoke(health.Check, health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, service

    async def kinds(self) -> None:
        for prefix, kind, affected in [
            ("bln", res.ENTITY_TYPE_BALANCE, "affected_balances"),
            ("txn", res.ENTITY_TYPE_TRANSACTION, "affected_transactions"),
            ("idt", res.ENTITY_TYPE_IDENTITY, "affected_identities"),
        ]:
            entity_id = f"{prefix}_{uuid.uuid4()}"
            alert = await self.flag(entity_id, severity=res.SEVERITY_HIGH, metadata={"rule": "limit", "hits": 3})
            assert alert.type == kind and list(getattr(alert, affected)) == [entity_id], alert
            assert (alert.status, alert.status_class, alert.version) == ("FLAGGED", res.STATUS_CLASS_OPEN, 1), alert
            got = await self.ask(self.redflag.alerts.GetAlert, pb.GetAlertRequest(anomaly_id=alert.anomaly_id))
            assert got.alert == alert, got

    async def statuses(self) -> None:
        statuses = self.redflag.statuses
        key = f"REVIEW_{uuid.uuid4().hex[:8]}".upper()
        create = statuses_pb.CreateAlertStatusRequest(name="In review", key=key, colour="#3b82f6")
        made = (await self.ask(statuses.CreateAlertStatus, create)).alert_status
        assert (made.key, made.colour) == (key, "#3B82F6"), made
        await self.refused(
            statuses.CreateAlertStatus, create, grpc.StatusCode.ALREADY_EXISTS, "STATUS_DUPLICATE_KEY"
        )

        listed = await self.ask(statuses.ListAlertStatuses, statuses_pb.ListAlertStatusesRequest())
        assert made in listed.alert_statuses and made.colour in listed.allowed_colours, listed
        assert {status.key for status in listed.builtin} == {"FLAGGED", "INVESTIGATING", "RESOLVED"}, listed

        update = statuses_pb.UpdateAlertStatusRequest(
            alert_status=res.AlertStatus(key=key, name="Second look", colour="#ignored"),
            update_mask=FieldMask(paths=["name"]),
        )
        changed = (await self.ask(statuses.UpdateAlertStatus, update)).alert_status
        assert (changed.name, changed.colour) == ("Second look", made.colour), changed

        alert = await self.flag("bln_status")
        for status, status_class in [(key, res.STATUS_CLASS_IN_PROGRESS), ("RESOLVED", res.STATUS_CLASS_CLOSED)]:
            moved = await self.update(alert.anomaly_id, ["status"], status=status)
            assert (moved.status, moved.status_class) == (status, status_class), moved
            if status == key:
                delete = statuses_pb.DeleteAlertStatusRequest(key=key)
                await self.refused(
                    statuses.DeleteAlertStatus, delete, grpc.StatusCode.FAILED_PRECONDITION, "STATUS_IN_USE"
                )
        await self.ask(statuses.DeleteAlertStatus, delete)
        await self.refused(statuses.DeleteAlertStatus, delete, grpc.StatusCode.NOT_FOUND, "STATUS_NOT_FOUND")

    async def update(self, anomaly_id: str, paths: list[str], **fields: Any) -> res.Alert:
        request = pb.UpdateAlertRequest(
            alert=res.Alert(anomaly_id=anomaly_id, **fields), update_mask=FieldMask(paths=paths), note="Smoke test"
        )
        alert: res.Alert = (await self.ask(self.redflag.alerts.UpdateAlert, request)).alert
        return alert

    async def changes(self) -> None:
        alert = await self.flag("txn_changes", title="Before", assigned_to="ana")
        # What the mask does not name stays, what it names and is empty is cleared.
        changed = await self.update(alert.anomaly_id, ["title", "assigned_to"], title="After", description="Not this")
        assert (changed.title, changed.assigned_to) == ("After", ""), changed
        assert (changed.description, changed.version) == (alert.description, 2), changed

        escalate = pb.EscalateAlertRequest(anomaly_id=alert.anomaly_id, to=["bo", "cy"])
        escalated = (await self.ask(self.redflag.alerts.EscalateAlert, escalate)).alert
        assert (list(escalated.escalated_to), escalated.assigned_to) == (["bo", "cy"], "bo"), escalated

        events = pb.ListAlertEventsRequest(anomaly_id=alert.anomaly_id)
        history = (await self.ask(self.redflag.alerts.ListAlertEvents, events)).events
        told = [(event.sequence, event.type) for event in history]
        assert told == [
            (1, res.ALERT_EVENT_TYPE_FLAGGED),
            (2, res.ALERT_EVENT_TYPE_ASSIGNED),
            (3, res.ALERT_EVENT_TYPE_ESCALATED),
        ], told
        assert history[1].note == "Smoke test" and history[1].actor.key_id, history[1]
        titles = [change for change in history[1].changes if change.field == "title"]
        assert [(c.before.string_value, c.after.string_value) for c in titles] == [("Before", "After")], history[1]

    async def pages(self) -> None:
        entity_id = f"idt_{uuid.uuid4()}"
        flagged = [(await self.flag(entity_id)).anomaly_id for _ in range(3)]
        request = pb.ListAlertsRequest(entity_ids=[entity_id], page_size=2, include_total=True)
        first = await self.ask(self.redflag.alerts.ListAlerts, request)
        assert first.next_page_token and first.total_size == 3, first
        request.page_token = first.next_page_token
        second = await self.ask(self.redflag.alerts.ListAlerts, request)
        assert not second.next_page_token, second
        # Newest first.
        assert [len(first.alerts), len(second.alerts)] == [2, 1]
        assert [alert.anomaly_id for alert in [*first.alerts, *second.alerts]] == flagged[::-1]

    async def errors(self) -> None:
        bad = grpc.StatusCode.INVALID_ARGUMENT
        alerts = self.redflag.alerts
        found = await self.refused(
            alerts.FlagEntity, pb.FlagEntityRequest(entity_id="bln_1", title="x" * 201), bad, "GEN_VALIDATION_ERROR"
        )
        assert set(found.fields) == {"title", "description"} and "200" in found.fields["title"], found
        found = await self.refused(
            alerts.FlagEntity, pb.FlagEntityRequest(entity_id="acc_1", description="d"), bad, "ALERT_INVALID_ENTITY_ID"
        )
        assert set(found.fields) == {"entity_id"}, found
        found = await self.refused(
            alerts.ListAlerts, pb.ListAlertsRequest(statuses=["NOPE"]), bad, "ALERT_UNKNOWN_STATUS"
        )
        missing = pb.GetAlertRequest(anomaly_id="ano_missing")
        await self.refused(alerts.GetAlert, missing, grpc.StatusCode.NOT_FOUND, "ALERT_NOT_FOUND")

        flag = pb.FlagEntityRequest(entity_id="bln_1", description="d")
        unknown = grpc.StatusCode.UNAUTHENTICATED
        await self.refused(self.stranger.alerts.FlagEntity, flag, unknown, "AUTH_INVALID_API_KEY")
        await self.ask(self.reader.alerts.ListAlerts, pb.ListAlertsRequest(page_size=1))
        denied = grpc.StatusCode.PERMISSION_DENIED
        found = await self.refused(self.reader.alerts.FlagEntity, flag, denied, "AUTH_INSUFFICIENT_PERMISSIONS")
        assert "alerts:write" in found.details.values(), found

    async def deadline(self) -> None:
        # An answer can come within any deadline; but a watch of the server's health has no end.
        watch = health_pb2_grpc.HealthStub(self.redflag.channel).Watch(health_pb2.HealthCheckRequest(), timeout=0.05)
        try:
            if hasattr(watch, "__aiter__"):
                seen = [answer.status async for answer in watch]
            else:
                seen = [answer.status for answer in watch]
        except grpc.RpcError as error:
            call: Any = error
            assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED, call
        else:
            raise AssertionError(f"the watch ended after {seen}")

        # Of a thousand calls that have a millisecond each, any may be too late; none fails otherwise.
        codes = await asyncio.gather(*(self.code_within(0.001) for _ in range(1000)))
        assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}, set(codes)

    async def code_within(self, timeout: float) -> grpc.StatusCode:
        try:
            await self.invoke(self.redflag.alerts.ListAlerts, pb.ListAlertsRequest(include_total=True), timeout=timeout)
        except grpc.RpcError as error:
            code: grpc.StatusCode = cast(Any, error).code()
            return code
        return grpc.StatusCode.OK

    async def retries(self) -> None:
        request = pb.FlagEntityRequest(
            entity_id="bln_again", description="Sent twice", request_id=f"smoke-{uuid.uuid4()}"
        )
        first, metadata = await self.invoke(self.redflag.alerts.FlagEntity, request)
        assert "idempotency-replayed" not in metadata, metadata
        second, metadata = await self.invoke(self.redflag.alerts.FlagEntity, request)
        assert metadata["idempotency-replayed"] == "true" and second == first, metadata
        request.description = "Something else"
        reused = grpc.StatusCode.FAILED_PRECONDITION
        await self.refused(self.redflag.alerts.FlagEntity, request, reused, "IDEMPOTENCY_KEY_REUSED")

        # The client does the same by itself when an answer is lost.
        entity_id = f"txn_{uuid.uuid4()}"
        lost = pb.FlagEntityRequest(entity_id=entity_id, description="Its first answer is lost")
        answer, metadata = await self.invoke(self.lossy.alerts.FlagEntity, lost)
        assert metadata["idempotency-replayed"] == "true", metadata
        listed = await self.ask(self.redflag.alerts.ListAlerts, pb.ListAlertsRequest(entity_ids=[entity_id]))
        assert list(listed.alerts) == [answer.alert], listed


class Lossy(AlertServiceServicer):
    """Lets every call through to the real server, and loses every other answer on the way back."""

    def __init__(self, redflag: Client) -> None:
        self.redflag = redflag
        self.calls = 0

    def FlagEntity(self, request: Any, context: Any) -> Any:
        assert request.request_id, "the client names every change"
        answer, call = self.redflag.alerts.FlagEntity.with_call(request)
        self.calls += 1
        if self.calls % 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
        context.send_initial_metadata(call.initial_metadata())
        return answer


@contextmanager
def lossy_server(redflag: Client) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    servicer = Lossy(redflag)  # type: ignore[abstract]  # what it leaves out is UNIMPLEMENTED
    add_AlertServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None)


class Listener:
    """Keeps the first bytes that each connection sends, and answers none."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            with connection:
                self.heard.append(connection.recv(3))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"


async def schemes() -> None:
    """TLS is spoken exactly where the server is https://, and nothing else is guessed."""
    for scheme, first in [("http", b"PRI"), ("https", b"\x16\x03\x01")]:
        for connect in (Client, AioClient):
            listener = Listener()
            redflag: Any = connect(f"{scheme}://{listener.address}")
            invoke: Invoke = invoke_sync if connect is Client else invoke_aio
            try:
                await invoke(redflag.alerts.ListAlerts, pb.ListAlertsRequest(), timeout=0.5)
            except grpc.RpcError:
                pass
            assert listener.heard and set(listener.heard) == {first}, (scheme, connect, listener.heard)
            closed = redflag.channel.close()
            if connect is AioClient:
                await closed
    for server in ["localhost:8080", "ftp://localhost:8080", "//localhost:8080", "https://"]:
        for connect in (Client, AioClient):
            try:
                connect(server)
            except ValueError:
                continue
            raise AssertionError(f"{server} was accepted")


READ_KEY = os.environ["REDFLAG_READ_KEY"]


async def smoke_sync(lossy: str) -> None:
    with Client() as redflag, Client(key=READ_KEY) as reader, Client(key="rf_wrong") as stranger:
        with Client(server=lossy) as through_lossy:
            await Smoke(invoke_sync, redflag, reader, stranger, through_lossy).run()


async def smoke_aio(lossy: str) -> None:
    async with AioClient() as redflag, AioClient(key=READ_KEY) as reader, AioClient(key="rf_wrong") as stranger:
        async with AioClient(server=lossy) as through_lossy:
            await Smoke(invoke_aio, redflag, reader, stranger, through_lossy).run()


def main() -> None:
    with Client() as redflag, lossy_server(redflag) as lossy:
        asyncio.run(smoke_sync(lossy))
        asyncio.run(smoke_aio(lossy))
    asyncio.run(schemes())


if __name__ == "__main__":
    main()
