"""What may be chosen about receipts, and the settings that choose it."""

from tillhook.hooks import SettingDeclaration
from tillhook_paper import CODE_PAGES

#: Columns of text: paper of 58 mm, of 80 mm with wide margins, and of 80 mm.
WIDTHS = (32, 42, 48)


def code_pages(value: str) -> tuple[str, ...]:
    """Return the names in a list like ``CP437, CP858``.

    Raises:
        ValueError: A name is none of :data:`CODE_PAGES`.
    """
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if unknown := [name for name in names if name not in CODE_PAGES]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(CODE_PAGES)}.")
    return names


def _check_code_pages(value: str) -> None:
    code_pages(value)


SETTINGS = (
    SettingDeclaration(key="pos.receipt_footer", type=str, default="", title="Text at the foot of a receipt"),
    SettingDeclaration(
        key="pos.receipt_width",
        type=int,
        default=48,
        title="Columns of a receipt printer's paper: 48 or 42 for 80 mm, 32 for 58 mm",
        choices=WIDTHS,
    ),
    SettingDeclaration(
        key="pos.printer_code_pages",
        type=str,
        default="CP437,CP858,CP852,CP866",
        title="Code pages that the receipt printers know, the usual one first; what none of them can say is sent as"
        " a picture",
        check=_check_code_pages,
    ),
    SettingDeclaration(
        key="pos.open_drawer",
        type=bool,
        default=False,
        title="Whether printing a receipt of cash opens the cash drawer",
    ),
)
