"""Every level of the board, solved in a real Lab by mouse and by keyboard; what it refuses, and how it looks."""

import nbformat
import pytest

from minipar.learn.levels import LEVELS
from minipar.plan.simulate import predict
from tests.browser.lab import LearnerPage, notebook

CELLS = [
    "import minipar",
    ("board", "minipar.board(minipar.one_f_one_b(4, 6))"),
    ("stuck", "minipar.board(minipar.one_f_one_b(4, 4), unbuffered=True)"),
    ("puzzle", "puzzle = minipar.puzzle()\npuzzle"),
]
RIGHT, DOWN = ("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown")


@pytest.fixture(scope="module")
def page(lab, browser):
    """One notebook for all tests of this file."""
    nbformat.write(notebook(CELLS), lab.root / "puzzle.ipynb")
    opened = browser.open(lab, "puzzle.ipynb", LearnerPage)
    opened.run_all()
    opened.wait_drawn()
    yield opened
    opened.close()


class Board:
    """The puzzle on the page, as a person reads and handles it."""

    def __init__(self, page, cell="puzzle"):
        self.page, self.area = page, page.cell(cell)
        self.canvas = self.area.locator(".minipar-board canvas").first
        self.canvas.scroll_into_view_if_needed()

    @property
    def shown(self):
        return self.canvas.evaluate(
            """node => { const { head, place, cursor, bars } = node.minipar;
               return { number: head.number, pieces: head.pieces, chips: place.chips, rows: place.rows, cursor, bars,
                        names: node.minipar.names(), left: place.left, right: place.right, end: head.end }; }"""
        )

    @property
    def said(self):
        return self.area.locator(".minipar-board-said").inner_text()

    def says(self, words):
        self.page.until(lambda: words in self.said, what=f"{words!r} in {self.said!r}", seconds=15)

    def open(self, number):
        self.area.locator(".minipar-board-levels button").nth(number - 1).click()
        self.page.until(lambda: self.shown["number"] == number, what=f"level {number}")

    def clear(self):
        if self.shown["bars"]:
            self.area.get_by_role("button", name="Start again").click()
            self.page.until(lambda: not self.shown["bars"], what="an empty board")

    def at(self, name):
        """Where a piece lies: its rank, its place in the row of pieces, its middle on the canvas."""
        shown = self.shown
        for rank, row in enumerate(shown["pieces"]):
            for index, piece in enumerate(row):
                if piece["name"] == name:
                    box = shown["chips"][rank][index]
                    return rank, index, {"x": box["x"] + box["w"] / 2, "y": box["y"] + box["h"] / 2}
        raise AssertionError(f"{name} is not among the pieces")

    def bar(self, name):
        """The middle of a placed action."""
        shown = self.shown
        spot = self.canvas.evaluate(
            """(node, name) => { const { place, x, head } = node.minipar, names = node.minipar.names();
               const rank = names.findIndex(row => row.includes(name)), at = names[rank].indexOf(name);
               const width = (place.right - place.left) / head.end;
               return [place.left + width * (at + 0.5), place.rows[rank].y + place.rows[rank].h / 2]; }""",
            name,
        )
        assert any(name in row for row in shown["names"])
        return {"x": spot[0], "y": spot[1]}

    def click(self, name):
        self.canvas.click(position=self.at(name)[2])

    def walk_to(self, name):
        """To a piece by arrow keys alone."""
        keys = self.page.page.keyboard
        if self.shown["cursor"] is None:
            keys.press("ArrowRight")
            self.page.until(lambda: self.shown["cursor"], what="a cursor")
        rank, index, _ = self.at(name)
        shown = self.shown
        cursor = shown["cursor"]
        assert cursor["zone"] == "tray"
        full = [at for at, row in enumerate(shown["pieces"]) if row]
        self._steps(keys, DOWN, full.index(rank) - full.index(cursor["rank"]))
        self.page.until(lambda: self.shown["cursor"]["rank"] == rank, what=f"the row of {name}")
        self._steps(keys, RIGHT, index - self.shown["cursor"]["index"])
        self.page.until(lambda: self.shown["cursor"]["name"] == name, what=f"the cursor on {name}")

    @staticmethod
    def _steps(keys, pair, by):
        for _ in range(abs(by)):
            keys.press(pair[by > 0])

    def press(self, name):
        self.walk_to(name)
        self.page.page.keyboard.press("Enter")

    def wait_for(self, bars):
        self.page.until(lambda: self.shown["bars"] == bars, what=f"{bars} actions placed; said: {self.said}")


def in_time(level):
    """The actions of the reference in the order in which they start."""
    spans = sorted(predict(level.reference, level.rules.cost).spans, key=lambda span: (span.start, span.rank))
    return [str(span.what) for span in spans]


@pytest.fixture
def board(page):
    page.script_errors.clear()
    yield Board(page)
    page.assert_sound()


@pytest.mark.parametrize("number", range(1, 11))
@pytest.mark.parametrize("hand", ["mouse", "keys"])
def test_every_level_is_solved_by_hand(board, page, number, hand):
    level = LEVELS[number - 1]
    board.open(number)
    board.clear()
    if hand == "keys":
        board.canvas.focus()
        page.page.keyboard.press("Escape")
    for placed, name in enumerate(in_time(level), 1):
        (board.click if hand == "mouse" else board.press)(name)
        board.wait_for(placed)
    board.says(f"Solved in {level.par} slots, par is {level.par}.")
    if hand == "mouse":
        page.pictures(f"level_{number:02}", ["puzzle"])


