"""How are times, shares and bytes written, the same in every picture?

    33 slots    1 slot    1.65 s    52 ms        27 %    9.9 %    4.0 MB    512 B
"""

from minipar.plan.trace import Trace


def duration(length: float, unit: str) -> str:
    """A length of time in words: slots as they are, seconds as s or ms."""
    if unit == "slots":
        return f"{length:.6g} slot" + ("" if length == 1 else "s")
    return f"{length:.2f} s" if abs(length) >= 1 else f"{length * 1000:.0f} ms"


def share(part: float) -> str:
    """A share as per cent: whole numbers from 10 %, one place below ("27 %", "9.9 %", "0 %")."""
    percent = 100 * part
    if abs(percent) >= 9.95 or abs(percent) < 0.05:
        return f"{percent:.0f} %".replace("-0 ", "0 ")
    return f"{percent:.1f} %"


def amount(size: float) -> str:
    """Bytes in decimal units with two or three digits: 4,000,000 bytes are "4.0 MB"."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while abs(size) >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    unit = units[0]
    return f"{size:.0f} {unit}" if unit == "B" or abs(size) >= 99.95 else f"{size:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """"1 rank", "4 ranks"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def microbatches(number: int) -> str:
    """"1 microbatch", "8 microbatches"."""
    return f"{number} microbatch" + ("" if number == 1 else "es")


def measured(trace: Trace) -> bool:
    """Whether a clock took this trace (its times differ from run to run)."""
    return trace.source.startswith("measured")


def heading(trace: Trace) -> str:
    """A title when nobody gave one: "1F1B: 4 ranks, 8 microbatches, 27 % idle"."""
    parts = [count(trace.ranks, "rank")]
    if trace.microbatches:
        parts += [microbatches(trace.microbatches), f"{share(trace.bubble)} idle"]
    return f"{trace.name or 'trace'}: " + ", ".join(parts)


def origin(trace: Trace) -> str:
    """Where the numbers come from, as it stands on the picture: "predicted, in slots", "measured, paced; gloo, CPU"."""
    if not measured(trace):
        return f"{trace.source}, in {'slots' if trace.unit == 'slots' else 'seconds'}"
    return trace.source + (f"; {trace.device}" if trace.device else "")


def summary(trace: Trace, extra: str = "") -> str:
    """One line that stands for the picture in text. Measured times differ from run to run, so they are left out."""
    parts = [trace.name or "trace", f"ranks={trace.ranks}"]
    if trace.microbatches:
        parts.append(f"microbatches={trace.microbatches}")
    if measured(trace):
        parts.append(trace.source)
    else:
        parts += [f"T={duration(trace.makespan, trace.unit)}", f"bubble={100 * trace.bubble:.1f}%"]
    return f"Timeline({', '.join(parts + ([extra] if extra else []))})"


def readings(trace: Trace) -> tuple[str, str]:
    """The two ways to read the bubble, in sentences: idle of all time, and idle against useful time."""
    if not trace.microbatches:
        return (f"{duration(trace.makespan, trace.unit)} from the first start to the last end.",) * 2
    total, idle = trace.makespan, trace.makespan * trace.bubble
    useful = total - idle
    wait, work, whole = (duration(length, trace.unit) for length in (idle, useful, total))
    if trace.unit == "slots":
        wait, work = f"{idle:.4g}", f"{useful:.4g}"
    return (
        f"Idle {wait} of {whole} a rank: {share(trace.bubble)} of all device time.",
        f"Idle {wait} against {work} useful a rank: {share(trace.overhead)} on top of the work.",
    )
