"""Provokes every reason of `ErrorReason` on both faces."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit, urlunsplit

import grpc
import redflag_testing as testing

# Reasons that only REST has, and why: gRPC has an answer of its own before any of our code.
ONLY_REST = {
    "GEN_NOT_FOUND": "a method that there is not is the protocol's UNIMPLEMENTED",
    "GEN_METHOD_NOT_ALLOWED": "every gRPC call is a POST",
    "GEN_UNSUPPORTED_MEDIA_TYPE": "what is not application/grpc is no gRPC call",
}
NO_SUCH_ALERT = "ano_00000000-0000-7000-8000-000000000000"
COLOUR = "#3B82F6"
TOO_LARGE = 1024 * 1024 + 1


class Faces:
    """Both faces of one server, called with one key."""

    def __init__(self, server, key):
        self.server, self.key = server, key
        self.channel = testing.channel(server)
        self.contract = testing.Contract(self.channel)

    def rest(self, method, path, body=None, **headers):
        key = headers.pop("key", self.key)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return testing.rest(self.server, method, path, key, body, named)

    def grpc(self, call, /, *, raw=None, with_key=None, **fields):
        """The error of a call, or its answer when it has none. `fields` are the message's, unless it is `raw` bytes."""
        method = self.contract.methods[call]
        message = self.contract.message(method, **fields).SerializeToString() if raw is None else raw
        key = self.key if with_key is None else with_key
        metadata = testing.credentials(key) if key else []
        try:
            answer = self.contract.call(self.channel, method)(message, metadata=metadata, timeout=60)
        except grpc.RpcError as error:
            return error
        return self.contract.message_class(method.output_type).FromString(answer)

    def flag(self, body=None, **headers):
        answer = self.rest("POST", "/alerts/flag/bln_1", {"description": "d"} | (body or {}), **headers)
        assert answer.status in (200, 201), answer.body
        return answer.json()

    def close(self):
        self.channel.close()


SCENARIOS = {}


def provokes(reason):
    def register(scenario):
        SCENARIOS[reason] = scenario
        return scenario

    return register


@provokes("GEN_MALFORMED_REQUEST")
def _(faces):
    return faces.rest("POST", "/alerts/flag/bln_1", b"{"), faces.grpc("FlagEntity", raw=b"\xff")


@provokes("GEN_VALIDATION_ERROR")
def _(faces):
    answers = faces.rest("POST", "/alerts/flag/bln_1", {"description": ""}), faces.grpc("FlagEntity", entity_id="bln_1")
    assert answers[0].json()["error_detail"]["details"]["fields"][0]["field"] == "description"
    return answers


@provokes("ALERT_INVALID_ENTITY_ID")
def _(faces):
    return (
        faces.rest("POST", "/alerts/flag/account_1", {"description": "d"}),
        faces.grpc("FlagEntity", entity_id="account_1", description="d"),
    )


@provokes("ALERT_UNKNOWN_STATUS")
def _(faces):
    return faces.rest("GET", "/alerts?status=NO_SUCH"), faces.grpc("ListAlerts", statuses=["NO_SUCH"])


@provokes("GEN_INVALID_PAGE_TOKEN")
def _(faces):
    return faces.rest("GET", "/alerts?page_token=abc"), faces.grpc("ListAlerts", page_token="abc")


@provokes("AUTH_MISSING_API_KEY")
def _(faces):
    return faces.rest("GET", "/alerts", key=None), faces.grpc("ListAlerts", with_key="")


@provokes("AUTH_INVALID_API_KEY")
def _(faces):
    key = "rf_" + "A" * 43
    return faces.rest("GET", "/alerts", key=key), faces.grpc("ListAlerts", with_key=key)


@provokes("AUTH_EXPIRED_API_KEY")
def _(faces):
    key = os.environ["REDFLAG_EXPIRED_KEY"]
    return faces.rest("GET", "/alerts", key=key), faces.grpc("ListAlerts", with_key=key)


@provokes("AUTH_INSUFFICIENT_PERMISSIONS")
def _(faces):
    key = os.environ["REDFLAG_READ_KEY"]
    return (
        faces.rest("POST", "/alerts/flag/bln_1", {"description": "d"}, key=key),
        faces.grpc("FlagEntity", with_key=key, entity_id="bln_1", description="d"),
    )


@provokes("ALERT_NOT_FOUND")
def _(faces):
    # Also for an alert of another organization, which must not be told apart.
    other = faces.flag(key=os.environ["REDFLAG_OTHER_KEY"])["anomaly_id"]
    assert faces.rest("GET", f"/alerts/{other}").reason == "ALERT_NOT_FOUND"
    return faces.rest("GET", f"/alerts/{NO_SUCH_ALERT}"), faces.grpc("GetAlert", anomaly_id=other)


@provokes("STATUS_NOT_FOUND")
def _(faces):
    return faces.rest("DELETE", "/alerts/statuses/NO_SUCH"), faces.grpc("DeleteAlertStatus", key="NO_SUCH")


