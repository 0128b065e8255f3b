"""The dashboards without Metabase: the same definitions as read-only web pages on this machine.

Not here: what the dashboards show (`dashboards`). Start with `app`.
"""
