"""The stages of the pipeline, one script each: ``python -m stages.<name>``."""