@provokes("GEN_NOT_FOUND")
def _(faces):
    return faces.rest("GET", "/nothing/here"), None


@provokes("STATUS_DUPLICATE_KEY")
def _(faces):
    body = {"name": "Flagged", "colour": COLOUR}
    return faces.rest("POST", "/alerts/statuses", body), faces.grpc("CreateAlertStatus", **body)


@provokes("STATUS_IN_USE")
def _(faces):
    assert faces.rest("POST", "/alerts/statuses", {"name": "In use", "colour": COLOUR}).status == 201
    faces.flag({"status": "IN_USE"})
    return faces.rest("DELETE", "/alerts/statuses/in_use"), faces.grpc("DeleteAlertStatus", key="in_use")


@provokes("STATUS_BUILTIN")
def _(faces):
    return faces.rest("DELETE", "/alerts/statuses/FLAGGED"), faces.grpc("DeleteAlertStatus", key="FLAGGED")


@provokes("GEN_METHOD_NOT_ALLOWED")
def _(faces):
    answer = faces.rest("DELETE", "/alerts")
    assert answer.headers["Allow"], "no Allow"
    return answer, None


@provokes("GEN_PAYLOAD_TOO_LARGE")
def _(faces):
    return faces.rest("POST", "/alerts/flag/bln_1", b" " * TOO_LARGE), faces.grpc("FlagEntity", raw=b"\0" * TOO_LARGE)


@provokes("GEN_UNSUPPORTED_MEDIA_TYPE")
def _(faces):
    return faces.rest("POST", "/alerts/flag/bln_1", b"a=b", Content_Type="application/x-www-form-urlencoded"), None


@provokes("ALERT_VERSION_CONFLICT")
def _(faces):
    alert = faces.flag()["anomaly_id"]
    rest = faces.rest("PUT", f"/alerts/flag/{alert}", {"title": "t"}, If_Match='"7"')
    assert rest.json()["error_detail"]["details"]["current_version"] == 1
    return rest, faces.grpc("UpdateAlert", alert={"anomaly_id": alert, "title": "t"}, expected_version=7)


@provokes("ALERT_DISPOSITION_REQUIRED")
def _(faces):
    """In the other organization, whose policy is another for a while."""
    key = os.environ["REDFLAG_OTHER_KEY"]

    def require(answer):
        command = [os.environ["REDFLAG_BIN"], "org", "update", "other", "--require-disposition", answer]
        subprocess.run(command, check=True, capture_output=True)

    def refused():
        answer = faces.rest("PUT", f"/alerts/flag/{alert}", {"status": "RESOLVED", "title": str(time.time())}, key=key)
        if answer.status != 200:
            return answer
        # The policy is known within five seconds.
        faces.rest("PUT", f"/alerts/flag/{alert}", {"status": "FLAGGED"}, key=key)
        time.sleep(0.2)
        return None

    alert = faces.flag(key=key)["anomaly_id"]
    require("true")
    try:
        rest = testing.eventually(refused)
        return rest, faces.grpc("UpdateAlert", with_key=key, alert={"anomaly_id": alert, "status": "RESOLVED"})
    finally:
        require("false")


@provokes("ALERT_DEDUP_KEY_IN_USE")
def _(faces):
    first = faces.flag({"dedup_key": "reasons"})["anomaly_id"]
    assert faces.rest("PUT", f"/alerts/flag/{first}", {"status": "RESOLVED"}).status == 200
    second = faces.flag({"dedup_key": "reasons"})["anomaly_id"]
    rest = faces.rest("PUT", f"/alerts/flag/{first}", {"status": "FLAGGED"})
    assert rest.json()["error_detail"]["details"]["anomaly_id"] == second
    return rest, faces.grpc("UpdateAlert", alert={"anomaly_id": first, "status": "FLAGGED"})


@provokes("IDEMPOTENCY_KEY_REUSED")
def _(faces):
    faces.flag(Idempotency_Key="reasons")
    return (
        faces.rest("POST", "/alerts/flag/bln_1", {"description": "another"}, Idempotency_Key="reasons"),
        faces.grpc("FlagEntity", entity_id="bln_1", description="another", request_id="reasons"),
    )


@contextlib.contextmanager
def own(*flags, **options):
    """Both faces of a server of one's own; on SQLite unless told otherwise."""
    with testing.OwnServer(*flags, **options) as server:
        faces = Faces(server.url, server.key if not options else os.environ["REDFLAG_API_KEY"])
        try:
            yield faces, server
        finally:
            faces.close()


@contextlib.contextmanager
def held(server):
    """Holds the one right to write to a server's SQLite database."""
    holder = sqlite3.connect(server.file, isolation_level=None, timeout=10)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield holder
    finally:
        holder.close()


