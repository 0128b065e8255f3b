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
    (`shs_pipeline/marts/guard.py`), and no restatement before its reason was noted
    (`shs_pipeline/marts/restatement_reasons.py`). Then this model is asked for once more. -#}
{% macro assert_judged() -%}
{%- if not var('is_judged') -%}
do $judge$
begin
    if exists (select from intermediate.closed_changes) or (
        select sum(lines_before - lines_now) * {{ var('held_share') }} > max(lines_published)
        from intermediate.lines_taken_away
    ) or exists (
        select from candidate.statement_items as items
        cross join intermediate.close_bounds as bounds
        where
            items.kind in ('restated', 'reclassified')
            and items.pay_period > bounds.closed_until
            and bounds.settled_by is not null
            and (
                not exists (
                    select from ops.restatement_reasons as reasons
                    where
                        reasons.payee_id = items.payee_id
                        and reasons.product_line_id = items.product_line_id
                        and reasons.earned_month = items.earned_month
                        and reasons.settled_by = bounds.settled_by
                        and reasons.amount = items.amount
                )
                -- The same amount for another reason.
                or exists (
                    select from intermediate.changed_slices as slices
                    where slices.commission_month <= bounds.closed_until
                )
            )
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
