"""Do all ranks mean the same collective?

gloo does not ask: an all-reduce of 4 numbers here and 6 there returns wrong numbers without an error, and two
dtypes end the process. So before a rank enters a collective it writes what it is about to call on a board, a small
file in shared memory, and reads what the others wrote for the same number. Whoever comes second sees the difference
and refuses.

    rank 0   #7 all_reduce sum float32 [4]   Cell In[3], line 5
    rank 1   #7 all_reduce sum float32 [6]   Cell In[3], line 7     <- refuses here, before any byte moves

The board also counts the letters (`w.send`) each rank has collected, so that a sender knows which copies it may
drop.
"""

import mmap
import os
import struct

SLOTS = 256  # collectives a rank may be ahead of another before an old entry is overwritten
_HEAD = struct.Struct("<QII")
_TEXT = 112
_WHERE = 240


class Board:
    """One rank's view of the shared file. `ranks` is the pool's size; every rank writes its own part only."""

    def __init__(self, path, ranks, rank):
        self.ranks, self.rank = ranks, rank
        self._slot = _HEAD.size + _TEXT + _WHERE + 16 * ranks
        self._part = SLOTS * self._slot + 8 * ranks
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._part * ranks)

    @staticmethod
    def make(path, ranks):
        """Creates the empty file for a pool of this size."""
        with open(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b") as file:
            file.truncate((SLOTS * (_HEAD.size + _TEXT + _WHERE + 16 * ranks) + 8 * ranks) * ranks)

    def write(self, group, number, text, where, sends=(), receives=()):
        """Says what this rank is about to call as collective `number` of `group`."""
        at = self._at(self.rank, group, number)
        self._memory[at : at + 8] = bytes(8)  # a reader must not join the old head with the new body
        body = at + _HEAD.size
        self._memory[body : body + _TEXT] = text.encode()[:_TEXT].ljust(_TEXT, b"\0")
        self._memory[body + _TEXT : body + _TEXT + _WHERE] = where.encode()[-_WHERE:].ljust(_WHERE, b"\0")
        if sends:
            pairs = [value for pair in zip(sends, receives, strict=True) for value in pair]
            struct.pack_into(f"<{len(pairs)}q", self._memory, body + _TEXT + _WHERE, *pairs)
        _HEAD.pack_into(self._memory, at, group, number, len(sends))

    def read(self, rank, group, number):
        """What `rank` wrote for that collective: (text, where, sends, receives), or None if it is not there yet."""
        at = self._at(rank, group, number)
        found, its_number, parts = _HEAD.unpack_from(self._memory, at)
        if (found, its_number) != (group, number):
            return None
        body = at + _HEAD.size
        text = self._memory[body : body + _TEXT].rstrip(b"\0").decode(errors="replace")
        where = self._memory[body + _TEXT : body + _TEXT + _WHERE].rstrip(b"\0").decode(errors="replace")
        pairs = struct.unpack_from(f"<{2 * parts}q", self._memory, body + _TEXT + _WHERE)
        return text, where, pairs[0::2], pairs[1::2]

    def collected(self, reader, source):
        """How many letters `reader` has collected from `source` since the board was made."""
        return struct.unpack_from("<Q", self._memory, self._count_at(reader, source))[0]

    def collect(self, source):
        """Counts one more letter that this rank has collected from `source`."""
        at = self._count_at(self.rank, source)
        struct.pack_into("<Q", self._memory, at, struct.unpack_from("<Q", self._memory, at)[0] + 1)

    def start_counting(self):
        """A new process group: this rank has collected nothing yet."""
        at = self._count_at(self.rank, 0)
        self._memory[at : at + 8 * self.ranks] = bytes(8 * self.ranks)

    def _at(self, rank, group, number):
        return rank * self._part + (group * 31 + number) % SLOTS * self._slot

    def _count_at(self, rank, source):
        return rank * self._part + SLOTS * self._slot + 8 * source
