"""The Dagster sensors and schedules: when something is run."""
