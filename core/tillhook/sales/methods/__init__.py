"""Payment methods of the shop's own, beside those that modules declare: making, changing, switching off."""
