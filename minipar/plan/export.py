"""How does a schedule, or what happened, leave minipar and come back?

    export.torch_csv(s, "mine.csv")           torch's pipeline runtime loads it; read_torch_csv reads its own dumps
    export.chrome(step.trace, "trace.json")   Perfetto and chrome://tracing open it
    export.to_json(s, "mine.json")            schedules and traces, nothing lost; from_json reads them

Whatever is malformed is refused with the place: cell, row and column.
"""

import json
import math
from pathlib import Path

from minipar.plan import chrome as _chrome
from minipar.plan import torch_csv as _torch
from minipar.plan.actions import Action, Kind, Overlap, Recv, Send, Value, parse
from minipar.plan.schedule import Schedule
from minipar.plan.trace import Collective, Message, Sample, Span, Trace

__all__ = ["chrome", "from_json", "read_torch_csv", "to_json", "torch_csv"]

VERSION = 1


def torch_csv(schedule: Schedule, path: str | Path, communication: bool = False) -> Path:
    """Write a schedule as the CSV that torch's `_PipelineScheduleRuntime._load_csv` reads, one row a rank.

    communication: with sends and receives (torch's format "compute_comms"); otherwise torch adds them itself when it
    loads the file ("compute_only"). ValueError when the schedule is not sound.
    """
    path = Path(path)
    path.write_text(_torch.write(schedule, communication), encoding="ascii", newline="")
    return path


def read_torch_csv(path: str | Path, name: str | None = None) -> Schedule:
    """The schedule of a CSV file that torch wrote (`_dump_csv`) or that it could load, with communication or without.

    Empty cells are bubbles and left out. name: of the schedule; the file's own if not given. ValueError names the
    cell, its row and column, of what is no action, stands where it cannot run, or sends what nobody takes.
    """
    path = Path(path)
    try:
        return _torch.read(_text(path), name or path.stem)
    except ValueError as error:
        raise ValueError(f"{path.name}, {error}") from None


def chrome(trace: Trace, path: str | Path) -> Path:
    """Write a predicted or measured trace as Chrome's Trace Event Format: a process a rank, arrows, bytes by kind."""
    path = Path(path)
    path.write_text(json.dumps(_chrome.events(trace), allow_nan=False), encoding="utf-8")
    return path


def to_json(thing: Schedule | Trace, path: str | Path) -> Path:
    """Write a schedule or a trace as JSON; `from_json` gives back an equal one. TypeError for anything else."""
    if isinstance(thing, Schedule):
        rows = ",\n  ".join(json.dumps([str(action) for action in program]) for program in thing.programs)
        text = f'{{"minipar": "schedule", "version": {VERSION}, "name": {json.dumps(thing.name)}, "programs": [\n'
        text += f"  {rows}\n]}}\n"
    elif isinstance(thing, Trace):
        text = json.dumps({"minipar": "trace", "version": VERSION, **_trace_out(thing)}, allow_nan=False)
    else:
        raise TypeError(f"a {type(thing).__name__} is neither a schedule nor a trace: nothing to write")
    path = Path(path)
    path.write_text(text, encoding="utf-8")
    return path


def from_json(path: str | Path) -> Schedule | Trace:
    """The schedule or trace of a file that `to_json` wrote. ValueError names what is wrong with it and where.

    A schedule need not be sound: `minipar.problems` says what it lacks.
    """
    path = Path(path)
    try:
        return _parse(_text(path))
    except ValueError as error:
        raise ValueError(f"{path.name}, {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1}: this is no text file") from None


# ---- JSON


def _parse(text: str) -> Schedule | Trace:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"row {error.lineno}, column {error.colno}: this is no JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError("row 1, column 1: this JSON is nested too deeply for a schedule or a trace") from None
    kind = data.get("minipar") if isinstance(data, dict) else None
    if kind not in ("schedule", "trace"):
        raise ValueError('row 1, column 1: the file does not say "minipar": "schedule" or "minipar": "trace"')
    if data.get("version") != VERSION:
        raise ValueError(f"version {data.get('version')!r}: this minipar reads version {VERSION}")
    return _schedule_in(data) if kind == "schedule" else _trace_in(data)


def _schedule_in(data: dict) -> Schedule:
    name, programs = _need(data, "name", str), []
    for row, words in enumerate(_need(data, "programs", list), 1):
        if not isinstance(words, list):
            raise ValueError(f"row {row} of programs: {words!r:.60} is no list of actions")
        programs.append(tuple(_step(word, f"row {row}, column {column}") for column, word in enumerate(words, 1)))
    return Schedule(name, tuple(programs))


def _need(data: dict, field: str, kind: type):
    found = data.get(field)
    if not isinstance(found, kind) or kind is int and isinstance(found, bool):
        raise ValueError(f'"{field}" must be a {kind.__name__}, and is {found!r:.60}')
    return found


