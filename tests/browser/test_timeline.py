"""Is the timeline seen, pointed at and walked as it should be, in a real JupyterLab? One test for each widget rule."""

import nbformat
import pytest

from minipar.view.theme import contrast
from tests.browser.lab import LearnerPage, notebook

CELLS = [
    (
        "setup",
        """import ipywidgets, minipar
from dataclasses import replace
def predict(build, ranks, microbatches):
    return minipar.predict(build(ranks=ranks, microbatches=microbatches))""",
    ),
    ("one", "one = minipar.timeline(predict(minipar.gpipe, 4, 8), title='Work overlaps')\none"),
    (
        "two",
        """traces = [predict(minipar.gpipe, 4, 8), predict(minipar.one_f_one_b, 4, 8)]
minipar.timelines(traces, titles=['GPipe', '1F1B'], cap=6)""",
    ),
    (
        "moved",
        """drawn = minipar.timeline(predict(minipar.one_f_one_b, 8, 95))
slider = ipywidgets.IntSlider(value=95, min=90, max=96, description='m')
slider.observe(lambda change: drawn.show(predict(minipar.one_f_one_b, 8, change['new'])), 'value')
ipywidgets.VBox([slider, drawn])""",
    ),
    (
        "measured",
        """trace = predict(minipar.gpipe, 4, 8)
minipar.compare(trace, replace(trace, source='measured, paced', device='gloo, CPU'))""",
    ),
    ("closed", "closed = minipar.timeline(minipar.predict(minipar.naive(ranks=4)))\nclosed"),
]

# Every font size and every piece of text that is written on any canvas of the page.
SPY = """() => {
  window.written = [];
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (words, ...rest) {
    window.written.push([words, parseFloat(this.font.match(/([\\d.]+)px/)[1]), this.fillStyle]);
    return fill.call(this, words, ...rest);
  }; }"""


@pytest.fixture(scope="module")
def notebook_page(lab, browser):
    """One notebook for all tests of this file."""
    nbformat.write(notebook(CELLS), lab.root / "timeline.ipynb")
    page = browser.open(lab, "timeline.ipynb", LearnerPage)
    page.page.evaluate(SPY)
    page.run_all()
    yield page
    page.close()


class Picture:
    """One timeline on the page."""

    def __init__(self, page, cell):
        self.page, self.cell = page, cell
        self.root = page.cell(cell).locator(".minipar-timeline")
        self.canvas = self.root.locator("canvas")
        self.root.scroll_into_view_if_needed()

    @property
    def rev(self):
        return int(self.canvas.get_attribute("data-rev"))

    @property
    def readout(self):
        return self.root.locator(".minipar-readout").inner_text()

    def says(self, words):
        self.page.until(lambda: words in self.readout, what=f"{words!r} in the readout {self.readout!r}", seconds=10)

    def keys(self, *keys):
        self.canvas.focus()
        for key in keys:
            self.page.page.keyboard.press(key)

    def point(self, slot, rank, of=33, click=False):
        """Point at a time of a rank's row; the canvas says where these lie."""
        place = self.canvas.evaluate("node => node.minipar")
        x = place["left"] + (place["right"] - place["left"]) * slot / of
        (self.canvas.click if click else self.canvas.hover)(position={"x": x, "y": place["rows"][rank]})


@pytest.fixture
def picture(notebook_page):
    """A picture by its cell, with nothing focused, pinned or zoomed."""
    drawn = []

    def picture_(cell):
        drawn.append(Picture(notebook_page, cell))
        return drawn[-1]

    yield picture_
    for one in drawn:
        if one.canvas.count():
            one.keys("Escape", "Escape", "Escape", "0")
            one.canvas.blur()
    notebook_page.assert_sound()


