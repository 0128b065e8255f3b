"""The reference tables, one module each, which admins maintain as workbooks.

Not here: what follows from them (the dbt project). Start with `sales_reps`.
"""
