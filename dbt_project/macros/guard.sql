{#- Whether the marts that people read have a table with these columns: that of an older version may not, and
    there is none before the first publication. -#}
{% macro is_published_with(name, columns) -%}
    {%- set found = [] -%}
    {%- for column in columns_of('marts', name) -%}
        {%- do found.append(column.split(' ')[0]) -%}
    {%- endfor -%}
    {{ return(columns | reject('in', found) | list | length == 0) }}
{%- endmacro %}


{#- Nothing that moves closed months or takes lines away is published before somebody has judged it
    (`shs_pipeline/marts/guard.py`), who then asks for this model alone. -#}
{% macro assert_judged() -%}
{%- if not var('is_judged') -%}
do $judge$
begin
    if exists (select from intermediate.closed_changes) or (
        select sum(lines_before - lines_now) * {{ var('held_share') }} > max(lines_published)
        from intermediate.lines_taken_away
    ) then
        raise exception 'shs: to be judged';
    end if;
end
$judge$;
{%- endif -%}
{%- endmacro %}


{#- Whatever was held is over with a publication. -#}
{% macro end_held_build() -%}
update ops.holds
set
    ended_at = clock_timestamp(),
    accepted_by = nullif('{{ var("accepted_by") }}', ''),
    publication_id = (select max(publications.publication_id) from marts.publications as publications)
where kind = 'publication' and ended_at is null;
{%- endmacro %}
