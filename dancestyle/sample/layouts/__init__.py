"""The sample laid out on disk like the real datasets; a module plans its files, then films them."""
