"""Gift cards and store credit: codes with a balance."""

from tillhook.hooks import Plugin

__version__ = "0.1.0"

PLUGIN = Plugin(
    name="vouchers",
    version=__version__,
    core=">=0.1,<0.2",
    title="Vouchers",
    summary="Gift cards and store credit.",
    table_prefix="voucher",
    migrations="tillhook_vouchers.migrations",
    event_words=("voucher",),
)
