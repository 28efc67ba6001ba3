#!/usr/bin/env python3
"""Verifies the chain of a feed as `redflag audit export` prints it. Needs Python 3.6 and its standard library alone."""
import argparse, decimal, hashlib, json, sys

def number(value):  # as ECMAScript writes doubles
    sign, digits, exponent = decimal.Decimal(repr(value)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + exponent
    if value == 0: return "0"
    if 21 >= point >= len(text): text += "0" * (point - len(text))
    elif 21 >= point > 0: text = text[:point] + "." + text[point:]
    elif 0 >= point > -6: text = "0." + "0" * -point + text
    else: text = text[0] + "." * (len(text) > 1) + text[1:] + "e%+d" % (point - 1)
    return "-" * sign + text

def canonical(value):  # RFC 8785
    if isinstance(value, float): return number(value)
    if isinstance(value, list): return "[" + ",".join(map(canonical, value)) + "]"
    if not isinstance(value, dict): return json.dumps(value, ensure_ascii=False)
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"

def once(pairs):
    if len(dict(pairs)) < len(pairs): raise ValueError("a name stands twice")
    return dict(pairs)

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("file", nargs="?", default=0, help="one event a line (default: standard input)")
arguments.add_argument("--from", dest="first", type=int, default=1, help="the position that it begins with (default: 1)")
arguments = arguments.parse_args()
position, last = arguments.first - 1, "0" * 64 if arguments.first == 1 else None
for line in open(arguments.file, encoding="utf-8"):
    problem = "broken at position %d: the event " % (position + 1)
    try:
        event = json.loads(line, parse_int=float, object_pairs_hook=once)
        claimed, previous, place = event.pop("hash"), event["previous_hash"], event["position"]
        computed = hashlib.sha256(bytes.fromhex(previous) + canonical(event).encode()).hexdigest()
    except Exception as error: sys.exit(problem + "can't be read: %r" % error)
    if place != position + 1: sys.exit(problem + "is missing")
    if claimed != computed or last not in (None, previous): sys.exit(problem + "was changed")
    position, last = position + 1, claimed
if last is None: sys.exit("broken at position %d: the event is missing" % (position + 1))
print("ok: %d events, head %d %s" % (position + 1 - arguments.first, position, last))
