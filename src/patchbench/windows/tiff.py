"""TIFF and BigTIFF by window: only the tiles or strips that a window touches are decoded."""

import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import tifffile

from patchbench import tiffs
from patchbench.errors import UserError
from patchbench.tiffs import GREY, RGB, WHITE_IS_ZERO, YCBCR
from patchbench.windows.base import Origin, Windows
from patchbench.windows.turned import upright

# Neighbouring windows share tiles of the file; so much of the decoded ones is kept. A row of
# windows shares strips from end to end: all that one window touches, up to the second limit.
_CACHE_MIB, _BAND_MIB = 32, 512
# tiles wider than this and than the image are no tiles
_LARGEST_TILE_PX = 4096
_LARGEST_PIECE_MIB = 512
_JPEG = (6, 7)
# What ExtraSamples says of a fourth channel. Pillow takes one that it does not name for opacity,
# as programs that forgot the tag meant it, and Corel's 999 as well.
_UNSPECIFIED, _PREMULTIPLIED, _UNNAMED = (0,), (1,), ()
_FOURTH = (_UNNAMED, _UNSPECIFIED, _PREMULTIPLIED, (2,), (999,))
_DAMAGED = tiffs.damages()


def is_tiff(path: Path) -> bool:
    """Whether the file begins as a TIFF or BigTIFF does."""
    try:
        with path.open("rb") as file:
            return file.read(4) in tiffs.MAGIC
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; check the image") from error


def opened(origin: Origin) -> Windows | None:
    """Open the first page, or give None where its colours need the whole picture's decoder.

    Raises
    ------
    UserError
        If the file is cut off or damaged, or its pixels are neither of 8 nor of 16 bits.
    """
    try:
        file = tifffile.TiffFile(origin.path)
        try:
            page = file.pages.first
            _check_sizes(page)
            _check_complete(page, origin)
            if not _is_plain(page, origin):
                file.close()
                return None
            return upright(TiffWindows(file, page, origin), page.tags.valueof("Orientation", 1))
        except BaseException:
            file.close()
            raise
    except _DAMAGED as error:
        raise _damaged(origin, str(error)) from error


def _damaged(origin: Origin, reason: str) -> UserError:
    line = reason.split("\n")[0] or "unreadable"
    if not any(letter.isalpha() for letter in line):  # all that is told of a missing key
        line = f"unexpected value {line}"
    return UserError(f"{origin.path} is a damaged TIFF ({line}); copy or export it again")


def _check_sizes(page: tifffile.TiffPage) -> None:
    image = (page.imagelength, page.imagewidth)
    segment = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip,)
    sizes = (*image, page.samplesperpixel, *segment)
    # a damaged field may hold anything, also several numbers
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"impossible sizes {sizes}")
    if page.is_tiled and max(segment) > max(*image, _LARGEST_TILE_PX):
        raise ValueError(f"impossible tiles {segment}")


