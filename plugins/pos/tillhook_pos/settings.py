"""The counter's settings."""

from tillhook.hooks import SettingDeclaration, within
from tillhook_pos.receipts import options as receipts
from tillhook_pos.scanning.patterns import check_patterns
from tillhook_pos.tills.operators import OPERATOR_MINUTES

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
    SettingDeclaration(
        key=OPERATOR_MINUTES,
        type=int,
        default=720,
        title="Minutes for which somebody who has signed in at a till by PIN stays signed in",
        check=within(1, 1440),
    ),
    *receipts.SETTINGS,
)
