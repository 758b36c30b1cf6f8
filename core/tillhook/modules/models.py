"""The table of plugins that this database has met."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, utc_now


class Module(Base):
    """A plugin, and whether it is enabled; the row stays when the plugin is not installed any more."""

    __tablename__ = "module"

    name: Mapped[str] = mapped_column(primary_key=True)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    version: Mapped[str]
    installed_at: Mapped[datetime] = mapped_column(default=utc_now)