def _step(word, where: str) -> Action | Overlap:
    if not isinstance(word, str):
        raise ValueError(f"{where}: {word!r:.60} is no action: write one as a string, as in \"2F0\"")
    try:
        return parse(word)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _trace_out(trace: Trace) -> dict:
    return {
        "name": trace.name, "source": trace.source, "unit": trace.unit, "ranks": trace.ranks, "hop": trace.hop,
        "device": trace.device, "pipelines": trace.pipelines,
        "spans": [[span.rank, _what_out(span.what), span.start, span.end, span.note] for span in trace.spans],
        "messages": [_finite(message) for message in trace.messages],
        "collectives": trace.collectives,
        "ledger": trace.ledger,
    }  # fmt: skip


def _what_out(what) -> list:
    if isinstance(what, Action):
        return ["action", str(what)]
    if isinstance(what, Send | Recv):
        kind, stage, microbatch = what.value
        return [type(what).__name__.lower(), kind.value, stage, microbatch, what.peer]
    return ["words", what]


def _finite(fields) -> list:
    """A time that nobody knows is not a number, which JSON cannot say: it becomes null."""
    return [None if isinstance(field, float) and math.isnan(field) else field for field in fields]


# What the fields of each row are: S a string, N a number, T a number or null, C a whole number from 0, R whole
# numbers, A an action or other words, L true or false.
_ROWS = {"spans": (Span, "CANNS"), "messages": (Message, "CCCTTSSS"), "collectives": (Collective, "CSSRSCNNL")}


def _trace_in(data: dict) -> Trace:
    found = {field: _need(data, field, str) for field in ("name", "source", "unit", "device")}
    if found["unit"] not in ("slots", "s"):
        raise ValueError(f'"unit" must be "slots" or "s", and is {found["unit"]!r:.60}')
    found["ranks"], found["hop"] = _need(data, "ranks", int), _field(data.get("hop"), "N", '"hop"')
    for name, (make, kinds) in _ROWS.items():
        rows = enumerate(_need(data, name, list), 1)
        found[name] = tuple(make(*_row(row, kinds, f"row {number} of {name}")) for number, row in rows)
    ledger = enumerate(_need(data, "ledger", list), 1)
    found["ledger"] = tuple(tuple(_samples(samples, row)) for row, samples in ledger)
    pipelines = enumerate(_need(data, "pipelines", list), 1)
    found["pipelines"] = tuple(_field(ranks, "R", f"row {row} of pipelines") for row, ranks in pipelines)
    for name, columns in {"spans": 1, "messages": 2, "collectives": 1}.items():
        for number, row in enumerate(found[name], 1):
            for column, rank in enumerate(row[:columns], 1):
                if rank >= found["ranks"]:
                    where = f"row {number} of {name}, column {column}"
                    raise ValueError(f"{where}: there is no rank {rank} among {found['ranks']}")
    if len(found["ledger"]) not in (0, found["ranks"]):
        raise ValueError(f'"ledger" has {len(found["ledger"])} rows, and there are {found["ranks"]} ranks')
    return Trace(**found)


def _samples(given, row: int):
    if not isinstance(given, list):
        raise ValueError(f"row {row} of ledger: {given!r:.60} is no list")
    for number, sample in enumerate(given, 1):
        yield Sample(*_row(sample, "NSC", f"row {row} of ledger, sample {number}"))


def _row(row, kinds: str, where: str) -> list:
    if not isinstance(row, list) or len(row) != len(kinds):
        raise ValueError(f"{where}: {row!r:.60} should have {len(kinds)} columns")
    pairs = enumerate(zip(row, kinds, strict=True), 1)
    return [_field(field, kind, f"{where}, column {at}") for at, (field, kind) in pairs]


def _field(field, kind: str, where: str):
    number = isinstance(field, int | float) and not isinstance(field, bool)
    count = number and isinstance(field, int) and field >= 0
    match kind:
        case "S" if isinstance(field, str):
            return field
        case "N" | "T" if number and math.isfinite(field):
            return field
        case "T" if field is None:
            return math.nan
        case "C" if count:
            return field
        case "L" if isinstance(field, bool):
            return field
        case "R" if isinstance(field, list):
            return tuple(_field(one, "C", where) for one in field)
        case "A" if isinstance(field, list):
            return _what_in(field, where)
    said = {"S": "text", "N": "a number", "T": "a number or null", "C": "a whole number from 0", "L": "true or false",
            "R": "a list of ranks", "A": "a list such as [\"action\", \"2F0\"]"}  # fmt: skip
    raise ValueError(f"{where}: {field!r:.60} is not {said[kind]}")


def _what_in(field: list, where: str):
    match field:
        case ["action", word]:
            return _step(word, where)
        case ["words", str(words)]:
            return words
        case ["send" | "recv" as way, kind, stage, microbatch, peer] if kind in [one.value for one in Kind]:
            stage, microbatch, peer = (_field(one, "C", where) for one in (stage, microbatch, peer))
            return (Send if way == "send" else Recv)(Value(Kind(kind), stage, microbatch), peer)
    raise ValueError(f'{where}: {field!r:.60} is neither ["action", "2F0"] nor a message nor ["words", …]')
