{#- What this build takes away of the last publication: source and month by how many lines. -#}
-- depends_on: {{ ref('changed_slices') }}
-- depends_on: {{ ref('published_slices') }}
{% if not is_published_with('published_slices', ['source', 'commission_month', 'lines']) -%}
select
    null::text as source,
    null::bigint as lines_before,
    null::bigint as lines_now,
    null::bigint as lines_published,
    null::date as commission_month
where false
{%- else -%}
with

before as (

    select slices.source, slices.commission_month, slices.lines
    from marts.published_slices as slices
    {% if not flags.FULL_REFRESH -%}
    inner join {{ ref('changed_slices') }} as changed
        on changed.source = slices.source and changed.commission_month = slices.commission_month
    {%- endif %}

)

select
    before.source,
    before.lines as lines_before,
    coalesce(slices.lines, 0) as lines_now,
    (select sum(lines)::bigint from marts.published_slices) as lines_published,
    before.commission_month

from before
left join {{ ref('published_slices') }} as slices
    on slices.source = before.source and slices.commission_month = before.commission_month
where coalesce(slices.lines, 0) < before.lines
{%- endif %}
