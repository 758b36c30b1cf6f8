"""The application: what builds it, answers its requests, watches it, and works beside them.

Above all areas: only the command line and the tests import it.
"""