def test_refusals_are_told_word_for_word(board, page):
    board.open(3)
    board.clear()
    board.click("1F0")
    board.says("1F0 needs 0F0's activation: rank 0 has not made it.")
    for placed, name in enumerate(("0F0", "0F1", "0F2"), 1):
        board.click(name)
        board.wait_for(placed)
    board.click("0F3")
    board.says("The drawer of rank 0 is full (3 of 3). Send one home first.")
    board.click("2F1")
    board.says("2F1 needs 1F1's activation: rank 1 has not made it.")
    page.pictures("puzzle_refused", ["puzzle"])


def test_a_bar_is_moved_taken_back_and_had_back(board, page):
    board.open(2)
    board.clear()
    keys = page.page.keyboard
    for placed, name in enumerate(("0F0", "0F1", "1F0"), 1):
        board.click(name)
        board.wait_for(placed)
    board.canvas.drag_to(board.canvas, source_position=board.bar("0F1"), target_position={**board.bar("0F0"), "x": 64})
    page.until(lambda: board.shown["names"][0] == ["0F1", "0F0"], what="0F1 before 0F0")
    board.canvas.click(position=board.bar("0F1"))
    page.page.keyboard.press("Shift+ArrowRight")
    page.until(lambda: board.shown["names"][0] == ["0F0", "0F1"], what="0F1 behind 0F0 again")
    board.canvas.click(position=board.bar("0F0"))
    keys.press("Delete")
    board.says("0F0 is taken back, and with it what needed it: 1F0.")
    keys.press("u")
    page.until(lambda: board.shown["names"][:2] == [["0F0", "0F1"], ["1F0"]], what="all three back")
    _, _, start = board.at("2F0")
    board.canvas.drag_to(board.canvas, source_position=start, target_position={**board.bar("1F0"), "x": 300})
    board.says("2F0 belongs to rank 2 here: rank 1 runs stage 1.")


def test_the_text_goes_both_ways(board, page):
    board.open(2)
    board.clear()
    area = board.area.locator("textarea")
    area.fill("0F0 0F1\n1F0")
    board.wait_for(3)
    board.click("1F1")
    page.until(lambda: area.input_value() == "0F0 0F1\n1F0 1F1\n-", what="the text follows the board")
    area.fill("0F0 0F1x\n1F0 1F1")
    board.says("'0F1x' is no action")
    assert board.shown["bars"] == 4
    area.fill("0F0 0F1\n1F0 1F1\n2F1 2F0 2B2")
    board.says("2B2 needs 2F2 first.")
    area.blur()
    page.until(lambda: area.input_value() == "0F0 0F1\n1F0 1F1\n-", what="the board's own text again")


def test_hint_fill_why_and_path(board, page):
    board.open(4)
    board.clear()
    keys = page.page.keyboard
    board.canvas.focus()
    keys.press("h")
    board.says("Hint: Rank 3 has room for one: it must turn round at once. (3 warm-ups everywhere: 30.)")
    keys.press("h")
    board.says("Place 0F0 on rank 0 next.")
    keys.press("a")
    board.says("Filled in what left no choice: 0F0 1F0 2F0 3F0 3B0.")
    spot = board.bar("3B0")
    board.canvas.hover(position={"x": 80, "y": spot["y"]})
    board.says("Rank 3 waits for 2F0")
    page.pictures("puzzle_filled", ["puzzle"])
    board.area.locator("textarea").fill(str(LEVELS[3].reference))
    board.says("Solved in 18 slots")
    board.area.locator("textarea").blur()
    board.canvas.focus()
    for key in ("Escape", "ArrowUp", "End"):
        keys.press(key)
    board.says("marked actions are the critical path.")
    page.pictures("puzzle_path", ["puzzle"])


def test_run_for_real_and_the_overlay(board, page):
    board.open(1)
    board.clear()
    for placed, name in enumerate(in_time(LEVELS[0]), 1):
        board.click(name)
        board.wait_for(placed)
    board.area.get_by_role("button", name="Run for real").click()
    page.until(lambda: "Run on 3 processes, in the order you laid." in board.said, what="a real run", seconds=90)
    page.until(lambda: board.area.locator(".minipar-timeline canvas").count() == 1, what="the overlay")
    page.pictures("puzzle_real", ["puzzle"])


def test_a_board_is_walked_by_keys_and_the_circle_is_drawn(page):
    one = Board(page, "board")
    one.canvas.focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    one.says("0F1: forward of microbatch 1 through stage 0, on rank 0, from 1 to 2.")
    stuck = Board(page, "stuck")
    stuck.says("Rank 2 sends 2F1's activation to rank 3, which is not there for it.")
    page.pictures("board", ["board", "stuck"])
    page.assert_sound()


def test_both_themes_can_be_read(page):
    for theme in ("light", "dark", "light"):
        page.theme(theme)
        assert page.faint() == [], theme
