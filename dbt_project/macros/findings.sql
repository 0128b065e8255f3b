{#- What a line pays at some rates: tier 2 only where the year reached it. -#}
{% macro commission(revenue, tier_1_rate, tier_2_rate, is_tier_2) -%}
(
        {{ tier_1_commission(revenue, tier_1_rate) }}
        + case when {{ is_tier_2 }} then {{ tier_2_difference(revenue, tier_1_rate, tier_2_rate) }} else 0 end
    )
{%- endmacro %}


{#- A day and a month as people write them: `03/31/2025`, `March 2025`. -#}
{% macro day_words(day) -%}
to_char({{ day }}, 'MM/DD/YYYY')
{%- endmacro %}


{% macro month_words(day) -%}
to_char({{ day }}, 'FMMonth YYYY')
{%- endmacro %}


{#- `1 line`, `2 lines`. -#}
{% macro lines_words(number) -%}
{{ number }} || case {{ number }} when 1 then ' line' else ' lines' end
{%- endmacro %}


{#- The day by which a customer's owner is found; every source that has its own day says so here. -#}
{% macro owner_day() -%}
case when rows.source in ('logiquip', 'ternio') then rows.revenue_date else rows.revenue_month end
{%- endmacro %}
