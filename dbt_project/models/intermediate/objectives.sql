{{ rows_by_id('stg_business_objectives', 'month', [
    'rows.state',
    'payees.payee_id',
    'payees.rep_name',
    'product_lines.id as product_line_id',
    'product_lines.name as product_line',
    'rows.objective',
    'rows.month',
]) }}
