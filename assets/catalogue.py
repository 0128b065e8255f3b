"""What Dagster's catalogue says of every asset."""

OWNERS = ["team:admins"]
"""Who is asked about an asset: the admins of `sales_reps`, who get the mails."""
