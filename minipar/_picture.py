"""How does a drawing become a small file? As a PNG with at most 256 colours.

Lab stores a picture beside each figure as an RGBA PNG: about 250 kB for a timeline that holds a dozen colours and their
soft edges. The same drawing as indexes into a palette is a fifth of that, and looks the same.

    pixels [height, width, 3] ── coarse colours, counted ── the 256 most frequent ── each pixel to its nearest
"""

import struct
import zlib

import numpy

COLOURS = 256


def palette_png(pixels: numpy.ndarray) -> bytes:
    """A PNG of `pixels` ([height, width, 3], bytes 0 to 255) with a palette; the same pixels give the same bytes."""
    height, width, _ = pixels.shape
    flat = pixels.reshape(-1, 3)
    for bits in (6, 5, 4, 3):  # coarser until 256 colours cover nearly every pixel
        coarse = (flat >> (8 - bits)).astype(numpy.int64) @ numpy.array([1 << 2 * bits, 1 << bits, 1])
        _, which, counts = numpy.unique(coarse, return_inverse=True, return_counts=True)
        if numpy.sort(counts)[-COLOURS:].sum() >= 0.995 * len(flat):
            break
    sums = numpy.stack([numpy.bincount(which, weights=flat[:, channel]) for channel in range(3)], axis=1)
    means = numpy.rint(sums / counts[:, None])
    kept = numpy.argsort(-counts, kind="stable")[:COLOURS]
    distances = ((means[:, None, :] - means[None, kept, :]) ** 2).sum(axis=2)
    indexes = distances.argmin(axis=1)[which].astype(numpy.uint8).reshape(height, width)
    rows = numpy.zeros((height, width + 1), dtype=numpy.uint8)  # each row opens with 0: no filter
    rows[:, 1:] = indexes
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", means[kept].astype(numpy.uint8).tobytes()),
            chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            chunk(b"IEND", b""),
        ]
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    """One part of a PNG file: length, kind, data, check sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
