"""Makes messages of any type from its descriptor: well-formed ones, odd ones, and bytes that are none.

All of it comes from one `random.Random`, so a seed tells what is sent; but for the ids and page tokens that the server
made, which are remembered to be sent back to it.
"""

import struct

from google.protobuf.descriptor import FieldDescriptor as Field

ALPHABET = "abcXYZ019 -_.:/äß漢😀"
ODD_CHARACTERS = "\0\x01\x08\x0b\x0c\r\x1b\x1f\x7f\x80\x9f\u2028\ufeff\ufffe\U0010ffff‮é"
ODD_TEXTS = [
    "ano_", "ano_1", "bln_", "bln_" + "a" * 64, "bln_" + "a" * 65, "xxx_1", "null", "\\", "'; --", "%s", "../..", "ｆ",
]  # fmt: skip
LENGTHS = [0, 1, 2, 63, 64, 65, 127, 128, 129, 199, 200, 201, 202]
LONG_LENGTHS = [9_999, 10_000, 10_001, 16_383, 16_384, 16_385, 70_000]
COUNTS = [49, 50, 51, 99, 100, 101, 102]
COLOURS = ["#3B82F6", "#10b981", "#F59E0B", "#E11D48", "#0EA5E9"]
INTEGERS = [0, 1, 2, 50, 999, 1000, 1001, -1, 2**31 - 1, -(2**31)]
LONG_INTEGERS = [*INTEGERS, 2**53, 2**63 - 1, -(2**63)]
SECONDS = [0, 1, -1, 1_767_225_600, 253_402_300_799, 253_402_300_800, -62_135_596_800, -62_135_596_801, 2**63 - 1, -(2**63)]
NANOSECONDS = [0, 1, 999, 1000, 999_999_999, 1_000_000_000, -1, 2**31 - 1, -(2**31)]
NUMBERS = [0.0, -0.0, 1.5, -1e308, 5e-324, 2.0**53 - 1, 2.0**53, -(2.0**53), float("inf"), float("-inf"), float("nan")]
PATHS = [
    "title", "description", "status", "severity", "assigned_to", "escalated_to", "metadata", "affected_balances",
    "affected_identities", "affected_transactions", "disposition", "disposition_reason", "name", "colour",
    "anomaly_id", "version", "metadata.a", "alert.title", "*", "", ".", "title.", "Title", "a" * 500, "\0", "tïtle",
]  # fmt: skip

# Fields without which a call is refused at once; they are nearly always there.
REQUIRED = {"entity_id", "anomaly_id", "description", "alert", "alert_status", "name", "colour", "to", "key"}


class Known:
    """What the server made, to be sent back: the last few of each kind."""

    def __init__(self):
        self.alerts, self.tokens, self.keys = [], [], ["FLAGGED", "INVESTIGATING", "RESOLVED"]

    def remember(self, kept, value):
        if value and value not in kept:
            kept.append(value)
            if len(kept) > 40:
                del kept[3]


