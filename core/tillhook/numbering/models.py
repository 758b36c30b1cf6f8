"""The counters of gapless number series."""

from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base


class NumberSeries(Base):
    """The last number given in a series; its row lock is what keeps the series without gaps."""

    __tablename__ = "number_series"

    name: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(default=0)
