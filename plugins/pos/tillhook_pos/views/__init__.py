"""What a seller looks at: the own stock, today and this week, and sales over a range of days."""
