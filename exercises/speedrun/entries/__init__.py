"""Our own entries to the race, in the order of the book's table."""
