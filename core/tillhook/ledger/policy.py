"""The stock policy: what happens when a document wants more than is available."""

import itertools
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tillhook.runtime import runtime_of, snapshot_of

POLICIES = ("block", "allow", "absorb")
#: ``channel`` of a rule that is meant for sales synced from offline devices.
OFFLINE_SUFFIX = ":offline"


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """The question that ``resolve_stock_policy`` is asked, once per line."""

    product_id: int
    warehouse_id: int
    channel: str | None
    is_offline: bool
    default: str


def policy_for(
    session: Session, product_id: int, warehouse_id: int, channel: str | None, *, is_offline: bool, default: str
) -> str:
    """Return the policy of the most specific rule, product before warehouse before channel, else ``default``.

    An offline sale has already happened: only rules that name ``<channel>:offline`` apply to it.

    Raises:
        HookError: A plugin answered what is no policy.
    """
    hooks = runtime_of(session).hooks
    if hooks.implemented("resolve_stock_policy"):
        request = PolicyRequest(product_id, warehouse_id, channel, is_offline, default)
        answer = hooks.resolve("resolve_stock_policy", _check, session=session, request=request)
        if answer is not None:
            return str(answer)
    rules = snapshot_of(session).policies
    channels = (f"{channel}{OFFLINE_SUFFIX}",) if is_offline else (channel, None)
    for key in itertools.product((product_id, None), (warehouse_id, None), channels):
        if key in rules:
            return rules[key]
    return default


def _check(answer: str) -> None:
    if answer not in POLICIES:
        raise ValueError(f"not one of {', '.join(POLICIES)}")
