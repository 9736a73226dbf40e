"""The explorers in JupyterLab: rules of widgets that show only in a browser.

One notebook with every explorer serves all tests of this file; each moves cells of its own. Opening one a test would
take minutes.
"""

import re

import nbformat
import pytest

from tests.browser.lab import LearnerPage, notebook

IMPORTS = "import minipar\nfrom minipar import explore"
CELLS = [
    ("imports", IMPORTS),
    ("pipeline", "explore.pipeline(task=explore.idle_below(0.10))"),
    ("hop", "explore.pipeline()"),
    ("memory", "explore.memory(task=explore.two_ways_under_the_cap())"),
    ("cap", "explore.cap(task=explore.largest_under(4))"),
    ("cards", "explore.cards()"),
    ("mesh", "explore.mesh(order='pp-dp-tp-cp', axis='tensor', task=explore.busiest_inside())"),
    ("heads", "explore.heads(task=explore.largest_ranks())"),
    ("deal", "explore.deal(task=explore.slowest_of(8))"),
    ("rings", "from minipar.view.deal import deals, dealt\n"
              "deals([dealt(way, 4, 64) for way in ('contiguous', 'zigzag')])"),
    ("chunks", "explore.chunks(task=explore.where_it_loses())"),
    ("parked", "explore.parked(task=explore.no_gap_inside())"),
    ("split", "cuts = explore.split([2, 3, 3, 3, 3, 3, 3, 3, 3, 7], 4)\ncuts"),
    ("edit", "mine = minipar.edit(minipar.gpipe(ranks=2, microbatches=2), par=9)\nmine"),
    ("strip", "minipar.strip([dict(name='notebook', bytes=4_000_000, pid=1), dict(name='rank 0', bytes=0, pid=2)])"),
    ("ping", "pool = minipar.WorkerPool(2)\nexplore.ping(pool)"),
]  # fmt: skip
DRAWN = [name for name, _ in CELLS[1:]]
WORDS = ".minipar-words, .minipar-barbox, .minipar-strip, .widget-label"


@pytest.fixture(scope="module")
def page(lab, browser):
    """The notebook with every explorer, run."""
    nbformat.write(notebook(CELLS), lab.root / "explorers.ipynb")
    page = browser.open(lab, "explorers.ipynb", LearnerPage)
    page.run_all()
    page.wait_drawn()
    yield page
    page.close()


def readout(page, cell: str) -> str:
    """What the readout of an explorer says now."""
    return page.cell(cell).locator(".minipar-words").last.inner_text()


def press(page, cell: str, slider: str, key: str = "ArrowRight", times: int = 1) -> None:
    """Move a slider of one cell by keys; it is found by the name that a screen reader says."""
    handle = page.cell(cell).get_by_role("slider", name=slider, exact=True)
    for _ in range(times):
        handle.press(key)


def test_every_explorer_draws_in_both_themes_and_asks_for_nothing_outside(page):
    files = page.pictures("explorers", DRAWN)
    assert all(file.stat().st_size > 3_000 for file in files)
    page.assert_sound()


def test_no_text_under_12_px_and_contrast_of_4_5_in_both_themes(page):
    for theme in ("light", "dark"):
        page.theme(theme)
        found = page.page.evaluate(READABLE, WORDS)
        assert len(found) > 50
        assert [one for one in found if one[1] < 12 or one[2] < 4.5] == [], theme
    page.theme("light")


def test_every_slider_is_named_for_a_screen_reader(page):
    page.until(
        lambda: page.page.locator("[role=slider]:not([aria-label])").count() == 0, what="every handle has a name"
    )
    assert page.cell("pipeline").get_by_role("slider", name="microbatches").count() == 1


def test_the_readout_is_a_live_region_that_holds_the_numbers(page):
    region = page.cell("hop").locator("[role=status].minipar-words").last
    assert region.get_attribute("aria-live") == "polite" and "33 slots" in region.inner_text()


def test_hatches_of_several_pictures_do_not_share_a_name(page):
    named = "pattern[id], clipPath[id], marker[id]"
    names = page.page.evaluate("named => [...document.querySelectorAll(named)].map(one => one.id)", named)
    assert len(names) >= 2 and len(set(names)) == len(names)


