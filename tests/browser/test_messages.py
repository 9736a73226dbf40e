"""Lesson 02's explorers in a real Lab: a key moves the ring a step, alpha and beta the curve; both themes."""

CELLS = [
    "import minipar\nfrom minipar.cost.machine import Link, Machine, Point\n"
    "from minipar.view.ring import matrices, ring",
    ("table", "from minipar.learn.places import Chart\n"
     "Chart(matrices({'ring': [[0, 6, 0], [0, 0, 6], [6, 0, 0]]}, 'each sends as much'))"),
    ("ring", "ring(4)"),
    ("curve", "points = [Point('send', 2, 4**n, 5e-5 + 4**n / 4e9, 1e-4, 1e-3, 9) for n in range(1, 13)]\n"
     "here = Machine('here', Link(5e-5, 1 / 4e9), True, points=tuple(points))\n"
     "minipar.explore.message(here, task=minipar.explore.twice_its_wait())"),
]  # fmt: skip


def test_the_ring_is_stepped_by_keys(page):
    page.until(lambda: "step 1 of 6" in page.text("ring"), what="the first step")
    seen = [page.fingerprint("ring")]
    for step, said in enumerate(["sum grows", "finished piece", "replaced", "replaced", "replaced"], start=2):
        page.press("step")
        page.until(lambda step=step: f"step {step} of 6" in page.text("ring"), what=f"step {step}")
        page.until(lambda said=said: said in page.text("ring"), what=said)
        seen.append(page.fingerprint("ring"))
    assert len(set(seen)) == 6 and "16 of 16" in page.text("ring")
    page.assert_sound()


def test_alpha_moves_the_left_end_and_the_tasks_get_their_ticks(page):
    before = page.fingerprint("curve")
    page.press("alpha", "ArrowLeft", times=2)
    page.until(lambda: "the left end moved" in page.text("curve"), what="the sentence about the left end")
    page.until(lambda: page.text("curve").count("✓") == 1, what="a tick")
    assert page.fingerprint("curve") != before
    page.press("alpha", "ArrowRight", times=2)
    page.press("message size", "ArrowRight", times=30)
    page.until(lambda: "alpha / beta = 200,000 B" in page.text("curve"), what="the size at which bytes cost the wait")
    page.assert_sound()


def test_both_themes_can_be_read_and_a_figure_keeps_its_height(page):
    height = "() => document.querySelector('.js-plotly-plot').getBoundingClientRect().height"
    for theme in ("light", "dark", "light"):
        page.theme(theme)
        assert page.faint() == [], theme
        assert page.page.evaluate(height) == 350
    page.pictures("messages", ["table", "ring", "curve"])
