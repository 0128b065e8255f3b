with

lines as (

    {{ gathered_lines(
        [
            'rows.payee_id',
            'rows.rep_name',
            'rows.product_line_id',
            'rows.product_line',
            'rows.sales_actual',
            'rows.rev_actual',
            'rows.commission_tier_1',
            'rows.commission_tier_2_diff',
            'rows.commission_month',
        ],
        'touched_years',
        "scope.payee_id = rows.payee_id
            and scope.product_line_id = rows.product_line_id
            and rows.commission_month >= scope.commission_year
            and rows.commission_month < scope.commission_year + interval '1 year'"
    ) | indent }}

)

select
    payee_id,
    -- Whoever is called otherwise now is so on all lines: a new name touches them all.
    max(rep_name) as rep_name,
    product_line_id,
    max(product_line) as product_line,
    count(*) as lines,
    sum(sales_actual) as sales_actual,
    sum(rev_actual) as rev_actual,
    sum(commission_tier_1) as commission_tier_1,
    sum(commission_tier_2_diff) as commission_tier_2_diff,
    commission_month

from lines
where payee_id is not null
group by payee_id, product_line_id, commission_month
