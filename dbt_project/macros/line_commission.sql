{#- What a line pays at tier 1, and how much more at tier 2: the difference of the exact products, rounded once;
    half a cent goes away from zero. Without a tier 1 rate the first is null, without a tier 2 rate the second 0. -#}
{% macro tier_1_commission(revenue, tier_1_rate) -%}
round({{ revenue }} * {{ tier_1_rate }}, 2)
{%- endmacro %}


{% macro tier_2_difference(revenue, tier_1_rate, tier_2_rate) -%}
coalesce(round({{ revenue }} * {{ tier_2_rate }} - {{ revenue }} * {{ tier_1_rate }}, 2), 0)
{%- endmacro %}


{#- What is paid on a line, in whichever month: what is held back is paid in full in the month that reaches
    the threshold, so a year that has reached it pays every line's difference (`months`, of months_at_tier_2). -#}
{% macro line_commission() -%}
lines.commission_tier_1 + case when months.payee_id is not null then lines.commission_tier_2_diff else 0 end
{%- endmacro %}


{#- The months whose differences are paid, at once or later: those counted together with one at tier 2. What is
    held back in the months that an opening balance replaces is paid as the workbook says, and on no line. -#}
{% macro months_at_tier_2(payouts) -%}
select payee_id, product_line_id, commission_month
from (
    select
        payee_id,
        product_line_id,
        commission_month,
        bool_or(tier = 2) over (
            partition by payee_id, product_line_id, date_trunc('year', commission_month), opening_month
        ) as is_paid
    from {{ payouts }} as payouts
) as counted
where is_paid
{%- endmacro %}
