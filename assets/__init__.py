"""The Dagster assets: thin wiring around `shs_pipeline`, which does the work."""
