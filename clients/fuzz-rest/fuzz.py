"""Runs schemathesis on the server, seed after seed, until enough cases were generated; fails on the first seed that does.

CASES: how many cases at least. SEED: the first seed. EXAMPLES: how many a seed makes of each call in the fuzzing phase.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
# All phases on all calls, and then the story of an alert: where a status can be made out of nothing, schemathesis does not
# begin with a flag, whose path names an entity that no other call makes.
RUNS = [
    (["examples", "coverage", "fuzzing", "stateful"], []),
    (["stateful"], ["flag_entity", "get_alert", "update_alert", "escalate_alert", "list_alert_events"]),
]


def run(directory, seed, examples, environment, phases, calls):
    """Runs `phases` on `calls` (all where there are none) with one seed; the number of cases, and whether none failed."""
    command = [
        SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml", "run", environment["REDFLAG_SERVER"] + "/openapi.json",
        "--phases", ",".join(phases), "--seed", str(seed), "--max-examples", str(examples), "--no-color",
        *(f"--include-operation-id={call}" for call in calls),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=directory, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
    output = "".join(lines)
    generated = re.search(r"(\d+) generated", output)
    passed = process.wait() == 0 and generated is not None
    for phase in phases:
        # A phase that was left out would leave its checks out.
        passed = passed and re.search(rf"✅\s+{phase}\b", output, re.IGNORECASE) is not None
    if not passed:
        print(output)
    return int(generated[1]) if generated else 0, passed


def main():
    wanted, seed = int(os.environ.get("CASES", 5000)), int(os.environ.get("SEED", 1))
    examples = int(os.environ.get("EXAMPLES", 60))
    print(f"at least {wanted} cases from seed {seed} on")
    cases, started = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        keys = Path(directory) / "keys.json"
        users = {"own": os.environ["REDFLAG_API_KEY"], "other": os.environ["REDFLAG_OTHER_KEY"]}
        keys.write_text(json.dumps({"auth": [bearer(name, key) for name, key in users.items()]}))
        environment = os.environ | {"REDFLAG_FUZZ_HOOKS": str(HERE / "hooks.py"), "REDFLAG_FUZZ_KEYS": str(keys)}
        while cases < wanted:
            for phases, calls in RUNS:
                more, passed = run(directory, seed, examples, environment, phases, calls)
                cases += more
                told = "no failure" if passed else "FAILED"
                print(f"seed {seed}: {', '.join(phases)}: {more} cases, {told}", flush=True)
                if not passed:
                    sys.exit(1)
            seed += 1
    print(f"{cases} cases, no failure, in {time.monotonic() - started:.0f} s")


def bearer(name, key):
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}


main()
