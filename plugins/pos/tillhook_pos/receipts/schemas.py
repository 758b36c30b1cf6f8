"""The query of a receipt."""

from marshmallow import ValidationError, validates_schema

from tillhook.http import Choice, Flag, QuerySchema
from tillhook_pos.receipts.options import WIDTHS


class ReceiptQuery(QuerySchema):
    format = Choice(["pdf", "text", "escpos"], load_default="pdf")
    paper = Choice(["80mm", "a4"], load_default="80mm")
    width = Choice([str(width) for width in WIDTHS], load_default=None)
    preview = Flag(load_default=False)

    @validates_schema
    def fitting(self, data: dict[str, object], **_: object) -> None:
        if data["paper"] == "a4" and data["format"] != "pdf":
            raise ValidationError("Only a PDF can be on A4.", "paper")
        if data["width"] is not None and data["format"] == "pdf":
            raise ValidationError("A PDF has no columns.", "width")
