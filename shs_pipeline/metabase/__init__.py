"""Metabase as code: the desired contents, the current contents, the difference, and how to apply it.

Not here: what the dashboards show (`dashboards`). Start with `provisioning`.
"""
