"""The dashboards: definitions of what each one shows, used by Metabase and the preview alike.

Not here: how they are drawn. Start with `commission_report.yml`, then `model` and `reading`.
"""
