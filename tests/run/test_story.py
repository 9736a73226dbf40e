"""The words in which a fault is told."""

import signal

from minipar.run import story


def fault(kind, message, time=0.0, text="trace"):
    return {"type": kind, "message": message, "time": time, "text": text, "operation": None}


def final(rank, **fields):
    return "fault", rank, 1, fault(**fields), {}


def test_a_peers_echo_is_not_the_cause():
    got = {
        0: final(0, kind="RuntimeError", message="[/a/pair.cc:553] Connection closed by peer [127.0.0.1]:1", time=1.0),
        2: final(2, kind="KeyError", message="'x'", time=2.0),
    }
    assert story.cause_of(got, "", "") == ("raised", 2, "KeyError", "rank 2 raised KeyError: 'x'", "trace")


def test_the_earliest_own_error_is_the_cause_and_equal_ones_count_as_one():
    got = {
        1: final(1, kind="KeyError", message="late", time=5.0),
        3: final(3, kind="ValueError", message="same", time=1.0),
        2: final(2, kind="ValueError", message="same", time=2.0),
    }
    assert story.cause_of(got, "", "")[:3] == ("raised", 2, "ValueError")


def test_a_death_comes_first():
    got = {0: final(0, kind="KeyError", message="x"), 1: ("dead", 1, -signal.SIGSEGV)}
    assert story.cause_of(got, "", "")[3] == "rank 1 died: killed by SIGSEGV (a crash in compiled code)"


def test_where_nobody_failed_the_reason_is_told():
    assert story.cause_of({}, "timeout", "timeout: not done after 1 s") == (
        "timeout", None, None, "timeout: not done after 1 s", "",
    )  # fmt: skip


def test_exit_codes_in_words():
    assert story.how(3) == "it ended itself with exit code 3"
    assert story.how(-9) == "killed by SIGKILL (killed from outside; perhaps the machine ran out of memory)"
    assert story.how(-15) == "killed by SIGTERM"


def test_operations_in_words():
    assert story.doing(("recv", 3, "letter", 1)) == "waits for a message from rank 3"
    assert story.doing(("send", 1, 7, 1)) == "waits until rank 1 takes its message"
    assert story.doing(("all_reduce", (0, 2), "g", 4)) == "waits in all_reduce (number 4 of the group 0, 2)"
