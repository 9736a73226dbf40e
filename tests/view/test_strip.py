"""The device strip: boxes of devices and what they hold."""

import pytest

from minipar.view.strip import strip

BEFORE = [
    {"name": "notebook", "pid": 11, "bytes": 4_000_000, "link": ""},
    {"name": "rank 0", "pid": 12, "bytes": 0, "link": "gloo"},
    {"name": "rank 1", "pid": 13, "bytes": 0, "link": "gloo"},
]
AFTER = [{**one, "bytes": 4_000_000, "note": "sum 1,000,000"} for one in BEFORE]


class Pool:
    """What a strip asks of a pool."""

    def snapshot(self):
        return BEFORE


def test_a_pool_is_asked_for_its_snapshot():
    assert repr(strip(Pool())) == "Strip(notebook 4.0 MB, rank 0 0 B, rank 1 0 B)"


def test_several_moments_are_rows():
    rows = strip({"before": BEFORE, "after sending": AFTER})
    assert repr(rows) == (
        "Strip(before: notebook 4.0 MB, rank 0 0 B, rank 1 0 B; after sending: notebook 4.0 MB (sum 1,000,000), "
        "rank 0 4.0 MB (sum 1,000,000), rank 1 4.0 MB (sum 1,000,000))"
    )
    assert [row["title"] for row in rows.rows] == ["before", "after sending"]
    assert [box["share"] for box in rows.rows[0]["devices"]] == [1.0, 0.0, 0.0]


def test_a_box_says_its_process_and_the_row_its_link_once():
    row = strip(BEFORE, title="now").rows[0]
    assert row["title"] == "now" and row["link"] == "gloo"
    assert row["devices"][1] == {"name": "rank 0", "held": "0 B", "share": 0.0, "pid": "process 12", "note": ""}


def test_process_numbers_are_in_no_saved_form(monkeypatch):
    monkeypatch.setenv("MINIPAR_UNATTENDED", "1")
    bundle = strip(BEFORE)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.plotly.v1+json"}
    assert "13" not in bundle["text/plain"] and "process" not in str(bundle["application/vnd.plotly.v1+json"]["data"])


def test_equal_snapshots_give_equal_figures():
    assert strip(BEFORE).figure() == strip(BEFORE).figure()


def test_what_is_no_snapshot_is_refused_in_words():
    with pytest.raises(ValueError, match="A strip shows a pool or a list of devices with name and bytes, not 7."):
        strip(7)
