{#- The payouts of the touched months: of this build where it computed the year, else as published. -#}
{{ gathered_payouts(
    [
        'rows.payee_id',
        'rows.product_line_id',
        'rows.payout',
        'rows.commission_month as month',
    ],
    'touched_product_months',
    'scope.product_line_id = rows.product_line_id and scope.month = rows.commission_month'
) }}
