"""Are the tables those of the routing, and is what is saved said?"""

import pytest

from minipar.plan.balance import leaning
from minipar.plan.routing import route
from minipar.view.byte_tables import byte_tables

SEEDED = route(leaning(128, 8), 8, 2, ranks=4)
NODES = route(leaning(128, 8), 8, 2, ranks=4, nodes=2)


def test_one_way_names_who_receives_most():
    tables = byte_tables(SEEDED)
    assert repr(tables) == "ByteTables(once a choice: 50,944 B)"
    assert tables.finding() == "Rank 0 receives most: 30.7 kB of 50.9 kB"
    assert tables.figure().data[0].z[1][0] == 42 * 256


def test_several_ways_say_what_is_saved():
    both = byte_tables(SEEDED, once=("choice", "rank"))
    assert both.finding() == "A token sent once: 40.4 kB that travel, not 50.9 kB"
    three = byte_tables(NODES, once=("choice", "rank", "node"))
    assert three.finding() == "A token sent once: 22.0 kB between nodes, not 31.0 kB"
    assert "once a node: 51,200 B, 22,016 between nodes" in repr(three)
    assert three.figure() == three.figure()


def test_nothing_and_too_much():
    assert byte_tables(route(leaning(4, 4), 4, 1)).finding() == "Nothing leaves its rank"
    with pytest.raises(ValueError, match="a token travels once for each choice or rank or node, not 'twice'"):
        byte_tables(SEEDED, once="twice")
    with pytest.raises(ValueError, match="tables are drawn for 16 ranks at most, not for 32"):
        byte_tables(route(leaning(4, 32), 32, 1, ranks=32))