def test_a_bar_is_reached_by_keys_alone(picture, notebook_page):
    one = picture("one")
    one.keys("ArrowRight", "ArrowRight")
    one.says("0F2 on rank 0: forward of microbatch 2, from 2 to 3 (1 slot).")
    one.keys("ArrowDown", "ArrowDown", "ArrowDown")
    one.says("Rank 3 is idle from 0 to 3 (3 slots). Rank 3 waits for 2F0: rank 2 will run it from 2 to 3.")
    one.keys("ArrowRight")
    one.says("3F0 on rank 3: forward of microbatch 0, from 3 to 4 (1 slot).")


def test_lab_keeps_its_shortcuts_to_itself_while_the_picture_has_the_focus(picture, notebook_page):
    one = picture("one")
    where = "() => (window.jupyterapp || window.jupyterlab).shell.currentWidget.content.activeCellIndex"
    before = notebook_page.page.evaluate(where)
    one.keys("ArrowDown", "ArrowDown", "0", "0", "i", "i", "Enter")
    assert notebook_page.page.evaluate(where) == before
    assert notebook_page.page.locator(".jp-Dialog").count() == 0


def test_the_readout_is_polite_and_the_picture_has_a_summary(picture):
    one = picture("one")
    assert one.canvas.get_attribute("role") == "img"
    assert one.canvas.get_attribute("tabindex") == "0"
    assert one.canvas.get_attribute("aria-label") == (
        "Timeline. Work overlaps. predicted, in slots. Idle 9 of 33 slots a rank: 27 % of all device time."
    )
    assert one.root.locator(".minipar-readout").get_attribute("aria-live") == "polite"


def test_pointing_says_what_when_and_why(picture):
    one = picture("one")
    one.point(12, rank=0)
    one.says("Rank 0 is idle from 8 to 17 (9 slots). Rank 0 waits for 1B0: rank 1 will run it from 15 to 17.")
    one.point(18, rank=0)
    one.says("0B0 on rank 0: backward of microbatch 0, from 17 to 19 (2 slots). Before it, idle for 9 slots.")


def test_pointing_at_a_strip_says_what_is_held(picture, notebook_page):
    one = picture("one")
    strip = one.canvas.evaluate("node => node.minipar.strips[0]")
    one.canvas.hover(position={"x": 300, "y": strip})
    one.says("microbatches in flight (peak 8).")


def test_a_strip_is_as_high_as_what_is_held(picture):
    two = picture("two")  # GPipe above, cap 6: rank 0 holds three from 2, eight from 7 to 19, and one to the end
    early, over, under, last = two.canvas.evaluate(
        """node => { const { left, right, strips } = node.minipar, ratio = node.width / node.clientWidth;
          const at = (slot, up) => [...node.getContext('2d').getImageData(
            (left + (right - left) * slot / 33) * ratio, (strips[0] - up) * ratio, 1, 1).data].slice(0, 3);
          return [at(2.5, 10), at(10.5, 10), at(10.5, -10), at(32.5, -12)]; }"""
    )
    assert early == [255, 255, 255], "paper"
    assert over[0] > over[2] + 50, "the colour of the cap"
    assert under[2] > under[0] + 50 and last[2] > last[0] + 50, "the colour of what is held"


def test_a_strip_is_one_outline_however_many_steps_it_has(picture, notebook_page):
    moved = picture("moved")
    notebook_page.page.evaluate(
        """() => { const pen = CanvasRenderingContext2D.prototype, rect = pen.rect;
          window.rects = 0;
          pen.rect = function (...box) { window.rects++; return rect.apply(this, box); }; }"""
    )
    before = moved.rev
    moved.keys("ArrowRight")
    notebook_page.until(lambda: moved.rev > before)
    assert 0 < notebook_page.page.evaluate("() => window.rects") < 20  # the clipped areas


def test_a_click_pins_and_escape_frees(picture):
    one = picture("one")
    one.point(18, rank=1, click=True)
    one.says("Pinned: needs 1F1 (rank 1) and 2B1 (rank 2), feeds 0B1 (rank 0).")
    one.keys("Escape", "Escape")
    one.point(-0.8, rank=1)
    one.says("Idle 9 of 33 slots")


