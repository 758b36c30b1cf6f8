"""What one may do at the counter."""

from tillhook.hooks import Permission

SCAN = "pos:code:scan"
SELL = "pos:code:sell"

PERMISSIONS = (
    Permission(name=SCAN, title="Scan a code", roles=("supplier", "cashier")),
    Permission(name=SELL, title="Sell by a code", roles=("supplier", "cashier")),
)
