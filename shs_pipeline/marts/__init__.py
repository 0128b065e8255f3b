"""From loaded lines to published marts: when a build is due, running dbt, explain and diff.

Not here: the crediting and payout rules, which are the models in `dbt_project/`. Start with `build`, then
`due`.
"""
