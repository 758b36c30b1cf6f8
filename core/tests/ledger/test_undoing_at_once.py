"""Two who undo the same document at once: what it moved comes back once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tillhook.db import retrying
from tillhook.errors import Conflict
from tillhook.ledger import Document
from tillhook.testing import at_once, clean

PAIRS = [Document("t.note", number) for number in range(4)]


def outcomes(call, documents):
    """Return what became of the calls at once: nothing, or the code of the refusal."""

    def run(document):
        try:
            retrying(lambda: call(document))
        except Conflict as error:
            return error.code

    return sorted(map(str, at_once(*(partial(run, document) for document in documents))))


def test_a_document_is_reversed_by_one_of_two(make, door, runtime):
    product = make.product(stock=9)
    door.issue((product, 4))
    became = outcomes(lambda by: door.reverse(by=by), PAIRS)
    assert became == ["None", "already-reversed", "already-reversed", "already-reversed"]
    assert make.stock(product) == 9 and clean(runtime)


def test_goods_come_back_by_one_of_two(make, door, runtime):
    product = make.product(stock=9)
    door.issue((product, 4))
    became = outcomes(lambda by: door.restock(0, 3, by=by), PAIRS)
    assert became == ["None", *["restocks-more-than-issued"] * 3]
    assert make.stock(product) == 8 and clean(runtime)


def test_a_return_and_its_sale_are_reversed_at_once(make, door, runtime):
    """Whoever comes first: the goods are all back, and not twice."""
    product = make.product(stock=9)
    door.issue((product, 4))
    door.restock(0, 4)
    undone = {PAIRS[0]: {}, PAIRS[1]: {"document": Document("invoicing.credit_note", 3)}}
    became = outcomes(lambda by: door.reverse(by=by, **undone[by]), PAIRS[:2])
    assert became == ["None", "None"] and clean(runtime)
    # The sale first: nothing was left of it, and the return's reversal took the goods out again.
    assert make.stock(product) in (5, 9)
    assert sum(door.moved_by().values()) == 9 - make.stock(product)


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_who_undoes_waits_for_who_undoes_the_same(make, door, runtime):
    product = make.product(stock=9)
    door.issue((product, 4))
    with ThreadPoolExecutor(1) as pool:
        with runtime.unit_of_work() as session:
            door.undo(session, PAIRS[0])
            waiting = pool.submit(door.reverse, by=PAIRS[1])
            with pytest.raises(TimeoutError):
                waiting.result(0.4)
        with pytest.raises(Conflict, match="reversed before"):
            waiting.result(5)
