"""Parse the files of NumPy without believing them: plain numbers and text, nothing that runs.

NumPy's own reader evaluates the header as Python and makes room for whatever shape it states.
Here the header has to be one that NumPy writes for numbers or text, and the bytes after it as
many as it says; of an archive nothing is compressed, so that it takes no more memory than disk.
"""

import math
import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Literal

import numpy as np

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}  # by version of the format
_LONGEST = 10_000
_CHUNK_BYTES = 1 << 22
_HEADER = re.compile(
    rb"\{'descr': '([<>|=][biufcUS]\d{1,9})', 'fortran_order': (True|False),"
    rb" 'shape': \(((?:\d{1,18}, )*(?:\d{1,18},?)?)\), \} *\n"
)
_LAST_CHARACTER = 0x10FFFF
BROKEN = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError)


@dataclass(frozen=True)
class Header:
    """What the head of a ``.npy`` file says of the rest.

    Attributes
    ----------
    dtype, shape, order
        Of the array.
    offset : int
        Bytes before the values.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    offset: int

    @property
    def end(self) -> int:
        """Bytes of header and values."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def header(start: bytes) -> Header:
    """Parse the head of a ``.npy`` file, of which ``start`` holds the first bytes.

    Raises
    ------
    ValueError
        If it is none, or describes anything but numbers or text.
    """
    n_length = _LENGTH_BYTES.get(start[6] if len(start) > 6 else 0, 0)
    if not start.startswith(_MAGIC) or not n_length:
        raise ValueError("no array in NumPy's format")
    begin = 8 + n_length
    size = int.from_bytes(start[8:begin], "little")
    found = _HEADER.fullmatch(start[begin : begin + size])
    if found is None:
        raise ValueError("its header is not one of plain numbers or text")
    kind, order, shape = (group.decode() for group in found.groups())
    try:
        dtype = np.dtype(kind)
    except TypeError as error:
        raise ValueError(f"there is no type {kind}") from error
    sides = tuple(int(side) for side in shape.split(",") if side.strip())
    return Header(dtype, sides, "F" if order == "True" else "C", begin + size)


def head_bytes() -> int:
    """As many first bytes as :func:`header` can need."""
    return 8 + 4 + _LONGEST


def archive(content: bytes) -> dict[str, np.ndarray]:
    """The named arrays in the content of an uncompressed ``.npz`` file, copied.

    Raises
    ------
    ValueError or another of `BROKEN`
        If it is damaged, compressed, or holds more than numbers or text.
    """
    found = {}
    with zipfile.ZipFile(BytesIO(content)) as zipped:
        members = zipped.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, as no model here is")
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("it states more bytes than it has")
        for member in members:
            found[member.filename.removesuffix(".npy")] = _member(zipped, member)
    return found


def _member(zipped: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with zipped.open(member) as file:
        head = header(file.read(head_bytes()))
    if head.end != member.file_size:
        raise ValueError(f"{member.file_size:,} bytes where its header says {head.end:,}")
    values = np.empty(math.prod(head.shape), head.dtype)
    if values.nbytes:
        with zipped.open(member) as file:
            file.read(head.offset)
            _fill(values.view(np.uint8), file)
        _refuse_no_text(values)
    return values.reshape(head.shape, order=head.order)


def _fill(room: np.ndarray, file: IO[bytes]) -> None:
    """Read as many bytes as there is room for, piece by piece: no second copy of them all."""
    for start in range(0, len(room), _CHUNK_BYTES):
        part = room[start : start + _CHUNK_BYTES]
        piece = file.read(len(part))
        if len(piece) != len(part):
            raise ValueError("it is cut off")
        part[:] = np.frombuffer(piece, np.uint8)


def _refuse_no_text(values: np.ndarray) -> None:
    if values.dtype.kind == "U":
        codes = values.view(values.dtype.str[0] + "u4")
        if codes.max() > _LAST_CHARACTER:
            raise ValueError("its text has characters that do not exist")
