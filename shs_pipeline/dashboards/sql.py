"""SQL with template tags, as Metabase writes them: `{{tag}}`, and `[[ ]]` around what may be left out."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict


class SqlPart(BaseModel):
    """A stretch of SQL, with the tags in it; an optional one stood in `[[ ]]`."""

    model_config = ConfigDict(frozen=True)

    text: str
    is_optional: bool

    @property
    def tags(self) -> list[str]:
        """Names of its tags."""
        return _TAG.findall(self.text)


_TAG = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")
_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


def parse_sql(sql: str) -> list[SqlPart]:
    """Split SQL at its optional clauses.

    Raises:
        ValueError: a bracket or a tag has no end, or an optional clause has no tag.
    """
    parts = [
        SqlPart(text=text, is_optional=bool(place % 2)) for place, text in enumerate(_OPTIONAL.split(sql))
    ]
    for part in parts:
        rest = _TAG.sub("", part.text)
        for sign in ("[[", "]]", "{{", "}}"):
            if sign in rest:
                raise ValueError(f"the SQL holds a {sign} without its other half")
        if part.is_optional and not part.tags:
            raise ValueError(f"the optional clause [[{part.text}]] names no filter")
    return parts


def with_placeholders(sql: str) -> str:
    """Return SQL with placeholders for psycopg in place of the tags."""
    return _TAG.sub(r"%(\1)s", sql.replace("%", "%%"))


def columns_in(template: str) -> list[str]:
    """Return the columns that a template such as `{year}-03` names."""
    return re.findall(r"\{([a-z0-9_]+)\}", template)
