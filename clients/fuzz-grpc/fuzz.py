"""Sends odd messages to every gRPC call, and sees that each answer is a documented one.

CALLS: how many at least. SEED: what they are made from. WORKERS: how many processes send them.
"""

import asyncio
import collections
import multiprocessing
import os
import random
import subprocess
import sys
import time
from urllib.parse import urlsplit

import grpc
import grpc.aio
import redflag_testing as testing
from google.protobuf.message import DecodeError
from messages import Known, Maker

SERVER = os.environ["REDFLAG_SERVER"]
# What is documented for every call, and must never come of a message.
NEVER = {"GEN_INTERNAL", "GEN_UNAVAILABLE", "GEN_DEADLINE_EXCEEDED", "GEN_RATE_LIMITED"}
# How many calls a process has under way.
AT_ONCE = 24


class Worker:
    """One process: makes calls from a seed of its own until it has made enough."""

    def __init__(self, seed, calls):
        self.rng, self.left, self.seed = random.Random(seed), calls, seed
        self.known = Known()
        self.maker = Maker(self.rng, self.known)
        self.told = collections.Counter()
        self.failures = []
        with testing.channel(SERVER) as channel:
            self.contract = testing.Contract(channel)
            # All descriptors are read while the channel is there.
            self.methods = list(self.contract.methods.values())
            for method in self.methods:
                self.contract.message_class(method.input_type), self.contract.message_class(method.output_type)
        self.documented, _ = testing.documented_errors()
        names = ["REDFLAG_READ_KEY", "REDFLAG_EXPIRED_KEY", "REDFLAG_OTHER_KEY"]
        self.keys = [os.environ[name] for name in names] + ["", "rf_" + "A" * 43, "no key"]

    async def run(self):
        options = [("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]
        async with grpc.aio.insecure_channel(urlsplit(SERVER).netloc, options) as channel:
            await asyncio.gather(*(self._lane(channel) for _ in range(AT_ONCE)))
        return self.told, self.failures

    async def _lane(self, channel):
        while self.left > 0 and len(self.failures) < 20:
            self.left -= 1
            method = self.rng.choice(self.methods)
            payload = self.maker.payload(self.contract.message_class(method.input_type))
            await self._call(channel, method, payload, self._metadata())

    def _metadata(self):
        rng = self.rng
        key = os.environ["REDFLAG_API_KEY"] if rng.random() < 0.95 else rng.choice(self.keys)
        metadata = [rng.choice([("authorization", f"Bearer {key}"), ("x-blnk-key", key)])] if key else []
        if rng.random() < 0.1:
            metadata.append(("x-request-id", "".join(rng.choices("abc ~-", k=rng.choice([1, 128, 129])))))
        if rng.random() < 0.05:
            metadata.append(("x-redflag-actor", "a" * rng.choice([0, 1, 200, 201])))
        return metadata

    async def _call(self, channel, method, payload, metadata):
        call = channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}")
        try:
            answer = await call(payload, metadata=metadata, timeout=60)
        except grpc.aio.AioRpcError as error:
            self.told[method.name, error.code().name] += 1
            wrong = self._wrong(method, error)
        else:
            self.told[method.name, "OK"] += 1
            wrong = self._learn(method, answer)
        if wrong:
            shown = payload.hex() if len(payload) < 2000 else payload[:2000].hex() + "…"
            self.failures.append(f"{method.name}: {wrong}\n  seed {self.seed}, message {shown}")

    def _wrong(self, method, error):
        """What is wrong with an error; `None` when it is a documented one."""
        code, told = error.code().name, error.details()
        info = testing.error_info(error)
        if info is None:
            return f"{code} without ErrorInfo: {told}"
        if info.domain != testing.DOMAIN or info.reason not in self.contract.reasons:
            return f"{code} with the ErrorInfo {info.domain} {info.reason}"
        if info.reason in NEVER:
            return f"{info.reason}: {told}"
        documented = self.documented[method.name].get(info.reason)
        if documented is None:
            return f"{info.reason} is not documented for it: {told}"
        if code != documented:
            return f"{info.reason} came as {code}, documented is {documented}"
        return None

    def _learn(self, method, answer):
        """Reads an answer, and remembers what to send back."""
        try:
            message = self.contract.message_class(method.output_type).FromString(answer)
        except DecodeError as error:
            return f"the answer is no {method.output_type.name}: {error}"
        fields = message.DESCRIPTOR.fields_by_name
        if "alert" in fields:
            self.known.remember(self.known.alerts, message.alert.anomaly_id)
        if "alert_status" in fields:
            self.known.remember(self.known.keys, message.alert_status.key)
        if "next_page_token" in fields:
            self.known.remember(self.known.tokens, message.next_page_token)
        return None


def work(arguments):
    return asyncio.run(Worker(*arguments).run())


def check_alive():
    """The server serves calls, and nothing broke the chain of events."""
    answer = testing.rest(SERVER, "GET", "/readyz")
    if answer.status != 200:
        sys.exit(f"the server is not ready: {answer.status} {answer.body}")
    for organization in ("default", "other"):
        command = [os.environ["REDFLAG_BIN"], "audit", "verify", "--org", organization]
        verified = subprocess.run(command, capture_output=True, text=True)
        if verified.returncode != 0:
            sys.exit(f"audit verify {organization}: {verified.stdout}{verified.stderr}")
        print(f"audit verify {organization}: {verified.stdout.strip()}")


def print_table(told):
    codes = sorted({code for _, code in told})
    print(f"{'':20}" + "".join(f"{code.lower():>21}" for code in codes))
    for method in sorted({method for method, _ in told}):
        print(f"{method:20}" + "".join(f"{told[method, code]:21}" for code in codes))


def main():
    calls, seed = int(os.environ.get("CALLS", 50_000)), int(os.environ.get("SEED", 1))
    workers = int(os.environ.get("WORKERS", 2))
    each = -(-calls // workers)
    print(f"{each * workers} calls from seed {seed}", flush=True)
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        results = pool.map(work, [(seed * 1000 + worker, each) for worker in range(workers)])
    seconds = time.monotonic() - started
    told = sum((told for told, _ in results), collections.Counter())
    failures = [failure for _, failures in results for failure in failures]
    print_table(told)
    for failure in failures:
        print(failure)
    check_alive()
    unseen = {method for method, _ in told} ^ set(testing.documented_errors()[0])
    if failures or unseen:
        sys.exit(f"{len(failures)} failures; calls that were not made: {sorted(unseen)}")
    print(f"{told.total()} calls, every answer documented, in {seconds:.0f} s")


if __name__ == "__main__":
    main()
