"""Training: data, loss, schedules, checkpoints; one ``fit`` for every stage that trains."""
