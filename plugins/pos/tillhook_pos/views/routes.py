"""Routes of the seller's views."""

from typing import Any
from urllib.parse import urlencode

from tillhook.http import Call, Reply, Routes
from tillhook_pos import permissions
from tillhook_pos.views import reports
from tillhook_pos.views.inventory import inventory
from tillhook_pos.views.schemas import (
    DashboardOut,
    DashboardQuery,
    InventoryQuery,
    InventoryRowOut,
    SalesReportIn,
    SalesReportOut,
)

routes = Routes()


@routes.get("/pos/inventory", permission=permissions.INVENTORY, query=InventoryQuery, answer=InventoryRowOut(many=True))
def list_inventory(call: Call) -> Any:
    """Show the stock of the own warehouses: 500 rows unless ``limit`` says more, the next by ``X-Next-Cursor``."""
    rows, cursor = inventory(call.session, call.query)
    if cursor is None:
        return rows
    query = urlencode({**call.request.params, "cursor": cursor})
    link = f'<{call.request.path}?{query}>; rel="next"'
    return Reply(media=rows, headers={"X-Next-Cursor": cursor, "Link": link})


@routes.get("/pos/dashboard", permission=permissions.DASHBOARD, query=DashboardQuery, answer=DashboardOut)
def dashboard(call: Call) -> Any:
    """Show today's sales, this week's, and how many products are low."""
    return reports.dashboard(call.session, call.query.get("warehouse"))


@routes.post(
    "/pos/reports/sales",
    permission=permissions.REPORT,
    body=SalesReportIn,
    answer=SalesReportOut,
    writes=False,
)
def sales_report(call: Call) -> Any:
    """Show the counter's sales over a range of days."""
    body = call.body
    return reports.sales_report(call.session, body["date_from"], body["date_to"], body["warehouse"])
