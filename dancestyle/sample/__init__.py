"""Procedural dancers: a small world made by code, laid out on disk like the real datasets."""
