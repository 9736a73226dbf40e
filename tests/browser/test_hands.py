"""Lesson 07b's pictures in a real Lab: a list edited by keys, the switch pressed by keys and by mouse; both themes."""

CELLS = [
    "import minipar\nfrom minipar.plan.waits import circle, waits\nfrom minipar.view import waits as view",
    ("who", "schedule = minipar.one_f_one_b(4, 4)\nview.waits(schedule, waits(schedule, True), (2, 3), 'who waits')"),
    ("what", "rows = [(rank, 'all_reduce', 'mixed, line 4', 'return w.axis().all_reduce(torch.ones(4))') for rank in "
     "range(3)]\nrows += [(3, 'broadcast', 'mixed, line 3', 'return w.axis().broadcast(torch.ones(4))')]\n"
     "view.calls([view.Call(*row) for row in rows], 'who called what')"),
    ("hands", "minipar.explore.hands(minipar.one_f_one_b(2, 2), task=minipar.explore.both_ways_pass())"),
]  # fmt: skip


def test_two_actions_are_swapped_by_keys_and_both_switches_pass(page):
    page.until(lambda: "stuck, circle 0 → 1 → 0" in page.text("hands"), what="the circle")
    area = page.cell("hands").locator("textarea").first
    area.click()
    area.press("Control+End")
    for _ in range(len("1F0 1B0 1F1 1B1")):
        area.press("Backspace")
    area.press_sequentially("1F0 1F1 ")
    page.until(lambda: "1B0 is missing" in page.text("hands"), what="what is wrong so far")
    area.press_sequentially("1B0 1B1")
    page.until(lambda: "every rank reaches its end" in page.text("hands"), what="the end of the hang")
    page.until(lambda: "✓" in page.text("hands"), what="the tick")
    page.assert_sound()


def test_the_switch_is_pressed_by_mouse_and_by_keys(page):
    hang = page.fingerprint("hands")
    page.cell("hands").get_by_role("button", name="letter box").click()
    page.until(lambda: "With letter boxes: every rank reaches its end" in page.text("hands"), what="letter boxes")
    assert page.fingerprint("hands") != hang and "✓" not in page.text("hands")
    switch = page.cell("hands").get_by_role("button", name="hand to hand")
    switch.focus()
    switch.press("Space")
    page.until(lambda: "From hand to hand: 0 → 1 → 0 for ever" in page.text("hands"), what="hand to hand")
    page.assert_sound()


def test_both_themes_can_be_read(page):
    for theme in ("light", "dark"):
        page.theme(theme)
        assert page.faint() == [], theme
    page.pictures("hangs", ["who", "what", "hands"])
