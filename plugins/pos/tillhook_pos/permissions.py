"""What one may do at the counter."""

from tillhook.hooks import Permission

SCAN = "pos:code:scan"
SELL = "pos:code:sell"
PARK = "pos:parked:park"
READ_PARKED = "pos:parked:read"
RESUME_PARKED = "pos:parked:resume"
DISCARD_PARKED = "pos:parked:discard"

SESSION_OPEN = "pos:session:open"
SESSION_READ = "pos:session:read"
SESSION_READ_ALL = "pos:session:read_all"
SESSION_CASH = "pos:session:cash"
SESSION_CLOSE = "pos:session:close"
SESSION_CLOSE_ANY = "pos:session:close_any"
SESSION_SEE_EXPECTED = "pos:session:see_expected"

RECEIPT_PRINT = "pos:receipt:print"

TILL_READ = "pos:till:read"
TILL_MANAGE = "pos:till:manage"
TILL_SIGN_IN = "pos:till:sign_in"
RECEIPT_VERIFY = "pos:receipt:verify"
RECEIPT_RESTORE = "pos:receipt:restore"

INVENTORY = "pos:inventory:read"
DASHBOARD = "pos:dashboard:read"
REPORT = "pos:report:read"

_SELLERS = ("manager", "supplier", "cashier")
_BOSSES = ("manager", "supplier")

PERMISSIONS = (
    Permission(name=SCAN, title="Scan a code", roles=_SELLERS),
    Permission(name=SELL, title="Sell by a code", roles=_SELLERS),
    Permission(name=PARK, title="Put a sale aside", roles=_SELLERS),
    Permission(name=READ_PARKED, title="See parked sales", roles=_SELLERS),
    Permission(name=RESUME_PARKED, title="Take a parked sale up again", roles=_SELLERS),
    Permission(name=DISCARD_PARKED, title="Give a parked sale up", roles=_SELLERS),
    Permission(name=SESSION_OPEN, title="Open a till session", roles=_SELLERS),
    Permission(name=SESSION_READ, title="See own till sessions", roles=(*_SELLERS, "accountant")),
    Permission(name=SESSION_READ_ALL, title="See others' till sessions", roles=(*_BOSSES, "accountant")),
    Permission(name=SESSION_CASH, title="Put cash into a till and take it out", roles=_SELLERS),
    Permission(name=SESSION_CLOSE, title="Close own till sessions", roles=_SELLERS),
    Permission(name=SESSION_CLOSE_ANY, title="Close others' till sessions", roles=_BOSSES),
    Permission(
        name=SESSION_SEE_EXPECTED,
        title="See what must be in a till before it is counted",
        roles=(*_BOSSES, "accountant"),
    ),
    Permission(name=RECEIPT_PRINT, title="Print receipts", roles=_SELLERS),
    Permission(name=TILL_READ, title="See tills", roles=(*_SELLERS, "accountant")),
    Permission(name=TILL_MANAGE, title="Register tills, and end their keys", roles=("manager",)),
    Permission(name=TILL_SIGN_IN, title="Let people sign in at a till by PIN", roles=_SELLERS),
    Permission(name=RECEIPT_VERIFY, title="Look a receipt up", roles=(*_SELLERS, "accountant")),
    Permission(name=RECEIPT_RESTORE, title="Post sales from their receipts", roles=_BOSSES),
    Permission(name=INVENTORY, title="See the stock of the own warehouses", roles=(*_SELLERS, "accountant")),
    Permission(name=DASHBOARD, title="See the counter's dashboard", roles=(*_SELLERS, "accountant")),
    Permission(name=REPORT, title="See the counter's sales by day", roles=(*_SELLERS, "accountant")),
)
