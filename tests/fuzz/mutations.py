"""Spoil bytes and settings: a few random changes each, all drawn from one generator."""

import random
import struct
import zlib
from typing import Any

import pyarrow as pa

_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_KINDS = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q")
_EDGE_BYTES = 400  # headers and tables of contents lie this near to an end of a file

# what may stand where a setting should: of other kinds, out of range, or dangerous elsewhere
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    0.5,
    2**31,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\n",
    "-rf",
    "--help",
    "$(touch hacked)",
    "`touch hacked`",
    "'; touch hacked; '",
    '"',
    "../..",
    "/etc/passwd",
    "a\0b",
    "ä漢字\u202e",
    "x" * 255,
    "x" * 5000,
    "{wildcards.study}",
    "__import__('os')",
    [],
    [[]],
    [None],
    [0, 0],
    ["a", 1],
    {},
    {"type": "sift"},
    {"": ""},
    {1: 2},
    {None: []},
)


_OTHER_TYPES = (
    pa.string(),
    pa.large_string(),
    pa.binary(),
    pa.int32(),
    pa.float32(),
    pa.float64(),
    pa.bool_(),
    pa.null(),
    pa.timestamp("ns"),
    pa.list_(pa.string()),
    pa.dictionary(pa.int8(), pa.string()),
    pa.struct([("a", pa.int64())]),
)


def spoil(content: bytes, rng: random.Random, other: bytes = b"") -> bytes:
    """Change some bytes, cut, double or insert spans, or go on with another file's end."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6, 12))):
        _change(found, rng, other)
    return bytes(found)


def _change(found: bytearray, rng: random.Random, other: bytes) -> None:
    at = _place(len(found), rng)
    span = rng.choice((1, 2, 4, 16, 64, 256))
    match rng.randrange(8):
        case 0 | 1 if found:
            found[at] ^= 1 << rng.randrange(8)
        case 2 | 3:
            kind = rng.choice(_KINDS)
            size = struct.calcsize(kind)
            number = rng.choice(_NUMBERS) % 256**size
            found[at : at + size] = struct.pack(kind, number)
        case 4:
            del found[at : at + span]
        case 5:
            found[at:at] = found[at : at + span]
        case 6:
            found[at : at + span] = rng.randbytes(span)
        case _:
            if rng.random() < 0.5:
                del found[at:]
            else:
                found[at:] = other[min(at, len(other)) :]


def _place(size: int, rng: random.Random) -> int:
    """Half of the changes near the beginning, a fifth near the end."""
    if not size:
        return 0
    near = min(size, _EDGE_BYTES)
    chance = rng.random()
    if chance < 0.5:
        return rng.randrange(near)
    return size - 1 - rng.randrange(near) if chance < 0.7 else rng.randrange(size)


def with_sums_of_png(content: bytes) -> bytes:
    """Make every chunk's checksum right again, so that a reader looks behind it."""
    found, at = bytearray(content), 8
    while at + 12 <= len(found):
        size = int.from_bytes(found[at : at + 4], "big")
        end = at + 8 + size
        if end + 4 > len(found):
            break
        found[end : end + 4] = zlib.crc32(found[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(found)


def with_sums_of_tar(content: bytes) -> bytes:
    """Make the checksum of every block that looks like a header right again."""
    found = bytearray(content)
    for at in range(0, len(found) - 511, 512):
        if found[at + 257 : at + 262] == b"ustar":
            found[at + 148 : at + 156] = b" " * 8
            found[at + 148 : at + 156] = b"%06o\0 " % sum(found[at : at + 512])
    return bytes(found)


def spoil_settings(settings: Any, rng: random.Random) -> Any:
    """Change some values, names or entries anywhere in nested settings, in place."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = list(_places(settings))
        if places:
            _change_setting(*rng.choice(places), rng)
    return settings


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _change_setting(holder: Any, key: Any, rng: random.Random) -> None:
    match rng.randrange(6):
        case 0 | 1 | 2:
            holder[key] = rng.choice(HOSTILE)
        case 3:
            del holder[key]
        case 4:
            extra = rng.choice(HOSTILE)
            if isinstance(holder, list):
                holder.append(extra)
            else:
                holder[extra if _hashable(extra) else "extra"] = holder[key]
        case _:
            if isinstance(holder[key], int | float):
                holder[key] *= rng.choice((-1, 0, 1000, 1e9, 0.001))
            else:
                holder[key] = [holder[key]] * rng.choice((0, 1, 3))


def spoil_table(table: pa.Table, rng: random.Random) -> pa.Table:
    """Change some values, types, names or columns of a table."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        if table.num_columns:
            table = _change_table(table, rng.randrange(table.num_columns), rng)
    return table


def _change_table(table: pa.Table, at: int, rng: random.Random) -> pa.Table:
    field, column = table.schema.field(at), table.column(at)
    match rng.randrange(9):
        case 0 | 1 | 2 | 3:
            return table.set_column(at, field, _with_hostile(column, rng))
        case 4:
            kind = rng.choice(_OTHER_TYPES)
            try:
                return table.set_column(at, field.name, column.cast(kind))
            except pa.ArrowException:
                return table.set_column(at, field.name, pa.nulls(len(table), kind))
        case 5:
            return table.remove_column(at)
        case 6:
            new = rng.choice([value for value in HOSTILE if isinstance(value, str)])
            return table.append_column(new, column)
        case 7:
            return table.select(rng.sample(range(table.num_columns), table.num_columns))
        case _:
            return table.slice(rng.randrange(len(table) + 1), rng.choice((0, 1, 10)))


def _with_hostile(column: pa.ChunkedArray, rng: random.Random) -> pa.Array:
    """Some values replaced by others that the type of the column can hold."""
    values = column.to_pylist()
    for row in rng.choices(range(len(values)), k=rng.choice((1, 3))) if values else ():
        before, values[row] = values[row], rng.choice(HOSTILE)
        try:
            pa.array(values, column.type)
        except (pa.ArrowException, OverflowError):
            values[row] = before
    return pa.array(values, column.type)


def _hashable(value: Any) -> bool:
    return not isinstance(value, dict | list)
