"""Routes of receipts."""

from tillhook.http import Call, Reply, Routes
from tillhook_pos import permissions
from tillhook_pos.receipts import services
from tillhook_pos.receipts.schemas import ReceiptQuery

routes = Routes()


@routes.get(
    "/pos/sales/{sale_id:int}/receipt",
    permission=permissions.RECEIPT_PRINT,
    query=ReceiptQuery,
    content_types=("application/pdf", "text/plain", "application/octet-stream"),
    writes=True,
    problems=(404,),
)
def receipt(call: Call, sale_id: int) -> Reply:
    """Print a receipt: PDF, text, or the bytes for a receipt printer."""
    # HEAD asks what would come, and hands nothing out.
    is_preview = call.query["preview"] or call.request.method == "HEAD"
    printed = services.print_receipt(call.session, sale_id, {**call.query, "preview": is_preview})
    headers = {
        "Content-Disposition": f'inline; filename="{printed.file_name}"',
        # Each is another copy.
        "Cache-Control": "no-store",
    }
    return Reply(data=printed.content, content_type=printed.content_type, headers=headers)
