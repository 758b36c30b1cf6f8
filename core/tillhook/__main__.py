"""``python -m tillhook``."""

from tillhook.cli.main import main

if __name__ == "__main__":
    main()
