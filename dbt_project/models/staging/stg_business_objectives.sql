with

rows as (

    select * from {{ source('reference', 'business_objectives') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'business_objectives'

)

select
    versions.state,
    ops.match_key(rows.sales_rep_name) as rep_key,
    ops.match_key(rows.product_line) as product_key,
    rows.product_line,
    months.objective,
    make_date(rows.year::integer, months.month_number, 1) as month

from rows
inner join versions on versions.file_id = rows.file_id
cross join lateral (
    values
    (1, rows.january),
    (2, rows.february),
    (3, rows.march),
    (4, rows.april),
    (5, rows.may),
    (6, rows.june),
    (7, rows.july),
    (8, rows.august),
    (9, rows.september),
    (10, rows.october),
    (11, rows.november),
    (12, rows.december)
) as months (month_number, objective)
where
    months.objective is not null
    and coalesce(rows.valid_from <= make_date(rows.year::integer, months.month_number, 1), true)
    and coalesce(rows.valid_until > make_date(rows.year::integer, months.month_number, 1), true)