def test_enter_pins_what_the_keys_reached(picture):
    one = picture("one")
    one.keys("Enter")
    one.says("Pinned: feeds 0B0 (rank 0) and 1F0 (rank 1).")


def test_a_large_picture_answers_a_pin_too(picture):
    moved = picture("moved")
    moved.keys("Enter")
    moved.says("feeds 0B0 (rank 0) and 1F0 (rank 1)")


def test_both_readings_of_the_bubble_are_one_key_away(picture):
    one = picture("one")
    one.keys("i")
    one.says("Idle 9 against 24 useful a rank: 38 % on top of the work.")
    one.root.get_by_role("button", name="idle ÷ useful").click()
    one.says("Idle 9 of 33 slots a rank: 27 % of all device time.")


def test_zoom_by_wheel_keys_and_buttons(picture, notebook_page):
    one = picture("one")
    span = lambda: one.canvas.evaluate("node => node.minipar.view[1] - node.minipar.view[0]")  # noqa: E731
    one.canvas.focus()
    one.point(10, rank=0)
    notebook_page.page.mouse.wheel(0, -200)
    notebook_page.until(lambda: span() < 30)
    one.keys("0")
    notebook_page.until(lambda: span() == 33)
    one.keys("+")
    notebook_page.until(lambda: span() < 33)
    one.root.get_by_role("button", name="whole step").click()
    notebook_page.until(lambda: span() == 33)


def test_the_wheel_scrolls_the_page_while_nothing_is_focused(picture, notebook_page):
    one = picture("one")
    one.point(10, rank=0)
    notebook_page.page.mouse.wheel(0, -100)
    notebook_page.page.wait_for_timeout(200)
    assert one.canvas.evaluate("node => node.minipar.view") == [0, 33]


def test_as_table_is_a_real_table(picture):
    one = picture("one")
    one.root.get_by_role("button", name="as table").click()
    table = one.root.get_by_role("table")
    assert table.locator("th").all_inner_texts() == ["Rank", "What", "From", "To", "Takes"]
    assert table.locator("tbody tr").count() == 64 + 9  # bars and gaps
    assert table.locator("tbody tr").first.inner_text().split() == ["0", "0F0", "0", "1", "1", "slot"]
    one.root.get_by_role("button", name="as table").click()
    assert one.root.get_by_role("table").count() == 0


def test_a_slider_moves_the_picture(picture, notebook_page):
    moved = picture("moved")
    before, shown = moved.rev, notebook_page.fingerprint("moved")
    notebook_page.press("m", "ArrowRight")
    moved.says("of 309 slots")
    assert moved.rev > before
    assert notebook_page.fingerprint("moved") != shown


