"""What devices bring that were offline: whole batches, in any order, some of it refused, some of it missing.

Above the pipeline. What is refused is stored as an exception, see :mod:`tillhook.sales.exceptions` for its states.
``post_sale`` and ``post_sales`` are here because what is posted may be what a return waits for, and its number one of
a device's, also when the device is online.
"""

from tillhook.sales.offline.deciding import accept, discard
from tillhook.sales.offline.devices import list_devices, missing_numbers, write_off
from tillhook.sales.offline.posting import post_sale, post_sales
from tillhook.sales.offline.sync import sync
from tillhook.sales.offline.waiting import post_waiting

__all__ = [
    "accept",
    "discard",
    "list_devices",
    "missing_numbers",
    "post_sale",
    "post_sales",
    "post_waiting",
    "sync",
    "write_off",
]
