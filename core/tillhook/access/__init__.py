"""Who may do what: users, roles, tokens, API keys, the rows that one sees, and the audit log."""

from tillhook.access.acting import acting_for, acting_with
from tillhook.access.api_keys import KeyRequest, create_api_key, has_device_key, revoke_api_key
from tillhook.access.audit import audit, audit_changes
from tillhook.access.loading import load_actor, user_actor
from tillhook.access.models import ApiKey, UserAccount
from tillhook.access.overriding import approval_of
from tillhook.access.pins import name_at, people_at, person_named, prove, sign_in_at_device
from tillhook.access.roles import NewRole, create_role, sync_roles
from tillhook.access.scope import (
    active_warehouses,
    default_warehouse,
    in_warehouse,
    require_warehouse,
    sees_all_sales,
    sees_warehouse,
    visible_warehouses,
    warehouse_condition,
    which_warehouse,
)
from tillhook.access.sessions import open_session, revoke_session, revoke_sessions_of, start_session
from tillhook.access.tokens import Claims, authenticate_token, issue_access_token
from tillhook.access.users import NewUser, create_user, deactivate_user, update_user

__all__ = [
    "ApiKey",
    "Claims",
    "KeyRequest",
    "NewRole",
    "NewUser",
    "UserAccount",
    "acting_for",
    "acting_with",
    "active_warehouses",
    "approval_of",
    "audit",
    "audit_changes",
    "authenticate_token",
    "create_api_key",
    "create_role",
    "create_user",
    "deactivate_user",
    "default_warehouse",
    "has_device_key",
    "in_warehouse",
    "issue_access_token",
    "load_actor",
    "name_at",
    "open_session",
    "people_at",
    "person_named",
    "prove",
    "require_warehouse",
    "revoke_api_key",
    "revoke_session",
    "revoke_sessions_of",
    "sees_all_sales",
    "sees_warehouse",
    "sign_in_at_device",
    "start_session",
    "sync_roles",
    "update_user",
    "user_actor",
    "visible_warehouses",
    "warehouse_condition",
    "which_warehouse",
]
