"""What a scanned code means, and selling it."""
