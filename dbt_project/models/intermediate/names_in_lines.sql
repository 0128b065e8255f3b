{#- The customers and product lines that occur in any line. -#}
with

lines as (

    {{ gathered_lines(['rows.source', 'rows.product_line_id', 'rows.territory', 'rows.customer']) | indent }}

)

select distinct
    source,
    product_line_id,
    ops.match_key(territory) as territory_key,
    ops.match_key(customer) as customer_key

from lines