def test_keys_walk_from_one_panel_into_the_next(picture):
    two = picture("two")
    two.keys("Home", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown")
    two.says("0F0 on rank 0")
    two.keys("End")
    two.says("0B7 on rank 0: backward of microbatch 7, from 31 to 33 (2 slots). Before it, idle for 1 slot.")


def test_paced_measured_and_gloo_stand_on_the_picture(picture, notebook_page):
    measured = picture("measured")
    notebook_page.page.evaluate("() => { window.written = []; }")
    measured.keys("ArrowRight")
    notebook_page.until(lambda: "measured, paced; gloo, CPU; outline: predicted, in slots" in written(notebook_page))


def written(page):
    return {words for words, *_ in page.page.evaluate("() => window.written")}


def test_bars_carry_letter_and_microbatch(picture, notebook_page):
    one = picture("one")
    notebook_page.page.evaluate("() => { window.written = []; }")
    one.keys("ArrowRight")
    notebook_page.until(lambda: {"F0", "F7", "B0", "B7", "rank 3", "busy 73 %", "peak 8"} <= written(notebook_page))


def test_no_text_is_smaller_than_twelve_pixels(picture, notebook_page):
    picture("one").keys("ArrowRight")
    assert min(size for _, size, _ in notebook_page.page.evaluate("() => window.written")) >= 12
    dom = """root => [...root.querySelectorAll('*')].filter(node => node.innerText && node.tagName !== 'STYLE')
                 .map(node => parseFloat(getComputedStyle(node).fontSize))"""
    assert min(picture("one").root.evaluate(dom)) >= 12


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_have_contrast_in_both_themes(picture, notebook_page, theme):
    one = picture("one")
    notebook_page.theme(theme)
    before = one.rev
    notebook_page.page.evaluate("() => { window.written = []; }")
    one.keys("ArrowRight")
    notebook_page.until(lambda: one.rev > before)
    paper = one.canvas.evaluate(
        "node => [...node.getContext('2d').getImageData(2, node.height - 4, 1, 1).data].slice(0, 3)"
    )
    paper = "#" + "".join(f"{channel:02X}" for channel in paper)
    assert (contrast(paper, "#FFFFFF") > 10) == (theme == "dark")
    outside = {"Work overlaps", "predicted, in slots", "rank 0", "busy 73 %", "peak 8", "forward", "10"}
    inks = {words: ink for words, _, ink in notebook_page.page.evaluate("() => window.written") if words in outside}
    assert set(inks) == outside
    assert min(contrast(paper, over(ink, paper)) for ink in inks.values()) >= 4.5
    notebook_page.theme("light")


def over(ink, paper):
    """A canvas colour, which may be see-through, as it comes out on the paper."""
    if ink.startswith("#"):
        return ink
    *channels, alpha = (float(part) for part in ink[ink.index("(") + 1 : -1].split(","))
    back = (int(paper[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a * alpha + b * (1 - alpha)):02X}" for a, b in zip(channels, back, strict=True))


def test_nothing_moves_unless_asked(picture, notebook_page):
    one = picture("one")
    notebook_page.page.wait_for_timeout(200)
    before = one.rev
    notebook_page.page.wait_for_timeout(500)
    assert one.rev == before


def test_it_follows_the_width_of_the_page(picture, notebook_page):
    one = picture("one")
    width, before = one.canvas.bounding_box()["width"], one.rev
    size = notebook_page.page.viewport_size
    notebook_page.page.set_viewport_size({"width": 900, "height": 720})
    notebook_page.until(lambda: one.rev > before and one.canvas.bounding_box()["width"] < width - 200)
    ratio = notebook_page.page.evaluate("() => window.devicePixelRatio")
    box = one.canvas.bounding_box()
    assert one.canvas.evaluate("node => node.width") == pytest.approx(box["width"] * ratio, abs=1)
    notebook_page.page.set_viewport_size(size)


def test_the_picture_survives_a_reload(picture, notebook_page):
    notebook_page.reload()
    notebook_page.wait_drawn()
    one = picture("one")
    notebook_page.until(lambda: one.canvas.get_attribute("data-rev"))
    one.keys("ArrowRight")
    one.says("0F1 on rank 0")


def test_it_is_drawn_light_and_dark(notebook_page):
    files = notebook_page.pictures("timeline", ["one", "two", "moved", "measured"])
    assert all(file.stat().st_size > 20_000 for file in files)
    notebook_page.assert_sound()


def test_a_closed_widget_leaves_nothing_behind(picture, notebook_page):
    """The last test: Lab itself complains of a closed widget when the page is loaded again."""
    closed = picture("closed")
    watched = "() => window.dispatchEvent(new Event('pointerup'))"
    assert closed.canvas.count() == 1
    kernel = """() => { const panel = (window.jupyterapp || window.jupyterlab).shell.currentWidget;
        return panel.sessionContext.session.kernel.requestExecute({code: 'closed.close()'}).done.then(() => null); }"""
    notebook_page.page.evaluate(kernel)
    notebook_page.until(lambda: closed.canvas.count() == 0)
    notebook_page.page.evaluate(watched)
