"""What one may do with vouchers."""

from tillhook.hooks import Permission

READ = "vouchers:voucher:read"
LIST = "vouchers:voucher:list"
REVEAL = "vouchers:voucher:reveal"
ISSUE = "vouchers:voucher:issue"
CHANGE = "vouchers:voucher:change"
PRODUCT = "vouchers:product:manage"

PERMISSIONS = (
    Permission(
        name=READ,
        title="Look a voucher up by its code, and see those that one has issued",
        roles=("manager", "supplier", "cashier", "accountant"),
    ),
    Permission(name=LIST, title="See all vouchers without codes, and what is owed", roles=("manager", "accountant")),
    Permission(name=REVEAL, title="See the codes of others' vouchers"),
    Permission(name=ISSUE, title="Issue vouchers for nothing"),
    Permission(name=CHANGE, title="Extend vouchers and void them"),
    Permission(name=PRODUCT, title="Say which products are gift cards"),
)
