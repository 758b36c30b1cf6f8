"""Till sessions: from the opening float to the closing count, X and Z reports."""
