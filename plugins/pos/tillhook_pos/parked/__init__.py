"""Sales put aside before they are paid."""
