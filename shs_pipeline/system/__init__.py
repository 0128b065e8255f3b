"""The system as a whole: the service supervisor, its state, backups, Dagster's home and books.

Not here: the database server (`database`). Start with `supervisor`, `doctor` or `backup`.
"""
