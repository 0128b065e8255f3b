{#- What a line pays at tier 1, and how much more at tier 2: the difference of the exact products, rounded once;
    half a cent goes away from zero. Without a tier 1 rate the first is null, without a tier 2 rate the second 0. -#}
{% macro tier_1_commission(revenue, tier_1_rate) -%}
round({{ revenue }} * {{ tier_1_rate }}, 2)
{%- endmacro %}


{% macro tier_2_difference(revenue, tier_1_rate, tier_2_rate) -%}
coalesce(round({{ revenue }} * {{ tier_2_rate }} - {{ revenue }} * {{ tier_1_rate }}, 2), 0)
{%- endmacro %}


{#- What is paid on a line, in whichever month: what is held back is paid in full in the month that reaches
    the threshold, so a year that has reached it (`years`) pays every line's difference. -#}
{% macro line_commission() -%}
lines.commission_tier_1 + case when years.payee_id is not null then lines.commission_tier_2_diff else 0 end
{%- endmacro %}