def _check_complete(page: tifffile.TiffPage, origin: Origin) -> None:
    size = origin.path.stat().st_size
    ends = [at + n for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > size:
        needed = f"{max(ends):,} bytes" if ends else "pixels"
        raise UserError(
            f"{origin.path} is cut off: it has {size:,} bytes and says it has {needed}; "
            "copy or export it again"
        )


def _is_plain(page: tifffile.TiffPage, origin: Origin) -> bool:
    refused = tiffs.refused_kind(page)
    if refused:
        raise UserError(f"{origin.path} {refused}")
    if page.bitspersample not in (8, 16) or page.imagedepth > 1:
        return False
    n_channels = page.samplesperpixel
    colours = page.photometric == RGB and (
        n_channels == 3 or (n_channels == 4 and page.dtype == np.uint8 and _extra(page) in _FOURTH)
    )
    colours |= page.photometric == YCBCR and page.compression in _JPEG and n_channels == 3
    # more than three channels without a colour model are bands, of a satellite for one
    bands = page.photometric == GREY and n_channels != 2
    return colours or bands or (page.photometric == WHITE_IS_ZERO and n_channels == 1)


def _extra(page: tifffile.TiffPage) -> tuple[int, ...]:
    """What the file says of its channels beyond those of colours."""
    return tuple(int(kind) for kind in page.extrasamples)


class TiffWindows(Windows):
    """Windows of one page of a TIFF.

    Grey becomes RGB, where zero is white it is inverted, transparency is laid on white, 16 bits
    become 8, as in `images.decode`;
    bands without a colour model stay as many as they are. Where a row of windows needs more than
    512 MiB of strips, these are decoded again for each window.

    Parameters
    ----------
    file, page : TiffFile, TiffPage
        Open; closed with the windows.
    origin : Origin
        The file as it was when it was opened.
    """

    def __init__(self, file: tifffile.TiffFile, page: tifffile.TiffPage, origin: Origin) -> None:
        self._file, self._page, self._origin = file, page, origin
        self.height_px, self.width_px = page.imagelength, page.imagewidth
        n_stored = page.samplesperpixel
        self._is_colour = page.photometric not in (GREY, WHITE_IS_ZERO)
        self.n_channels = 3 if self._is_colour or n_stored == 1 else n_stored
        # planes one after the other, or the channels of a pixel side by side
        self._n_planes = n_stored if page.planarconfig == 2 else 1
        if page.is_tiled:
            self._segment_px = page.tilelength, page.tilewidth
        else:
            self._segment_px = min(page.rowsperstrip, self.height_px), self.width_px
        self._decoded: OrderedDict[int, np.ndarray] = OrderedDict()
        self._n_held, self._n_most = 0, 0  # bytes decoded, and how many may be
        self._mapped = self._map()
        self._check_pieces()

    def _check_pieces(self) -> None:
        """Refuse tiles or strips that take more memory than any sound one, each alone."""
        if self._mapped is None and self._piece_bytes > _LARGEST_PIECE_MIB * 2**20:
            height, width = self._segment_px
            raise UserError(
                f"{self._origin.path} has pieces of {width:,} x {height:,} px, which only decode "
                f"whole and take more than {_LARGEST_PIECE_MIB} MiB; export it again as tiled TIFF"
            )

    @property
    def _piece_bytes(self) -> int:
        """Bytes of a decoded tile or strip."""
        n_channels = self._page.samplesperpixel // self._n_planes
        return math.prod(self._segment_px) * n_channels * int(np.dtype(self._page.dtype).itemsize)

    def _map(self) -> np.ndarray | None:
        """Raw pixels, (planes, height, width, channels), where nothing needs decoding."""
        page = self._page
        if not (page.is_memmappable and page.is_contiguous and page.dtype is not None):
            return None
        dtype = page.dtype.newbyteorder(self._file.byteorder)
        shape = (self._n_planes, *page.shape[-2:], 1)
        if self._n_planes == 1:
            shape = (1, self.height_px, self.width_px, page.samplesperpixel)
        offset = page.dataoffsets[0]
        return np.memmap(self._origin.path, dtype, "r", offset=offset, shape=shape)

    def read(self, y_px: int, x_px: int, height_px: int, width_px: int) -> np.ndarray:
        """Pixels of a window, uint8 (height_px, width_px, n_channels)."""
        self._origin.check()  # before: behind the end of a file that was cut, a map is a crash
        raw = self._raw(y_px, x_px, y_px + height_px, x_px + width_px)
        self._origin.check()  # after: it may have changed in between
        if self._page.photometric == WHITE_IS_ZERO:
            raw = np.iinfo(raw.dtype).max - raw
        if raw.dtype != np.uint8:
            raw = self._in_eight_bits(raw)
        return self._as_channels(raw)

    def _raw(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """Pixels as they are stored, planes side by side."""
        if self._mapped is None:
            planes = self._assembled(top, left, bottom, right)
        else:
            planes = self._mapped[:, top:bottom, left:right]
        return np.concatenate(list(planes), axis=-1)

    def _in_eight_bits(self, raw: np.ndarray) -> np.ndarray:
        """16 bits as `images.decode` shortens them."""
        if self._is_colour:  # Pillow has no colours of 16 bits and keeps the higher byte
            return (raw >> 8).astype(np.uint8)
        # 65535 / 257 = 255, so white stays white
        return np.rint(raw / np.float32(257)).astype(np.uint8)

    def _as_channels(self, raw: np.ndarray) -> np.ndarray:
        if raw.shape[2] == 1:
            return np.repeat(raw, 3, axis=2)
        if self._is_colour and raw.shape[2] == 4:
            from patchbench.images import on_white

            extra = _extra(self._page)
            if extra == _UNSPECIFIED:  # it may be anything, but is no opacity
                return raw[..., :3]
            return on_white(raw, premultiplied=extra == _PREMULTIPLIED)
        return raw

    def _assembled(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """Put the window together from the segments that it touches."""
        page, (height, width) = self._page, self._segment_px
        n_channels = page.samplesperpixel // self._n_planes
        out = np.empty((self._n_planes, bottom - top, right - left, n_channels), page.dtype)
        n_touched = self._n_planes * (-(-bottom // height) - top // height)
        band = 0 if page.is_tiled else min(n_touched * self._piece_bytes, _BAND_MIB * 2**20)
        self._n_most = max(_CACHE_MIB * 2**20, band)
        for plane in range(self._n_planes):
            for row in range(top // height, -(-bottom // height)):
                for col in range(left // width, -(-right // width)):
                    segment = self._segment(plane, row, col)
                    y, x = row * height, col * width
                    ys = max(top, y), min(bottom, y + height)
                    xs = max(left, x), min(right, x + width)
                    out[plane, ys[0] - top : ys[1] - top, xs[0] - left : xs[1] - left] = segment[
                        ys[0] - y : ys[1] - y, xs[0] - x : xs[1] - x
                    ]
        return out

    def _segment(self, plane: int, row: int, col: int) -> np.ndarray:
        """Pixels of a tile or a strip, (height, width, channels), decoded or remembered."""
        n_rows = -(-self.height_px // self._segment_px[0])
        n_cols = -(-self.width_px // self._segment_px[1])
        index = (plane * n_rows + row) * n_cols + col
        if index in self._decoded:
            self._decoded.move_to_end(index)
            return self._decoded[index]
        try:
            pixels = self._decode(index)
        except _DAMAGED as error:
            self._origin.check()
            raise _damaged(self._origin, str(error)) from error
        self._decoded[index] = pixels
        self._n_held += pixels.nbytes
        # one of each plane always stays, however large
        while self._n_held > self._n_most and len(self._decoded) > self._n_planes:
            self._n_held -= self._decoded.popitem(last=False)[1].nbytes
        return pixels

    def _decode(self, index: int) -> np.ndarray:
        page, handle = self._page, self._file.filehandle
        handle.seek(page.dataoffsets[index])
        data = handle.read(page.databytecounts[index])
        tables: dict[str, bytes | None] = {}
        if page.compression in _JPEG:
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        # a segment without bytes is empty: the format's way to leave one out
        pixels, _, shape = page.decode(data or None, index, **tables)
        if pixels is None:
            pixels = np.full(shape, page.nodata, page.dtype)
        return pixels[0]

    def close(self) -> None:
        """Close the file."""
        self._mapped = None
        self._decoded.clear()
        self._file.close()
