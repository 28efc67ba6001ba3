"""What the Python clients share: calls on both faces, servers of one's own, and the contract's own words.

Nothing here is generated: messages come from the server's reflection, and rules from the comments in proto/.
"""

import http.client
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto/redflag/v1"
DOMAIN = "redflag.dev"


class Answer:
    """What REST answered."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def reason(self):
        return json.loads(self.body)["error_detail"]["code"]

    def json(self):
        return json.loads(self.body)


def rest(server, method, path, key=None, body=None, headers=(), timeout=60):
    """One REST call; `body` is bytes, or anything that becomes JSON."""
    sent = dict(headers)
    if key is not None:
        sent.setdefault("Authorization", f"Bearer {key}")
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        sent.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=timeout)
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Contract:
    """The services as the server's reflection tells them."""

    def __init__(self, channel):
        from google.protobuf import descriptor_pool, message_factory
        from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

        database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = descriptor_pool.DescriptorPool(database)
        names = sorted(name for name in database.get_services() if name.startswith("redflag."))
        self.services = [self.pool.FindServiceByName(name) for name in names]
        self.methods = {method.name: method for service in self.services for method in service.methods}
        self.message_class = message_factory.GetMessageClass
        self.reasons = [value.name.removeprefix("ERROR_REASON_") for value in reason_enum(self.pool).values if value.number]

    def call(self, channel, method):
        """A callable that sends bytes as the method's message, and answers bytes."""
        path = f"/{method.containing_service.full_name}/{method.name}"
        return channel.unary_unary(path, request_serializer=None, response_deserializer=None)

    def message(self, method, **fields):
        return self.message_class(method.input_type)(**fields)


def reason_enum(pool):
    return pool.FindEnumTypeByName("redflag.v1.ErrorReason")


def channel(server):
    import grpc

    # Each its own connection, however many there are, and answers of any size.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]
    return grpc.insecure_channel(urlsplit(server).netloc, options)


def credentials(key):
    return [("authorization", f"Bearer {key}")]


def error_info(error):
    """The `google.rpc.ErrorInfo` of a gRPC error; `None` where there is none."""
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return None


def documented_errors():
    """From the comments in proto/: method → {reason: gRPC code}, and reason → (gRPC code, HTTP status)."""
    reasons, methods = {}, {}
    comment = ""
    for line in (PROTO / "error_reason.proto").read_text().splitlines():
        line = line.strip()
        if line.startswith("//"):
            comment += line.removeprefix("//")
        elif found := re.match(r"ERROR_REASON_(\w+) = \d+;", line):
            # "… INVALID_ARGUMENT, 400." or, where there is no gRPC, "… REST: 404."
            told = re.search(r"(?:\b([A-Z_]+), |REST: )(\d{3})\b[^.]*\.$", comment)
            if found[1] != "UNSPECIFIED":
                reasons[found[1]] = (told[1], int(told[2]))
            comment = ""
    common = set()
    # The first tells what every call can answer; the other services refer to it.
    for file in sorted(PROTO.glob("*_service.proto"), key=lambda file: file.name != "alert_service.proto"):
        of_all, comment = set(), ""
        for line in file.read_text().splitlines():
            line = line.strip()
            if line.startswith("//"):
                comment += line.removeprefix("//")
            elif line.startswith("service "):
                common = common or named(comment, reasons)
                of_all, comment = named(comment, reasons) | common, ""
            elif found := re.match(r"rpc (\w+)\(", line):
                own = named(comment, reasons) | of_all
                if found[1].startswith(("Get", "List")):
                    # What a service says of all its calls that change something.
                    own -= {"IDEMPOTENCY_KEY_REUSED"}
                methods[found[1]] = {reason: reasons[reason][0] for reason in own}
                comment = ""
            elif not line.startswith("//"):
                comment = ""
    return methods, reasons


def named(comment, reasons):
    """The reasons that a comment names; `AUTH_…_API_KEY` is three of them."""
    patterns = [re.sub("…", r"\\w+", pattern) for pattern in re.findall(r"`([A-Z_…]+)`", comment)]
    return {reason for reason in reasons if any(re.fullmatch(pattern, reason) for pattern in patterns)}


class OwnServer:
    """A redflag of one's own on a fresh database, for what would disturb others: `with OwnServer("--flag") as server`.

    `server.url` is where it is, `server.key` may do everything, `server.file` is its SQLite database.
    """

    def __init__(self, *flags, database_url=None):
        self.directory = tempfile.TemporaryDirectory(prefix="redflag-own-")
        self.file = Path(self.directory.name) / "redflag.db"
        self.key = "rf_" + os.urandom(32).hex()
        self.database_url = database_url or f"sqlite:{self.file}"
        self.log = Path(self.directory.name) / "log"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("REDFLAG_")}
        self.environment |= {"REDFLAG_DATABASE_URL": self.database_url, "REDFLAG_BOOTSTRAP_KEY": self.key}
        command = [os.environ["REDFLAG_BIN"], "serve", "--listen", "127.0.0.1:0", *flags]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.url = self._wait()

    def _wait(self):
        for line in self.process.stdout:
            if found := re.search(r"http://\S+", line):
                return found[0]
        self.__exit__()
        raise RuntimeError("the server did not start")

    def cli(self, *arguments):
        """Runs the program on the server's database; what it printed."""
        command = [os.environ["REDFLAG_BIN"], *arguments]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.directory.cleanup()


class Relay:
    """A TCP relay that can be cut: what stands behind it goes away for whoever comes through it."""

    def __init__(self, host, port):
        import threading

        self.target = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        self.is_cut = False
        self.start = lambda target, *arguments: threading.Thread(target=target, args=arguments, daemon=True).start()
        self.start(self._accept)

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            far = socket.create_connection(self.target)
            self.sockets += [near, far]
            self.start(self._pump, near, far)
            self.start(self._pump, far, near)

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends every connection, and refuses new ones."""
        self.is_cut = True
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()


def eventually(attempt, seconds=20):
    """Calls `attempt` until it answers something; that, or `None` when the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (result := attempt()) is not None:
            return result
    return None
