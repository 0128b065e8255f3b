"""The Dagster sensors and schedules: when things run."""
