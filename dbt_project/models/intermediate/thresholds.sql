{{ rows_by_id('stg_tier_thresholds', 'commission_year', [
    'rows.state',
    'payees.payee_id',
    'product_lines.id as product_line_id',
    'rows.commission_year',
    'rows.threshold',
]) }}