def test_drawings_carry_their_content_as_text(page):
    said = page.cell("cards").get_by_role("img").first.get_attribute("aria-label")
    assert "NVIDIA T4: too small alone 16.0 GB; 2 to serve, 10 to train" in said


@pytest.mark.parametrize(
    "cell, slider, key",
    [("memory", "batch", "ArrowLeft"), ("cap", "cap", "ArrowLeft"), ("cards", "parameters", "ArrowRight"),
     ("chunks", "hop", "ArrowRight"), ("chunks", "chunks", "ArrowLeft")],
)
def test_a_slider_moved_by_keys_changes_picture_and_readout(page, cell, slider, key):
    before, words = page.fingerprint(cell), readout(page, cell)
    press(page, cell, slider, key)
    page.until(lambda: readout(page, cell) != words, what=f"the readout of {cell} follows")
    assert page.fingerprint(cell) != before


def test_the_rest_unfolds_behind_more_by_keys(page):
    hop = page.cell("hop").get_by_role("slider", name="hop", exact=True, include_hidden=True)
    assert not hop.is_visible()
    page.cell("hop").get_by_role("button", name="more").focus()
    page.page.keyboard.press("Space")
    page.until(hop.is_visible, what="the hop slider is there")
    press(page, "hop", "hop", times=5)
    page.until(lambda: readout(page, "hop").startswith("36 slots"), what="a hop of 0.5 costs 3 slots")


def test_a_task_is_ticked_when_it_is_met(page):
    task = page.cell("pipeline").locator(".minipar-task")
    assert task.inner_text().split()[0] == "○"
    press(page, "pipeline", "microbatches", times=20)
    page.until(lambda: task.inner_text().split()[0] == "✓", what="M = 28 is the smallest")


def test_a_cut_moves_by_keys_and_by_dragging(page):
    typed = page.cell("split").locator("input[type=text]").first
    assert typed.input_value() == "3 3 2 2"
    press(page, "split", "first layer of device 3")
    page.until(lambda: typed.input_value() == "3 3 3 1", what="the arrow key moved the cut")
    page.until(lambda: "No cut is better" in readout(page, "split"))
    box = page.cell("split").locator(".minipar-cuts").bounding_box()
    first = page.cell("split").get_by_role("slider", name="first layer of device 1").bounding_box()
    page.page.mouse.move(first["x"] + first["width"] / 2, first["y"] + 20)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.1, first["y"] + 20, steps=6)
    page.page.mouse.up()
    page.until(lambda: typed.input_value() == "1 5 3 1", what="the mouse dragged the cut")
    typed.fill("2 4 3 x")
    page.until(lambda: "'x' is no number of layers" in readout(page, "split"), what="a wrong word is answered")


def test_the_editor_answers_while_typing(page):
    area = page.cell("edit").locator("textarea").first
    assert "9 slots (par 9 slots)" in readout(page, "edit")
    before = page.fingerprint("edit")
    area.fill("0F0 0B0 0F1 0B1\n1F1 1F0 1B0 1B1")
    page.until(lambda: "Stuck: rank 0 waits at 0B0 for 1B0" in readout(page, "edit"), what="the standstill in words")
    area.press("Control+End")
    area.press_sequentially("x")
    page.until(lambda: "'1B1x' is no action" in readout(page, "edit"), what="the wrong word by name")
    area.fill("0F0 0F1 0B0 0B1\n1F0 1B0 1F1 1B1")
    page.until(lambda: "2 1" in readout(page, "edit"), what="the peaks of 1F1B")
    assert page.fingerprint("edit") != before
    assert "mono" in area.evaluate("node => getComputedStyle(node).fontFamily").lower()


def test_ping_runs_on_real_workers_behind_a_button_and_the_kernel_stays_free(page):
    dots = page.cell("ping").locator(".minipar-dot")
    for many in (1, 2):
        page.click("ping", "Ping")
        page.until(lambda n=many: dots.count() == n, seconds=60, what=f"point number {many}")
    assert re.search(r"\d (ms|µs)", readout(page, "ping"))
    press(page, "ping", "size")
    page.until(lambda: page.cell("ping").locator(".widget-readout").inner_text().startswith("40"))


