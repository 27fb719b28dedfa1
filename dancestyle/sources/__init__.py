"""What is on disk -> source clips: one reader for each kind of source that params can name."""
