"""Imports that have begun and not ended."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, utc_now


class ProductImport(Base):
    """How far an import has come: it writes in several transactions, each of which moves this on.

    Gone when it has ended. One that was stopped is gone on with by who sends the same file again within a day.
    """

    __tablename__ = "product_import"

    #: A digest of the file, of what it was sent with, and of who sent it.
    digest: Mapped[str] = mapped_column(primary_key=True)
    #: Who is at it, and until when that counts without a sign of life; nobody once it was stopped.
    held_by: Mapped[str]
    held_until: Mapped[datetime | None]
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    #: Products of the file, in its order, that are written with their variants and their stock.
    products_done: Mapped[int] = mapped_column(default=0)
    #: What was written so far, as the answer counts it.
    counts: Mapped[dict[str, Any]]
