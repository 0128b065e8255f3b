{#- The rows of `relation`, whose `period`s are cut so that only one counts on a day: of two rows of one key
    the one that comes first in `order`. A name and what it was called before may both have rows. -#}
{% macro one_at_a_time(relation, columns, key, order) -%}
select
    {{ columns | join(',\n    ') }},
    lower(parts.period) as valid_from,
    upper(parts.period) as valid_until

from (
    select
        *,
        datemultirange(period) - coalesce(
            range_agg(period) over (
                partition by {{ key | join(', ') }}
                order by {{ order | join(', ') }}
                rows between unbounded preceding and 1 preceding
            ),
            '{}'::datemultirange
        ) as periods

    from {{ relation }}
) as cut
cross join lateral unnest(cut.periods) as parts (period)
{%- endmacro %}


{#- The part of `field: value` before the customer's name or number; of SteppingStone the zip is before it. -#}
{% macro customer_prefix(territory) -%}
substring(ops.match_key({{ territory }}) from '^(?:steppingstone: [^;]*; |[^:]*: )')
{%- endmacro %}


{#- The customer's name or number itself, for comparing. -#}
{% macro customer_key(territory) -%}
regexp_replace(ops.match_key({{ territory }}), '^(?:steppingstone: [^;]*; |[^:]*: )', '')
{%- endmacro %}
