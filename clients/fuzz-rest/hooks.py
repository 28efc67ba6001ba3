"""What schemathesis takes for a fault of the server and is none, and what it can't make calls from.

Most of it are rules that JSON Schema can't state. Every rule stands here with the answer that it is known by, and only that
answer passes: another refusal of a well-formed request is a failure, and so is whatever any other check finds.
"""

import copy
import json
import re

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

# Reasons that tell of the organization's data, where the schema can only tell how a request is written.
OF_THE_DATA = {
    # A page token is opaque: any text of its alphabet is well formed, and only the server's own are accepted.
    "GEN_INVALID_PAGE_TOKEN",
    # Statuses are data: the keys that there are can't be told by a schema.
    "ALERT_UNKNOWN_STATUS",
}

# Rules of GEN_VALIDATION_ERROR that tie several parts of a request together: the field, and what is said of it.
OF_SEVERAL_PARTS = [
    # A status's key is derived from its name unless it is given.
    ("name", r"must hold a letter or digit of A-Z 0-9 to derive a key from\b"),
    # An alert is about one entity at least.
    ("affected_(balances|identities|transactions)", r"must name at least one entity over the three affected lists$"),
    # All lists of an alert's entities together, the flagged one among them.
    ("affected_(balances|identities|transactions)|additional_entity_ids", r"must be at most 100 entities\b"),
    # Those that an alert was escalated to before count too.
    ("to", r"must be at most 50 people\b"),
    # A reason needs the decision that it is for, in the request or in the alert.
    ("disposition_reason", r"must stand beside a disposition, the alert has none$"),
    # The size and the depth of the whole.
    ("metadata", r"must be at most (16384 bytes as JSON|16 levels deep)\b"),
]

# How many different values a list may hold.
MOST = {"status": 100, "entity_id": 100, "additional_entity_ids": 100, "escalated_to": 50, "to": 50} | dict.fromkeys(
    ["affected_balances", "affected_identities", "affected_transactions"], 100
)

# How a failure tells what is wrong with a request: each place of it, the keyword of the schema, and where that stands.
BROKEN = re.compile(r"(?:parameter `[^`]*` in |- )(\w+)(?:: | - )violates `(\w+)` at (\S+)")
# The same of a body whose every edge is tried: the field, and what is wrong in words.
IN_BODY = re.compile(r"Invalid component: in body - (\w+)\b")

CONTROL = re.compile(r"[\x00-\x08\x0B-\x1F\x7F-\x9F]")
CONTROL_IN_NAMES = re.compile(r"[\x00-\x1F\x7F-\x9F]")
# The largest whole number that every reader of JSON keeps exactly.
EXACT = 2**53 - 1


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Bounds how deep `metadata` is nested in requests: the generator of bad ones recurses into its schema without end.

    Answers are still judged by the whole schema.
    """
    schemas = raw_schema["components"]["schemas"]
    depth = 2
    for level in range(depth + 1):
        value = copy.deepcopy(schemas["MetadataValue"])
        if level == depth:
            value["anyOf"] = [kind for kind in value["anyOf"] if kind["type"] not in ("array", "object")]
        schemas[f"SentMetadataValue{level}"] = with_reference(value, "MetadataValue", f"SentMetadataValue{level + 1}")
    schemas["SentMetadata"] = with_reference(schemas["Metadata"], "MetadataValue", "SentMetadataValue0")
    for body in ("FlagEntity", "UpdateAlert"):
        schemas[body] = with_reference(schemas[body], "Metadata", "SentMetadata")


def with_reference(schema, old, new):
    """The same schema with another reference in place of one."""
    return json.loads(json.dumps(schema).replace(f'"#/components/schemas/{old}"', f'"#/components/schemas/{new}"'))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    if isinstance(failure, RejectedPositiveData):
        return not (response.status_code == 400 and is_a_rule(response.json()["error_detail"]))
    if isinstance(failure, AcceptedNegativeData):
        broken = BROKEN.findall(failure.message) or edge_of_body(failure.message)
        # Each rule that the request breaks must be known to break nothing.
        return not (broken and all(is_allowed(case, *rule) for rule in broken))
    return True


def edge_of_body(message):
    field = IN_BODY.search(message)
    return [("body", "", f"/properties/{field[1]}/")] if field else []


def is_a_rule(detail):
    if detail["code"] in OF_THE_DATA:
        return True
    faults = detail["details"].get("fields", [])
    return detail["code"] == "GEN_VALIDATION_ERROR" and all(is_of_several_parts(fault) for fault in faults)


def is_of_several_parts(fault):
    return any(re.fullmatch(field, fault["field"]) and re.match(rule, fault["message"]) for field, rule in OF_SEVERAL_PARTS)


def is_allowed(case, location, keyword, path):
    """Whether the contract lets pass what breaks `keyword` of the schema at `path`."""
    if (location, path) == ("header", "/properties/Authorization"):
        # The run's own key has taken the place of what was generated.
        return True
    name, _, within = path.removeprefix("/properties/").partition("/")
    if (location, name) == ("body", "metadata"):
        # It may be nested deeper than the schema that requests are made from.
        return isinstance(case.body, dict) and is_metadata(case.body.get("metadata"))
    values = {"query": case.query, "body": case.body}.get(location) or {}
    if not isinstance(values, dict) or not isinstance(values.get(name), list):
        return False
    values = values[name]
    if keyword == "maxItems" and not within:
        # Duplicates collapse before they are counted; a schema can't count that way.
        return len({str(value) for value in values}) <= MOST.get(name, 0)
    if location == "query" and within.startswith("items"):
        # Lists in the query are also separated by commas, and empty values left out.
        return all(isinstance(value, str) and not value.replace(",", "") for value in values if is_odd(value))
    return False


def is_odd(value):
    return not (isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]+", value))


def is_metadata(value):
    """Whether the document's own schema takes a value in `metadata`."""
    if isinstance(value, dict):
        return all(not CONTROL_IN_NAMES.search(name) and is_metadata(inner) for name, inner in value.items())
    if isinstance(value, list):
        return all(is_metadata(inner) for inner in value)
    if isinstance(value, str):
        return not CONTROL.search(value)
    return value is None or isinstance(value, bool) or -EXACT <= value <= EXACT