class Maker:
    """Makes messages; `oddity` is how likely each value is an odd one."""

    def __init__(self, rng, known):
        self.rng, self.known, self.oddity = rng, known, 0.0

    def message(self, message, oddity):
        """Fills a message of any type."""
        self.oddity = oddity
        # How many values a `Struct` may still get: it is a tree, which would grow with the power of its depth.
        self.values_left = 400
        self._fill(message, 0)
        return message

    def payload(self, message_class):
        """The bytes of a message: three in four are one, and one in four something else."""
        rng = self.rng
        message = self.message(message_class(), rng.choice([0.0, 0.0, 0.02, 0.02, 0.1, 0.5]))
        whole = message.SerializeToString()
        if rng.random() < 0.75:
            return whole
        return rng.choice([self._random_bytes, self._mutated, self._truncated, self._unknown_fields, self._nested])(whole)

    def _is_odd(self):
        return self.rng.random() < self.oddity

    def _fill(self, message, depth):
        name = message.DESCRIPTOR.full_name
        if name == "google.protobuf.Timestamp":
            message.seconds = self.rng.choice(SECONDS) if self._is_odd() else self.rng.randint(1_600_000_000, 2_000_000_000)
            message.nanos = self.rng.choice(NANOSECONDS) if self._is_odd() else self.rng.randrange(1_000_000_000)
        elif name == "google.protobuf.FieldMask":
            own = PATHS[-14:] if self._is_odd() else PATHS[:12]
            message.paths.extend(self.rng.choice(own) for _ in range(self._count()))
        elif name == "google.protobuf.Struct":
            self._fill_struct(message, self.rng.choice([15, 16, 17, 40]) if self._is_odd() else 2)
        elif name == "google.protobuf.Value":
            self._fill_value(message, 3)
        else:
            for field in message.DESCRIPTOR.fields:
                self._fill_field(message, field, depth)

    def _fill_field(self, message, field, depth):
        likely = 0.9 if field.name in REQUIRED else 0.35
        if self.rng.random() > likely:
            return
        if field.is_repeated:
            values = getattr(message, field.name)
            same = self._scalar(field) if field.message_type is None else None
            for _ in range(self._count()):
                if field.message_type is None:
                    values.append(same if self.rng.random() < 0.2 else self._scalar(field))
                elif depth < 4:
                    self._fill(values.add(), depth + 1)
        elif field.message_type is None:
            setattr(message, field.name, self._scalar(field))
        elif depth < 4:
            inner = getattr(message, field.name)
            inner.SetInParent()
            self._fill(inner, depth + 1)

    def _count(self):
        if not self._is_odd():
            return self.rng.randrange(4)
        return self.rng.choice(COUNTS) if self.rng.random() < 0.9 else 2000

    def _scalar(self, field):
        rng = self.rng
        if field.type == Field.TYPE_BOOL:
            return rng.random() < 0.5
        if field.type == Field.TYPE_STRING:
            return self._text(field.name)
        if field.type == Field.TYPE_BYTES:
            return rng.randbytes(rng.randrange(20))
        if field.type == Field.TYPE_ENUM:
            numbers = [value.number for value in field.enum_type.values]
            return rng.choice([-1, 7, 99, 2**31 - 1, -(2**31)]) if self._is_odd() else rng.choice(numbers)
        if field.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
            return rng.choice(NUMBERS)
        if field.type in (Field.TYPE_INT32, Field.TYPE_SINT32, Field.TYPE_SFIXED32):
            return rng.choice(INTEGERS) if self._is_odd() else rng.choice([0, 1, 2, 5, 20])
        if self._is_odd():
            return rng.choice(LONG_INTEGERS)
        return 0 if field.name == "expected_version" and rng.random() < 0.7 else rng.randrange(4)

    def _text(self, name):
        rng = self.rng
        if self._is_odd():
            return self._odd_text(name)
        if name in ("entity_id", "additional_entity_ids", "entity_ids"):
            return rng.choice(["bln_", "bal_", "txn_", "idt_"]) + str(rng.randrange(200))
        if name.startswith("affected_"):
            return {"affected_balances": "bln_", "affected_transactions": "txn_"}.get(name, "idt_") + str(rng.randrange(200))
        if name in ("anomaly_id", "previous_anomaly_id"):
            return rng.choice(self.known.alerts or ["ano_00000000-0000-7000-8000-000000000000"])
        if name in ("status", "statuses", "key"):
            return rng.choice(self.known.keys) if rng.random() < 0.8 else f"KEY_{rng.randrange(60)}"
        if name == "colour":
            return rng.choice(COLOURS)
        if name == "page_token":
            return rng.choice(["", *self.known.tokens[-5:]])
        if name in ("request_id", "dedup_key"):
            return f"{name}-{rng.randrange(2000)}" if rng.random() < 0.5 else ""
        return "".join(rng.choices(ALPHABET, k=rng.randrange(1, 40)))

    def _odd_text(self, name):
        rng = self.rng
        kind = rng.randrange(5)
        if kind == 0:
            length = rng.choice(LENGTHS if rng.random() < 0.8 else LONG_LENGTHS)
            return rng.choice(["a", "Z", "é", "😀", "_", "-", " ", "\n"]) * length
        if kind == 1:
            text = list(self._plain(name))
            text.insert(rng.randint(0, len(text)), rng.choice(ODD_CHARACTERS))
            return "".join(text)
        if kind == 2:
            text = self._plain(name)
            alike = [text.upper(), text.lower(), text + " ", text * 2, text[:-1], text[::-1], text + "'", "%" + text]
            return rng.choice(alike)
        if kind == 3:
            return rng.choice(ODD_TEXTS)
        limits = rng.choices([0x20, 0x80, 0xD800], k=rng.randrange(30))
        return "".join(chr(rng.randrange(limit)) for limit in limits)

    def _plain(self, name):
        oddity, self.oddity = self.oddity, 0.0
        text = self._text(name)
        self.oddity = oddity
        return text

    def _fill_struct(self, struct_, depth):
        count = self.rng.randrange(4) if not self._is_odd() else 300
        for _ in range(min(count, self.values_left)):
            key = self._odd_text("note") if self._is_odd() else "".join(self.rng.choices("abcdef", k=3))
            self._fill_value(struct_.fields[key], depth - 1)

    def _fill_value(self, value, depth):
        rng = self.rng
        self.values_left -= 1
        kind = rng.randrange(8) if self.values_left > 0 else 4
        if depth > 3:
            # A deep one: nothing beside the way down.
            inner = value.struct_value.fields["a"] if rng.random() < 0.5 else value.list_value.values.add()
            self._fill_value(inner, depth - 1)
        elif kind == 0:
            value.null_value = 0
        elif kind == 1:
            value.number_value = rng.choice(NUMBERS) if self._is_odd() else rng.randrange(1000) / 4
        elif kind in (2, 3):
            value.string_value = self._text("note")
        elif kind == 4:
            value.bool_value = rng.random() < 0.5
        elif kind == 5 and depth > 0:
            value.struct_value.SetInParent()
            self._fill_struct(value.struct_value, depth)
        elif kind == 6 and depth > 0:
            for _ in range(rng.randrange(4)):
                self._fill_value(value.list_value.values.add(), depth - 1)
        elif not self._is_odd():
            value.bool_value = True
        # Else a value of no kind at all.

    def _random_bytes(self, _):
        # Rarely more than a request may hold.
        length = 1024 * 1024 + 1 if self.rng.random() < 0.004 else self.rng.choice([1, 2, 5, 30, 300])
        return self.rng.randbytes(length)

    def _mutated(self, whole):
        whole = bytearray(whole or b"\n\x01a")
        for _ in range(self.rng.randint(1, 4)):
            whole[self.rng.randrange(len(whole))] = self.rng.randrange(256)
        return bytes(whole)

    def _truncated(self, whole):
        return whole[: self.rng.randrange(len(whole) + 1)] + self.rng.randbytes(self.rng.randrange(3))

    def _unknown_fields(self, whole):
        """Fields that there are not, of every wire type, and known numbers with the wrong one."""
        pieces = []
        for _ in range(self.rng.randint(1, 4)):
            number = self.rng.choice([1, 2, 3, 4, 5, 99, 5000, 2**29 - 1])
            kind = self.rng.choice([0, 1, 2, 5, 3, 7])
            pieces.append(varint(number << 3 | kind))
            if kind == 0:
                pieces.append(varint(self.rng.getrandbits(64)))
            elif kind == 1:
                pieces.append(struct.pack("<q", self.rng.getrandbits(62)))
            elif kind == 2:
                text = self.rng.randbytes(self.rng.randrange(6))
                pieces.append(varint(len(text)) + text)
            elif kind == 5:
                pieces.append(struct.pack("<i", self.rng.getrandbits(30)))
            elif kind == 3:
                pieces.append(varint(number << 3 | 4))
        return whole + b"".join(pieces)

    def _nested(self, _):
        """A message in a message in a message, as deep as it gets."""
        number = self.rng.randint(1, 16)
        inner = self.rng.randbytes(2)
        for _ in range(self.rng.choice([5, 60, 101, 300])):
            inner = varint(number << 3 | 2) + varint(len(inner)) + inner
        return inner


def varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