@contextlib.contextmanager
def crowded(faces):
    """Four callers that flag over and over until the end; yields the statuses that they are answered, as they come."""
    statuses, over = [], threading.Event()

    def flag():
        while not over.wait(0.01):
            statuses.append(faces.rest("POST", "/alerts/flag/bln_1", {"description": "d"}).status)

    threads = [threading.Thread(target=flag) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


@provokes("GEN_RATE_LIMITED")
def _(_faces):
    """One change is being written, which takes its time, and one waits: there is no room for more."""

    def refused_after(statuses):
        """Asks only once the callers have taken all room: whoever finds some waits for as long as the database is held."""
        time.sleep(0.5)
        return all_refused(faces, 429) if 429 in statuses else None

    with (
        own("--waiting-changes", "1", "--changes-per-commit", "1") as (faces, server),
        held(server) as holder,
        crowded(faces) as statuses,
    ):
        answers = testing.eventually(lambda: refused_after(statuses), 60)
        # Those who have been given room need not wait any longer.
        holder.close()
        return answers


def all_refused(faces, status):
    """What both faces answer to a flag, once REST answers that status."""
    rest = faces.rest("POST", "/alerts/flag/bln_1", {"description": "d"})
    return (rest, faces.grpc("FlagEntity", entity_id="bln_1", description="d")) if rest.status == status else None


@provokes("GEN_DEADLINE_EXCEEDED")
def _(_faces):
    with own("--request-timeout", "500ms") as (faces, server), held(server):
        return all_refused(faces, 504)


@provokes("GEN_UNAVAILABLE")
def _(_faces):
    """The database is away: PostgreSQL behind a connection that is cut; SQLite in the hands of another process."""
    url = urlsplit(os.environ["REDFLAG_DATABASE_URL"])
    if not url.scheme.startswith("postgres"):
        with own() as (faces, server), held(server):
            return all_refused(faces, 503)
    relay = testing.Relay(url.hostname, url.port or 5432)
    user = url.netloc.rpartition("@")[0]
    through = urlunsplit(url._replace(netloc=f"{user}@127.0.0.1:{relay.port}"))
    with own(database_url=through) as (faces, _):
        faces.flag()
        relay.cut()
        return all_refused(faces, 503)


@provokes("GEN_INTERNAL")
def _(_faces):
    with own() as (faces, server):
        alert = faces.flag()["anomaly_id"]
        with contextlib.closing(sqlite3.connect(server.file, timeout=10)) as database:
            database.execute("UPDATE alerts SET metadata = '{'")
            database.commit()
        rest = faces.rest("GET", f"/alerts/{alert}")
        # Nothing of what is wrong leaves the server, but the id by which the log tells it.
        assert rest.json()["error"] == "internal error" and rest.json()["error_detail"]["details"].keys() == {"request_id"}
        return rest, faces.grpc("GetAlert", anomaly_id=alert)


def check_rest(reason, status, answer):
    body = answer.json()
    detail = body["error_detail"]
    assert (answer.status, detail["code"]) == (status, reason), f"REST answers {answer.status} {answer.body}"
    assert answer.headers["Content-Type"] == "application/json" and answer.headers["X-Request-Id"]
    assert body.keys() == {"error", "error_detail"} and detail.keys() == {"code", "message", "details"}
    assert body["error"] == detail["message"] != ""
    assert ("Retry-After" in answer.headers) == (status in (429, 503)), "Retry-After"
    assert ("WWW-Authenticate" in answer.headers) == (status == 401), "WWW-Authenticate"


def check_grpc(reason, code, error):
    assert isinstance(error, grpc.RpcError), f"gRPC answers {error}"
    info = testing.error_info(error)
    assert info, f"gRPC answers {error.code()} without ErrorInfo: {error.details()}"
    assert (error.code().name, info.reason, info.domain) == (code, reason, testing.DOMAIN), f"gRPC answers {error}"
    assert error.details()


def check(reason, code, status, faces):
    rest, from_grpc = SCENARIOS[reason](faces)
    check_rest(reason, status, rest)
    if reason in ONLY_REST:
        assert code is None and from_grpc is None
    else:
        check_grpc(reason, code, from_grpc)
    print(f"{reason:30} {status}  {code or 'only REST: ' + ONLY_REST[reason]}", flush=True)


def main():
    faces = Faces(os.environ["REDFLAG_SERVER"], os.environ["REDFLAG_API_KEY"])
    _, documented = testing.documented_errors()
    # The server's own enum and the one in proto/ agree, and nothing of it is left out.
    assert set(faces.contract.reasons) == documented.keys(), "the server is of another contract"
    assert documented.keys() == SCENARIOS.keys(), f"not provoked: {documented.keys() ^ SCENARIOS.keys()}"
    assert {reason for reason, (code, _) in documented.items() if code is None} == ONLY_REST.keys()
    failed = []
    for reason, (code, status) in documented.items():
        try:
            check(reason, code, status, faces)
        except Exception as error:
            failed.append(reason)
            print(f"{reason}: FAILED: {error!r}", flush=True)
    faces.close()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    print(f"{len(documented)} reasons on REST, {len(documented) - len(ONLY_REST)} of them on gRPC")


main()
