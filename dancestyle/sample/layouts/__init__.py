"""The sample laid out on disk like the real datasets; each module plans its files, then films them."""
