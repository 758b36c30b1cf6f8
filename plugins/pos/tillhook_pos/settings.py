"""The counter's settings."""

from tillhook.hooks import SettingDeclaration
from tillhook_pos.receipts import options as receipts
from tillhook_pos.scanning.patterns import check_patterns

SETTINGS: tuple[SettingDeclaration, ...] = (
    SettingDeclaration(
        key="pos.embedded_codes",
        type=str,
        default="",
        title="Patterns of codes with a price or weight in them, such as 24IIIIIPPPPPC: digits as they are, I item,"
        " P price, W weight, N number, V the price's check digit, C the code's; a point where decimals begin",
        check=check_patterns,
    ),
    SettingDeclaration(
        key="pos.gs1_prices",
        type=bool,
        default=False,
        title="Whether a price in a GS1 code (392n, 393n) is charged, not the catalogue's",
    ),
    SettingDeclaration(
        key="pos.require_session", type=bool, default=False, title="Whether selling needs an open till session"
    ),
    SettingDeclaration(
        key="pos.blind_count",
        type=bool,
        default=False,
        title="Whether a till is counted without knowing what must be in it",
    ),
    *receipts.SETTINGS,
)
