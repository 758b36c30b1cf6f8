"""Routes of sessions."""

from typing import Any

from tillhook.http import Call, Reply, Routes
from tillhook_pos import permissions
from tillhook_pos.sessions import services
from tillhook_pos.sessions.layout import render
from tillhook_pos.sessions.schemas import (
    CashIn,
    CashOut,
    CloseIn,
    OpenIn,
    ReportOut,
    ReportQuery,
    SessionOut,
    SessionQuery,
    SessionsOut,
)

routes = Routes()


@routes.post(
    "/pos/sessions", permission=permissions.SESSION_OPEN, body=OpenIn, answer=SessionOut, status=201, problems=(409,)
)
def open_session(call: Call) -> Any:
    """Open a till with a float."""
    return services.open_session(call.session, **call.body)


@routes.get("/pos/sessions", permission=permissions.SESSION_READ, query=SessionQuery, answer=SessionsOut)
def list_sessions(call: Call) -> Any:
    """List till sessions."""
    items, cursor = services.list_sessions(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.get("/pos/sessions/{session_id:int}", permission=permissions.SESSION_READ, answer=SessionOut, problems=(404,))
def get_session(call: Call, session_id: int) -> Any:
    """Show a till session."""
    return services.get_session(call.session, session_id)


@routes.post(
    "/pos/sessions/{session_id:int}/cash",
    permission=permissions.SESSION_CASH,
    body=CashIn,
    answer=CashOut,
    status=201,
    problems=(404, 409),
)
def move_cash(call: Call, session_id: int) -> Any:
    """Put cash into a till or take it out, with a reason."""
    return services.move_cash(call.session, session_id, **call.body)


@routes.post(
    "/pos/sessions/{session_id:int}/close",
    permission=permissions.SESSION_CLOSE,
    body=CloseIn,
    answer=SessionOut,
    problems=(404, 409),
)
def close_session(call: Call, session_id: int) -> Any:
    """Count and close a till: the Z report is made and stays as it is."""
    return services.close_session(call.session, session_id, **call.body)


@routes.get(
    "/pos/sessions/{session_id:int}/report",
    permission=permissions.SESSION_READ,
    query=ReportQuery,
    answer=ReportOut,
    content_types=("text/plain",),
    problems=(404,),
)
def report(call: Call, session_id: int) -> Any:
    """Show the X report of an open session, the Z report of a closed one."""
    shown = services.get_report(call.session, session_id)
    if call.query["format"] == "text":
        return Reply(data=render(shown).encode(), content_type="text/plain; charset=utf-8")
    return shown
