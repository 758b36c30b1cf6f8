"""gunicorn's configuration in tests: the master imports the application, so that no process needs a second for it."""

import tillhook.server.app
import tillhook.server.building  # noqa: F401
