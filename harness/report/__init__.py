"""Ways to show a run's cells."""
