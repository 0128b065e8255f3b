"""Load one folder of the bucket into the warehouse: what is due, loading, the books and their checks.

Not here: how a file is read (`file_reader`), or what is computed from its lines (`marts`). Start with
`ingestion`.
"""