def test_after_a_reload_the_picture_is_there_and_the_slider_alive(page):
    words = readout(page, "hop")
    page.save()
    page.reload()
    page.wait_drawn()
    page.until(lambda: readout(page, "hop") == words, what="the readout is restored")
    assert page.cell("cards").locator(".minipar-part").count() == 8 and "hop" in page.drawn()
    page.until(lambda: page.cell("hop").get_by_role("slider", name="microbatches").count() == 1)
    press(page, "hop", "microbatches")
    page.until(lambda: readout(page, "hop") != words, what="the slider is alive")
    page.assert_sound()


def test_with_nobody_there_an_explorer_is_text_and_a_plain_figure(open_notebook):
    unset = f"{IMPORTS}\nimport os\nos.environ['MINIPAR_UNATTENDED'] = '1'"
    page = open_notebook([("imports", unset), *CELLS[1:-1]])
    page.run_all()
    for name in DRAWN[:-1]:
        mimes = {mime for output in page.outputs(name) for mime in output.get("data", {})}
        assert mimes - {"image/png"} == {"text/plain", "application/vnd.plotly.v1+json"}, (name, mimes)


def test_a_deal_is_moved_by_keys_and_its_tasks_are_ticked(page):
    drawn = page.cell("deal").locator("svg[role=img]").first
    assert "slowest/mean 1.75" in drawn.get_attribute("aria-label")
    press(page, "deal", "ranks")
    page.until(lambda: "1.87" in readout(page, "deal"), what="eight ranks")
    page.click("deal", "more")
    page.cell("deal").get_by_role("checkbox").uncheck()
    page.until(lambda: "Without a mask" in readout(page, "deal"), what="no mask")
    assert page.cell("deal").locator(".minipar-met").count() == 2


def test_the_ring_is_followed_step_by_step(page):
    press(page, "rings", "ring step", times=2)
    page.until(lambda: "rank 0 waits" in readout(page, "rings"), what="step 1")
    shown = page.cell("rings").locator("svg[role=img] text").all_text_contents()
    assert shown[:4] == ["rank 0", "keys of rank 3", "rank 1", "keys of rank 0"]
    page.pictures("rings", ["rings"])


def test_ranks_that_do_not_divide_the_heads_are_told_and_the_next_that_do_are_drawn(page):
    drawn = page.cell("heads").locator("svg[role=img]").first
    assert "ranks=4: 2 + 1 a rank" in drawn.get_attribute("aria-label")
    press(page, "heads", "ranks")
    page.until(lambda: "heads=8 cannot be cut in 5 equal parts" in readout(page, "heads"), what="a refusal in words")
    assert "no cut fits" in page.cell("heads").locator("svg[role=img]").first.get_attribute("aria-label")
    press(page, "heads", "ranks", times=3)
    page.until(lambda: "on 4 ranks" in readout(page, "heads"), what="eight ranks, four copies")


READABLE = """selector => {
  const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
  const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(c => linear(c / 255))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const root of document.querySelectorAll('.jp-Cell-outputArea :is(' + selector + ')')) {
    for (const node of [root, ...root.querySelectorAll('*')]) {
      const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
      const style = getComputedStyle(node);
      if (!own || style.visibility === 'hidden' || !node.offsetWidth) continue;
      const [a, b] = [light(numbers(style.color)), light(behind(node))].sort((x, y) => y - x);
      found.push([node.textContent, parseFloat(style.fontSize), (a + 0.05) / (b + 0.05)]);
    }
  }
  return found;
}"""


def test_a_larger_drawer_closes_the_gaps_and_hides_late_messages(page):
    assert "Rank 0 still waits 3 slots" in readout(page, "parked")
    press(page, "parked", "cap", times=3)
    page.until(lambda: "No rank has a gap" in readout(page, "parked"), what="a cap of 7")
    page.click("parked", "more")
    press(page, "parked", "hop", times=5)
    page.until(lambda: "28.5 slots" in readout(page, "parked"), what="messages that are half a slot late")
    assert page.cell("parked").locator(".minipar-met").count() == 2
