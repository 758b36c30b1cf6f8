"""People and firms; being a customer or a vendor is a role of theirs."""

from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, TimestampMixin


class Party(IdMixin, TimestampMixin, Base):
    """Somebody we sell to, buy from, or both."""

    __tablename__ = "party"

    name: Mapped[str]
    phone: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")
    tax_id: Mapped[str] = mapped_column(default="")
    is_customer: Mapped[bool] = mapped_column(default=False)
    is_vendor: Mapped[bool] = mapped_column(default=False)
    # No foreign key: the user's row points back here, and two tables that need each other cannot be made.
    user_id: Mapped[int | None] = mapped_column(unique=True)
    search_text: Mapped[str] = mapped_column(default="")
