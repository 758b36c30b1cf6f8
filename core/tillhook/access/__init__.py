"""Who may do what: users, roles, tokens, API keys, the rows that one sees, and the audit log."""

from tillhook.access.actor import ANONYMOUS, SYSTEM, Actor
from tillhook.access.audit import audit
from tillhook.access.loading import load_actor
from tillhook.access.scope import (
    require_warehouse,
    sees_all_sales,
    sees_warehouse,
    visible_warehouses,
    warehouse_condition,
)
from tillhook.access.tokens import Claims, authenticate_token, issue_access_token

__all__ = [
    "ANONYMOUS",
    "SYSTEM",
    "Actor",
    "Claims",
    "audit",
    "authenticate_token",
    "issue_access_token",
    "load_actor",
    "require_warehouse",
    "sees_all_sales",
    "sees_warehouse",
    "visible_warehouses",
    "warehouse_condition",
]
