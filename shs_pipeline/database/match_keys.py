"""`ops.match_key`: in the database, the same form of a name as `casting.match_key` gives in Python.

`lower()` goes by the locale of the server, and even the best one differs from `str.casefold`: it keeps ß
apart from SS, and takes İ for i. Two names that one side calls the same and the other does not would
lose a rep's lines, or double them.
"""

from __future__ import annotations

import json
import sys
from functools import cache

# A function with a path of its own is not read when a statement that calls it is planned: the table of
# letters is long, and names with such letters are rare.
TEMPLATE = """
create or replace function ops.match_key_of_letters(name text) returns text
language sql immutable strict parallel safe set search_path = pg_catalog
return (
    select string_agg(coalesce('{table}'::jsonb ->> char, lower(char collate "C")), '' order by place)
    from unnest(string_to_array(name, null)) with ordinality as chars (char, place)
);

-- Without a subquery and not strict, so that the server puts its body in the place of a call.
create or replace function ops.match_key(name text) returns text
language sql immutable parallel safe
return case
    when octet_length(name) = char_length(name) then lower(name collate "C")
    else ops.match_key_of_letters(name)
end;

-- Of three letters each, how many two names share: 1 is the same name, 0 is none. No extension does it
-- everywhere that the database may be.
create or replace function ops.likeness(one text, other text) returns numeric
language sql immutable parallel safe set search_path = pg_catalog
return (
    with ones as (
        select distinct substr('  ' || one || ' ', place, 3) as part
        from generate_series(1, char_length(one) + 1) as places (place)
    ),
    others as (
        select distinct substr('  ' || other || ' ', place, 3) as part
        from generate_series(1, char_length(other) + 1) as places (place)
    )
    select 2.0 * (select count(*) from ones inner join others using (part))
        / nullif((select count(*) from ones) + (select count(*) from others), 0)
);

revoke all on function ops.likeness(text, text) from public;
revoke all on function ops.match_key_of_letters(text), ops.match_key(text) from public;
comment on function ops.match_key(text) is 'The form in which names are compared: without case.';
comment on function ops.likeness(text, text) is 'How alike two names are, from 0 to 1.';
"""


@cache
def match_key_functions() -> str:
    """Return the statements that create the function, from what this Python knows of letters.

    Names are squeezed when they are loaded, so that only case is left. Where all characters are ASCII, as
    nearly always, it costs what `lower()` costs.
    """
    letters = map(chr, range(0x80, sys.maxunicode + 1))
    folded = {char: char.casefold() for char in letters if char != char.casefold()}
    return TEMPLATE.replace("{table}", json.dumps(folded, ensure_ascii=False).replace("'", "''"))
