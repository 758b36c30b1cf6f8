"""What clients send and the journal does not use: kept with its sale, and shown.

A member that nobody knows, in a sale that has happened; the client's own totals; an expiry date that is not the lot's.
"""

from tillhook.sales.sent.bodies import read_body, unknown_members
from tillhook.sales.sent.keeping import sent_row

__all__ = ["read_body", "sent_row", "unknown_members"]
