"""Kinds of paper. Lengths are in points."""

from dataclasses import dataclass

from tillhook_paper.blocks import MM


@dataclass(frozen=True, slots=True)
class Sheet:
    """Paper of one size. The head and the foot stand in the margins above and below."""

    width: float
    height: float
    margin: float = 18 * MM

    @property
    def body_width(self) -> float:
        return self.width - 2 * self.margin

    @property
    def body_height(self) -> float:
        # The foot needs some room above it.
        return self.height - 2 * self.margin - 4 * MM

    def landscape(self) -> "Sheet":
        """Return the sheet with its longer side across."""
        return Sheet(max(self.width, self.height), min(self.width, self.height), self.margin)


@dataclass(frozen=True, slots=True)
class Roll:
    """Paper as long as what stands on it.

    Args:
        body_width: What the printer's head reaches of the width.
    """

    width: float
    body_width: float
    margin: float = 5 * MM


A4 = Sheet(210 * MM, 297 * MM)
LETTER = Sheet(612, 792)
ROLL_80 = Roll(80 * MM, 72 * MM)
ROLL_58 = Roll(58 * MM, 48 * MM)
