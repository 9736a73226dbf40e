"""How does one call go, from the notebook's side, and how does it end when it goes wrong?

    post to the ranks ─► listen: output, progress, results, faults, deaths ─► all returned: match messages, Result
                              │
                              ├─ nothing heard for a while: ask who waits for whom; the same answer twice: a deadlock
                              ├─ a fault: a short grace for the others
                              └─ time over, Ctrl-C, stop()
                                    └─► ask every rank where it is ─► pull the plug, interrupt, and after a second kill
                                        ─► new process group, or new workers ─► tell the story

A wait inside gloo cannot be given up from inside; pulling the plug (closing the rank's sockets) brings it back, so
that even after a deadlock the workers keep what they hold.
"""

import contextlib
import signal
import sys
import threading
import time

from minipar.run import parcel, waits
from minipar.run.result import Result
from minipar.run.story import RemoteError, RemoteInterrupt, Waiting, cause_of, in_cells, tell

QUIET = 0.4  # seconds without news before the pool asks the ranks where they are
GRACE = 2.0  # seconds the others get to end after the first fault
SECOND = 1.0  # seconds between an interrupt and a kill


class Run:
    """One call on its way. `done`, `progress` (rank 0's latest `w.progress`), `output` ([(rank, line)]), `error`."""

    def __init__(self, pool, name, ranks, timeout, patience, show):
        self.name, self.ranks, self.progress, self.error = name, ranks, {}, None
        self._pool, self._keeper, self._timeout, self._patience, self._show = (
            pool,
            pool._keeper,
            timeout,
            patience,
            show,
        )
        self._lines, self.stops, self._finished, self._value = [], 0, threading.Event(), None
        self.started = self._news = self._asked = time.monotonic()
        self._number, self._got, self._answers, self._before = 0, {}, {}, {}

    def __repr__(self):
        state = "running" if not self.done else "failed" if self.error else "done"
        return f"Run of {self.name} on {self.ranks} ranks: {state}"

    @property
    def done(self):
        """Whether the call has ended, well or not."""
        return self._finished.is_set()

    @property
    def output(self):
        """What the ranks printed so far: [(rank, line)]."""
        return list(self._lines)

    def stop(self):
        """Stops the call, from any thread; a second time it kills at once."""
        self.stops += 1

    def result(self, timeout=None):
        """Waits for the end; the Result, or raises what went wrong. TimeoutError if it is still running then."""
        try:
            if not self._finished.wait(timeout):
                raise TimeoutError(f"{self.name} is still running after {timeout} s")
        except KeyboardInterrupt:
            self.stop()
            self._finished.wait()
        if self.error is not None:
            raise self.error
        return self._value

    # ---- the pool's side

    def drive(self, message, blob):
        """Carries the call out in this thread. Never raises: the end is in `error` and `result()`."""
        with interrupts(self):
            try:
                self._value = self._carry_out(message, blob)
            except BaseException as error:
                self.error = error
            finally:
                self._pool._release(self)
                self._finished.set()

    def _carry_out(self, message, blob):
        keeper = self._keeper
        keeper.make_ready(self)
        self._print(keeper.take_stray())
        self._number = keeper.next_number()
        self.started = self._news = self._asked = time.monotonic()
        keeper.crew.post(("run", self._number, blob, keeper.surroundings(self.ranks, message)), range(self.ranks))
        kind, sentence, cycle = self._listen()
        if not kind:
            return self._finish()
        if self._patience and kind == "interrupted" and self._stop_kindly():
            result = self._finish()
            raise RemoteInterrupt("stopped: every rank ended its step first", kind=kind, cause=sentence, result=result)
        answers, kept = self._recover()
        over = {rank: report for rank, report in self._over().items() if rank not in answers}
        hopeless = waits.stuck({**answers, **over}, set(over))
        if kind == "timeout" and (path := waits.chain(hopeless)):
            sentence = f"{sentence}: {waits.sentence(path, hopeless)}"
            cycle = path if path[-1] in hopeless else ()
        cause = cause_of(self._got, kind, sentence)
        form = RemoteInterrupt if kind == "interrupted" else RemoteError
        text = tell(cause, self._got, answers, self.ranks, kept)
        if kind == "interrupted" and cause[0] != kind:
            text = f"{sentence}\n{text}"
        raise form(text, kind=kind if form is RemoteInterrupt else cause[0], rank=cause[1], type=cause[2],
                   cause=cause[3], cycle=cycle, kept=kept, stuck=_standing(answers, hopeless),
                   calls=self._calls() if cause[0] == "disagree" else None)  # fmt: skip

    @property
    def _pending(self):
        return [rank for rank in range(self.ranks) if rank not in self._got]

    def _hear(self, seconds):
        messages, lines = self._keeper.crew.events(seconds)
        self._print(lines)
        for message in messages:
            kind, rank = message[:2]
            if rank < self.ranks and (kind == "dead" or (kind in ("ok", "fault") and message[2] == self._number)):
                self._got.setdefault(rank, message)
                self._news = time.monotonic()
            elif kind == "progress" and message[2] == self._number:
                self.progress = message[3]
            elif kind == "where" and message[2] == self._asked:
                self._answers[rank] = message[3]
            else:
                self._keeper.note(message)

    def _print(self, lines):
        self._lines += lines
        if lines and self._show:
            sys.stdout.write("".join(f"[{rank}] {line}\n" if rank is not None else f"{line}\n" for rank, line in lines))
            sys.stdout.flush()

    def _listen(self):
        """Until all have returned: ("", "", ()); else why it is over: (kind, sentence, cycle)."""
        first_fault = None
        while self._pending:
            self._hear(0.05)
            now = time.monotonic()
            if any(self._got[rank][0] != "ok" for rank in range(self.ranks) if rank in self._got):
                first_fault = first_fault or now
            if not self._pending:
                break
            if self.stops:
                return "interrupted", f"interrupted after {now - self.started:.1f} s", ()
            if first_fault is not None:
                if now - first_fault > GRACE:
                    return "raised", "", ()
            elif self._timeout is not None and now - self.started > self._timeout:
                return "timeout", f"timeout: not done after {self._timeout:g} s", ()
            elif now - self._news > QUIET and (hopeless := self._watch(now)):
                path = waits.chain(hopeless)
                closed = path[-1] in hopeless
                return "deadlock", f"deadlock: {waits.sentence(path, hopeless)}", path if closed else ()
        return ("raised", "", ()) if first_fault is not None else ("", "", ())

    def _watch(self, now):
        """Asks the pending ranks from time to time; the stuck ones, once two answers in a row agree."""
        if self._asked > self._news and len(self._answers) < len(self._pending) and now - self._asked < QUIET:
            return {}  # still answering
        hopeless = self._hopeless()
        moments = {rank: self._answers[rank]["now"] for rank in hopeless}
        if hopeless and moments == self._before:
            return hopeless
        pause = QUIET if hopeless or now - self.started < 3 else 2.0
        if self._asked <= self._news or now - self._asked >= pause:
            self._before = moments
            self._ask(now)
        return {}

    def _ask(self, now):
        self._asked, self._answers = now, {}
        self._keeper.crew.post(("where", now), self._pending)

    def _over(self):
        """What the ranks that have returned reported."""
        return {rank: self._got[rank][4] for rank in self._got if rank < self.ranks and self._got[rank][0] == "ok"}

    def _calls(self):
        """rank -> (its latest collective, where it called it), of every rank that was heard."""
        heard = {rank: message[4]["last"] for rank, message in sorted(self._got.items()) if message[0] != "dead"}
        return {rank: tuple(in_cells(last).split(" at ", 1)) for rank, last in heard.items() if last}

    def _hopeless(self):
        over = self._over()
        waiting = {rank: answer for rank, answer in self._answers.items() if rank not in over}
        return waits.stuck({**waiting, **over}, set(over))

    def _stop_kindly(self):
        """Asks the ranks' program to end by itself (`w.stopping`); whether they all did."""
        self._keeper.crew.post(("stop",), range(self.ranks))
        self._wait_for_all(self._patience)
        return all(self._got.get(rank, ("",))[0] == "ok" for rank in range(self.ranks))

    def _wait_for_all(self, seconds):
        until, stops = time.monotonic() + seconds, self.stops
        while self._pending and time.monotonic() < until and self.stops == stops:
            self._hear(0.02)

    def _recover(self):
        """Brings every rank back, or the pool up again: (rank -> where it was, whether the workers were kept)."""
        crew, late = self._keeper.crew, self._pending
        if late:
            self._ask(time.monotonic())
            until, stops = time.monotonic() + SECOND, self.stops
            while len(self._answers) < len(self._pending) and time.monotonic() < until and self.stops == stops:
                self._hear(0.02)
        answers = {rank: self._answers[rank] for rank in late if rank in self._answers and rank not in self._got}
        if self._pending:
            crew.post(("unplug",), self._pending)
            crew.signal(signal.SIGINT, self._pending)
            self._wait_for_all(SECOND)
        self._print(crew.last_lines())
        kept = not self._pending and not crew.gone and self._keeper.new_group(self.ranks)
        if not kept:
            self._keeper.restart()
        return answers, kept

    def _finish(self):
        """All ranks returned: were their collectives the same, and was every message collected?"""
        keeper = self._keeper
        self._print(keeper.crew.last_lines())
        reports = {rank: self._got[rank][4] for rank in range(self.ranks)}
        if (odd := waits.uneven(reports)) is not None:
            kept = keeper.new_group(self.ranks)
            if not kept:
                keeper.restart()
            cause = _disagreement(odd, reports)
            text = in_cells(cause) + ". What they returned cannot be trusted."
            raise RemoteError(text, kind="disagree", cause=cause, kept=kept, calls=self._calls())
        letters = self._uncollected(reports)
        if not letters and (
            senders := [rank for rank in reports if any(key[2] == "letter" for key in reports[rank]["counts"])]
        ):
            keeper.crew.post(("settle",), senders)
        values = []
        for rank in range(self.ranks):
            try:
                values.append(parcel.loads(self._got[rank][3]))
            except Exception as error:
                cause = f"what rank {rank} returned cannot be read in the notebook: {type(error).__name__}: {error}"
                raise RemoteError(cause, rank=rank, cause=cause) from error
        return Result(values, [reports[rank]["trace"] for rank in reports], letters, time.monotonic() - self.started,
                      self.name, self._pool.place)  # fmt: skip

    def _uncollected(self, reports):
        """Names messages with one end only, and has the next call take a new process group."""
        found, letters = waits.unmatched(reports), []
        for source, target, tag, sends, receives in found:
            if sends > receives:
                dtype, elements, place = reports[source]["details"].get((target, tag), ("", 0, ""))
                letters.append((source, target, elements, dtype, in_cells(place)))
                what = f"{sends - receives} messages" if sends - receives > 1 else f"message ({elements} {dtype})"
                text = f"minipar: rank {source}'s {what} to rank {target} was sent and never collected"
                self._print([(None, text + (f", at {in_cells(place)}" if place else ""))])
            else:
                self._print(
                    [(None, f"minipar: rank {target} asked for a message from rank {source} that was never sent")]
                )
        if found:
            self._keeper.stale = True
        return letters


def _standing(answers, hopeless):
    """rank -> Waiting, of the ranks that cannot go on."""
    found = {}
    for rank in sorted(hopeless):
        (kind, _, _, number), _ = answers[rank]["now"]
        found[rank] = Waiting(kind, hopeless[rank][0], number, in_cells(answers[rank]["at"]))
    return found


def _disagreement(odd, reports):
    rank, number, peer, its_number = odd
    if number == its_number:
        return f"the ranks disagree: rank {rank} and rank {peer} called different collectives"
    more, fewer = (rank, peer) if number > its_number else (peer, rank)
    extra, last = abs(number - its_number), reports[more]["last"]
    text = f"the ranks disagree: rank {more} called {extra} collective{'s' * (extra > 1)} more than rank {fewer}"
    return text + (f"; its last is {last}" if last else "")


@contextlib.contextmanager
def interrupts(run):
    """Ctrl-C during a call counts as `run.stop()`: an exception in the middle of a pipe would lose the thread of it."""
    if threading.current_thread() is not threading.main_thread() or not run._show:
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: run.stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
    if run.stops and run.error is None:
        run.error = RemoteInterrupt("interrupted, just after the call had ended", kind="interrupted", result=run._value)
