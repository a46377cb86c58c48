"""Which model suits the data, and how good it is."""
