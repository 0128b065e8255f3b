"""The dashboards without Metabase: the same definitions as web pages on this machine, read-only."""
