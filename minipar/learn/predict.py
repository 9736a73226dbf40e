"""What do you expect? The prediction that is locked before the run.

    ask("04")   somebody there, not locked: question, options, "Lock my answer"
                somebody there, locked:     the answer, which cannot be changed (only ``reset("04")`` frees it)
                nobody there:               the question and its options, printed

Called ``ask`` because ``predict`` is the simulator's word.
"""

from __future__ import annotations

from minipar.learn import state
from minipar.learn.lesson import Lesson, Question, Results, lesson
from minipar.view.presence import somebody_there


def ask(lesson_id: str) -> None:
    """Show the question of a lesson; raises KeyError for a lesson that does not exist."""
    asked = lesson(lesson_id)
    if not somebody_there():
        print(as_text(asked))
        return
    from IPython.display import display

    display(panel(asked))


def as_text(asked: Lesson) -> str:
    """Questions and options as plain text; nothing in it tells which option is right."""
    lines = []
    for question in asked.questions:
        lines.append(legend(question))
        lines += [f"  {Question.letter(at)}) {option.text}" for at, option in enumerate(question.options)]
    return "\n".join(lines)


def legend(question: Question) -> str:
    return f"{question.name}. {question.text}" if question.name else question.text


def answers(asked: Lesson) -> list[int] | None:
    """The locked answers, one a question; None while they are not locked (or no longer fit the questions)."""
    known = state.entry(asked.id).get("answers")
    if not isinstance(known, list) or len(known) != len(asked.questions):
        return None
    fits = all(isinstance(at, int) and 0 <= at < len(q.options) for at, q in zip(known, asked.questions, strict=True))
    return known if fits else None


def panel(asked: Lesson):
    """The question as a widget that locks, and that follows ``reset``."""
    from minipar.learn.panels import AskPanel

    made = AskPanel(
        questions=[
            {"text": legend(question), "options": [option.text for option in question.options]}
            for question in asked.questions
        ],
        chosen=[-1] * len(asked.questions),
    )

    def follow() -> None:
        known = answers(asked)
        with made.hold_sync():
            made.chosen = known or [-1] * len(asked.questions)
            made.locked = known is not None
            made.note = "Locked. Press Run below." if known else "Choose, then lock. Only then can you run it."

    def lock() -> None:
        if answers(asked) is None and all(at >= 0 for at in made.chosen):
            state.update(asked.id, answers=list(made.chosen), answered=state.today())

    made.does["lock"] = lock
    state.listen(asked.id, follow)
    follow()
    return made


def reset(lesson_id: str) -> None:
    """Forget the locked answer of a lesson, so that it can be answered again; a passed check stays passed."""
    asked = lesson(lesson_id)
    if not somebody_there():
        print("Nobody is there: nothing was locked.")
        return
    state.update(asked.id, answers=None, answered=None, said=None, measured=None, right=None)
    print(f"Lesson {asked.id}: your answer is forgotten. Answer again above.")


def score(asked: Lesson, results: Results) -> list[list[str]]:
    """One block of lines a question: what was said, what was measured, and the sentence for *that* option."""
    blocks = []
    for question, at in zip(asked.questions, answers(asked) or (), strict=False):
        option = question.options[at]
        name = f"{question.name}: " if question.name else ""
        blocks.append(
            [
                f"{name}{'As you predicted.' if at == question.right else 'Not as you predicted.'}",
                f"You said: {Question.letter(at)}) {option.text}",
                f"Measured: {question.found(results)}",
                option.answer,
            ]
        )
    return blocks


def remember_score(asked: Lesson, results: Results) -> None:
    """Write what was said and what was measured into the progress file, for a locked answer only."""
    known = answers(asked)
    if known is None:
        return
    pairs = list(zip(asked.questions, known, strict=True))
    state.update(
        asked.id,
        said=[f"{Question.letter(at)}) {question.options[at].text}" for question, at in pairs],
        measured=[question.found(results) for question, _ in pairs],
        right=[at == question.right for question, at in pairs],
    )
