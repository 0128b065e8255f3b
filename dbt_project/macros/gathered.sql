{#- The rows of a mart as they stand once this build is published, all or as far as they matter to `scope`: those
    that this build computed, and those that people read now and that it leaves as they are.

    columns     select list; the rows are called `rows`
    replaced    relation whose rows say which part of the mart this build computed
    computed    condition that joins `rows` to `replaced`
    scope       relation whose rows say what is recomputed further on
    match       condition that joins `rows` to `scope` -#}
{% macro gathered(mart, columns, replaced, computed, scope=none, match=none) -%}
select {{ columns | join(', ') }}
from {{ ref(mart) }} as rows

union all

select {{ columns | join(', ') }}
from {{ published(mart) }} as rows
{% if scope -%} inner join {{ ref(scope) }} as scope on {{ match }} {%- endif %}
where not exists (select from {{ ref(replaced) }} as replaced where {{ computed }})
{%- endmacro %}


{#- The same of the lines of sales, of which a build computes whole commission months of a source. -#}
{% macro gathered_lines(columns, scope=none, match=none) -%}
{{ gathered(
    'harmonised_sales',
    columns,
    'changed_slices',
    'replaced.source = rows.source and replaced.commission_month = rows.commission_month',
    scope,
    match
) }}
{%- endmacro %}


{#- The same of the payouts, of which a build computes whole years of a payee and product line. -#}
{% macro gathered_payouts(columns, scope=none, match=none) -%}
{{ gathered(
    'commission_payouts',
    columns,
    'touched_years',
    "replaced.payee_id = rows.payee_id
        and replaced.product_line_id = rows.product_line_id
        and replaced.commission_year = date_trunc('year', rows.commission_month)::date",
    scope,
    match
) }}
{%- endmacro %}
