"""PostgreSQL: the embedded server, connections, the owner's two logins, locks, and wording of faults.

Not here: any table (they are in `ingest.warehouse` and the dbt project) or people's logins (`people`). Start
with `databases`, which prepares both databases; `embedded_postgres` runs the server.
"""
