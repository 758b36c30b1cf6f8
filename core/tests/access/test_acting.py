"""Working in somebody else's name."""

import pytest

from tillhook.access import acting_for, acting_with
from tillhook.errors import NotFound
from tillhook.runtime import actor_of


def test_within_it_one_is_the_other_with_the_others_rights_and_afterwards_oneself(runtime, make):
    seller = make.user("cashier")
    with runtime.unit_of_work() as session:
        with acting_for(session, seller.id, device="till-1") as acting:
            assert actor_of(session) is acting
            assert (acting.user_id, acting.device, acting.is_system) == (seller.id, "till-1", False)
            assert acting.can("sales:sale:post") and not acting.can("platform:setting:update")
            assert acting.warehouse_ids == {make.main}
        assert actor_of(session).is_system


def test_one_is_oneself_again_after_a_mistake(runtime, make):
    seller = make.user("cashier")
    with runtime.unit_of_work() as session:
        with pytest.raises(KeyError), acting_for(session, seller.id):
            raise KeyError("a mistake")
        assert actor_of(session).is_system


def test_nobody_acts_for_somebody_who_is_not_there(runtime):
    with runtime.unit_of_work() as session, pytest.raises(NotFound), acting_for(session, 999_999):
        raise AssertionError("acted for nobody")


def test_further_rights_are_added_to_the_own_ones_and_taken_back(runtime, make):
    seller = make.user("cashier")
    with runtime.unit_of_work() as session, acting_for(session, seller.id) as before:
        with acting_with(session, ["sales:sale:read_all"], frozenset({make.other})) as acting:
            assert actor_of(session) is acting and acting.user_id == seller.id
            assert acting.can("sales:sale:read_all") and acting.can("sales:sale:post")
            assert acting.warehouse_ids == {make.main, make.other}
        assert actor_of(session) is before and not before.can("sales:sale:read_all")
        with acting_with(session, warehouse_ids=None) as acting:
            assert acting.warehouse_ids is None and acting.permissions == before.permissions
