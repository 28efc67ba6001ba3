#!/usr/bin/env python3
"""Verifies a feed as `redflag audit export` prints it, and the signatures of its heads where they are exported too. Needs
Python 3.6 and its standard library alone; the package `cryptography` makes signatures faster."""
import argparse, base64, decimal, hashlib, json, sys

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

# Ed25519 (RFC 8032 §5.1): points as X, Y, Z, T with x = X/Z, y = Y/Z, x*y = T/Z.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P

def point(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or x == 0 and sign: raise ValueError("no point of the curve")
    if x & 1 != sign: x = P - x
    return x, y, 1, x * y % P

def add(one, two):
    a, b = (one[1] - one[0]) * (two[1] - two[0]) % P, (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def times(factor, base):
    sum = 0, 1, 1, 0
    while factor:
        if factor & 1: sum = add(sum, base)
        base, factor = add(base, base), factor >> 1
    return sum

BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def fits(key, text, signature):
    try: from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError: pass
    else:
        try: return Ed25519PublicKey.from_public_bytes(key).verify(signature, text) is None
        except Exception: return False
    try: r, a, s = point(signature[:32]), point(key), int.from_bytes(signature[32:], "little")
    except ValueError: return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(challenge, a))
    same = (left[0] * right[2] - right[0] * left[2]) % P == 0 == (left[1] * right[2] - right[1] * left[2]) % P
    return len(signature) == 64 and s < L and same

def public_key(raw):  # the 32 bytes of a key in a file or in base64, in PEM or not
    for read in (lambda: raw, lambda: open(raw, encoding="ascii").read()):
        try: key = base64.b64decode("".join(line for line in read().split("\n") if "-----" not in line), validate=True)
        except Exception: continue
        if key[:-32] in (b"", bytes.fromhex("302a300506032b6570032100")) and len(key) >= 32: return key[-32:]
    raise ValueError()

def extend(stretches, first, last):
    if first > last: return
    if stretches and stretches[-1][1] == first - 1: stretches[-1][1] = last
    else: stretches.append([first, last])

def positions(stretches):
    named = ", ".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in stretches[:10])
    return named + (" and %d more" % (len(stretches) - 10) if len(stretches) > 10 else "")

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("file", nargs="?", default=0, help="one event a line (default: standard input)")
arguments.add_argument("--from", dest="first", type=int, default=1, help="the position that it begins with (default: 1)")
arguments.add_argument("--public-key", dest="keys", type=public_key, action="append", default=[], metavar="FILE_OR_BASE64",
    help="the key that events must be signed with; several where keys were rotated")
arguments.add_argument("--require-signed", action="store_true", help="fail where an event is not signed with such a key")
arguments = arguments.parse_args()
keys = {hashlib.sha256(key).hexdigest()[:16]: key for key in arguments.keys}
position, last, organization = arguments.first - 1, "0" * 64 if arguments.first == 1 else None, None
settled, signed, unsigned, found, others = position, [], [], 0, []  # settled: up to where it is known what is signed
for line in open(arguments.file, encoding="utf-8"):
    problem = "broken at position %d: the event " % (position + 1)
    try:
        event = json.loads(line, parse_int=float, object_pairs_hook=once)
        if "signature" in event and "hash" not in event:
            begin, place, signature = event["first_position"], event["position"], base64.b64decode(event["signature"])
            text = "redflag-head-v1\n%s\n%d\n%d\n%s\n" % (event["organization_id"], begin, place, last)
            found, key = found + 1, keys.get(event["key_id"])
            is_right = key and 1 <= begin <= place and fits(key, text.encode(), signature)
            if place != position or event["organization_id"] != organization or key and not is_right:
                sys.exit("broken at position %d: the signature does not fit the events before it and its key" % place)
            if key is None: others.append(event["key_id"])
            else:
                extend(unsigned, settled + 1, int(begin) - 1)
                extend(signed, max(settled + 1, int(begin)), position)
                settled = position
            continue
        claimed, previous, place = event.pop("hash"), event["previous_hash"], event["position"]
        computed = hashlib.sha256(bytes.fromhex(previous) + canonical(event).encode()).hexdigest()
    except Exception as error: sys.exit(problem + "can't be read: %r" % error)
    if place != position + 1: sys.exit(problem + "is missing")
    if claimed != computed or last not in (None, previous): sys.exit(problem + "was changed")
    position, last, organization = position + 1, claimed, event.get("organization_id")
if last is None: sys.exit("broken at position %d: the event is missing" % (position + 1))
extend(unsigned, settled + 1, position)
told = "; %d signatures by other keys (%s)" % (len(others), ", ".join(sorted(set(others))[:10])) if others else ""
if arguments.require_signed and unsigned:
    sys.exit("not signed with the keys given: the events at " + positions(unsigned) + told)
stretches = [("; signed ", signed), ("; unsigned ", unsigned)]
told = "".join(word + positions(which) for word, which in stretches if which) + told if keys else ""
if found and not keys: print("%d signatures were not checked, for want of --public-key" % found, file=sys.stderr)
print("ok: %d events, head %d %s%s" % (position + 1 - arguments.first, position, last, told))
