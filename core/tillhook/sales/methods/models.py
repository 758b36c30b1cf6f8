"""The table of payment methods."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, utc_now


class ShopMethod(Base):
    """A method of the shop's own, or what the shop says of one that a module declares: whether it is used.

    The latter has no title, and of it only ``is_active`` counts.
    """

    __tablename__ = "payment_method"

    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    opens_drawer: Mapped[bool] = mapped_column(default=False)
    gives_change: Mapped[bool] = mapped_column(default=False)
    counts_as_cash: Mapped[bool] = mapped_column(default=False)
    takes_refunds: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
