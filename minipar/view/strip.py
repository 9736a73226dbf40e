"""Which devices are there, and what does each hold?

    before          notebook 4.0 MB │ rank 0 0 B    │ rank 1 0 B    │ rank 2 0 B    │ rank 3 0 B
    after sending   notebook 4.0 MB │ rank 0 4.0 MB │ rank 1 4.0 MB │ rank 2 4.0 MB │ rank 3 4.0 MB

One box a device: the notebook first, then the ranks; in each the bytes it holds, its process number, its link. A box is
a house with walls: what is not in it has to be sent there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import anywidget
import plotly.graph_objects as go
import traitlets

from minipar.view.elements import script
from minipar.view.presence import mime_bundle
from minipar.view.theme import PALETTE, darker
from minipar.view.words import amount


class Device(NamedTuple):
    """One box: its name, the bytes it holds, its process number, how it is reached, and a remark."""

    name: str
    bytes: int | None
    pid: int | None = None
    link: str = ""
    note: str = ""


class Strip(anywidget.AnyWidget):
    """One row of boxes or several, one under the other. Its text leaves out process numbers: no two runs share them."""

    _esm = script("strip.js")
    _css = Path(__file__).parent / "explorer.css"

    rows = traitlets.List().tag(sync=True)
    summary = traitlets.Unicode("").tag(sync=True)
    fill = traitlets.Unicode(PALETTE.memory["parameter"].fill).tag(sync=True)

    def __init__(self, moments: Mapping[str, Sequence[Device]]):
        self.moments = {title: tuple(devices) for title, devices in moments.items()}
        most = max((device.bytes or 0 for devices in self.moments.values() for device in devices), default=0) or 1
        rows = [
            {"title": title, "devices": [box(device, most) for device in devices], "link": common_link(devices)}
            for title, devices in self.moments.items()
        ]
        super().__init__(rows=rows, summary=repr(self))

    def figure(self) -> go.Figure:
        """The same as a table, for a saved notebook."""
        names = list(dict.fromkeys(device.name for devices in self.moments.values() for device in devices))
        columns = [list(self.moments)]
        for name in names:
            held = [{device.name: device for device in devices}.get(name) for devices in self.moments.values()]
            columns.append(["" if device is None else f"{holds(device)}<br>{device.note}" for device in held])
        grey = PALETTE.memory["parameter"].fill
        table = go.Table(
            header={"values": ["", *names], "fill": {"color": grey}, "font": {"color": "#000000", "size": 14}},
            cells={"values": columns, "fill": {"color": PALETTE.paper}, "height": 44, "font": {"size": 14}},
        )
        chart = go.Figure(table)
        chart.update_layout(
            height=90 + 52 * len(self.moments),
            margin={"l": 10, "r": 10, "t": 20, "b": 10},
            font={"family": PALETTE.font, "color": PALETTE.ink},
            paper_bgcolor=PALETTE.paper,
        )
        chart.update_traces(cells_line_color=darker(grey))
        return chart

    def __repr__(self) -> str:
        rows = []
        for title, devices in self.moments.items():
            held = ", ".join(
                f"{device.name} {holds(device)}{f' ({device.note})' if device.note else ''}"
                for device in devices
            )
            rows.append(f"{title}: {held}" if title else held)
        return f"Strip({'; '.join(rows)})"

    __str__ = __repr__

    def _repr_mimebundle_(self, **_) -> dict:
        return mime_bundle(repr(self), super()._repr_mimebundle_, self.figure)


def box(device: Device, most: int) -> dict:
    """What the browser draws of one device."""
    return {
        "name": device.name,
        "held": holds(device),
        "share": (device.bytes or 0) / most,
        "pid": "" if device.pid is None else f"process {device.pid}",
        "note": device.note,
    }


def holds(device: Device) -> str:
    """The bytes in words; a busy worker cannot say them now."""
    return "busy" if device.bytes is None else amount(device.bytes)


def common_link(devices: Sequence[Device]) -> str:
    """The links in one line: once where all are the same."""
    links = list(dict.fromkeys(device.link for device in devices if device.link and device.name != "notebook"))
    return "; ".join(links)


def strip(what, title: str = "") -> Strip:
    """The device strip of a pool, of a snapshot of one, or of several snapshots as rows.

    what: a `WorkerPool` (asked for its snapshot now), a list of dictionaries with ``name``, ``bytes``, and if known
    ``pid``, ``link``, ``note``, or {title of a row: such a list or pool}.
    title: of the only row, where there is one.
    """
    moments = what if isinstance(what, Mapping) else {title: what}
    return Strip({name: devices(moment) for name, moment in moments.items()})


def devices(moment) -> list[Device]:
    """The boxes of one moment; ValueError for what is neither a pool nor a snapshot."""
    if hasattr(moment, "snapshot"):
        moment = moment.snapshot()
    try:
        return [Device(**{name: one[name] for name in Device._fields if name in one}) for one in moment]
    except TypeError:
        raise ValueError(
            f"A strip shows a pool or a list of devices with name and bytes, not {moment!r:.60}."
        ) from None
