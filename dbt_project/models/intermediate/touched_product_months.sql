{#- The (product line, month)s of the company that may differ from what is published. -#}
select distinct product_line_id, month from {{ ref('touched_months') }}
