with

objectives as (

    select * from {{ ref('stg_business_objectives') }}

),

reps as (

    select * from {{ ref('stg_sales_reps') }}

),

product_lines as (

    select * from {{ ref('product_lines') }}

)

select
    objectives.state,
    reps.rep_name,
    coalesce(product_lines.product_line, objectives.product_line) as product_line,
    objectives.objective,
    objectives.month

from objectives
-- An objective is a rep's: a name that sales_reps does not know has none.
inner join reps on reps.state = objectives.state and reps.rep_key = objectives.rep_key
left join product_lines
    on product_lines.state = objectives.state and product_lines.product_key = objectives.product_key
