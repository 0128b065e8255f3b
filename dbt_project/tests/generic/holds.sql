{#- A row fails for each rule that it breaks, with what tells a person which line it is.

    rules: condition by the sentence that it proves.
    shown: columns that name the offending line. -#}
{% test holds(model, rules, shown) %}

select
    broken.rule,
    {%- for column in shown %}
    rows.{{ column }}{{ ',' if not loop.last }}
    {%- endfor %}

from {{ model }} as rows
cross join lateral (
    values
    {%- for rule, condition in rules.items() %}
    ('{{ dbt.escape_single_quotes(rule) }}', {{ condition }}){{ ',' if not loop.last }}
    {%- endfor %}
) as broken (rule, is_kept)
where broken.is_kept is not true

{% endtest %}
