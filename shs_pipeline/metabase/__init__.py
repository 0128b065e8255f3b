"""Metabase as code: what it should hold, what it holds, the difference, and how that is made up."""
