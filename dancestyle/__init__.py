"""Dancing in Style: a reproducible dance-style classifier."""
