"""The dashboards: what each shows, as definitions that Metabase and the preview both follow."""
