{#- After the marts and everything that was asked of them. -#}
-- depends_on: {{ ref('harmonised_sales') }}
-- depends_on: {{ ref('commission_payouts') }}
-- depends_on: {{ ref('sales_performance_monthly') }}
-- depends_on: {{ ref('company_performance_monthly') }}
-- depends_on: {{ ref('uncredited_sales') }}
-- depends_on: {{ ref('payout_explanations') }}
-- depends_on: {{ ref('tier_progress') }}
-- depends_on: {{ ref('published_slices') }}
-- depends_on: {{ ref('people') }}
-- depends_on: {{ ref('published_names') }}
-- depends_on: {{ ref('upload_detail') }}
-- depends_on: {{ ref('upload_status') }}
-- depends_on: {{ ref('revenue_months') }}
-- depends_on: {{ ref('rejected_files') }}
-- depends_on: {{ ref('rows_to_add') }}
-- depends_on: {{ ref('payout_changes') }}
-- depends_on: {{ ref('holds') }}
-- depends_on: {{ ref('logins') }}
-- depends_on: {{ ref('repeated_lines') }}
-- depends_on: {{ ref('upload_files') }}
-- depends_on: {{ ref('pay_periods') }}
-- depends_on: {{ ref('close_checklist') }}
-- depends_on: {{ ref('statements') }}
-- depends_on: {{ ref('statement_items') }}
-- depends_on: {{ ref('statement_lines') }}
-- depends_on: {{ ref('payroll') }}
-- depends_on: {{ ref('reference_findings') }}
-- depends_on: {{ ref('closed_changes') }}
-- depends_on: {{ ref('lines_taken_away') }}
{% for source in sources() -%}
-- depends_on: {{ ref('sales_history_' ~ source) }}
{% endfor %}
select
    '{{ var("run_id") }}' as run_id,
    '{{ var("accepted_by") }}' as accepted_by,
    '{{ var("definition_hash") }}' as definition_hash,
    {{ flags.FULL_REFRESH | lower }} as is_full_refresh,
    (select count(*) from {{ ref('changed_slices') }}) as slices,
    (select count(*) from candidate.harmonised_sales) as lines,
    (
        select coalesce(jsonb_object_agg(table_name, file_id), '{}')
        from {{ ref('reference_versions') }}
        where state = 'now'
    ) as reference_versions,
    '{{ var("last_due_month") }}'::date as last_due_month,
    {{ var("books_version") }}::bigint as books_version,
    '{{ var("books_at") }}'::timestamptz as books_at,
    clock_timestamp() as published_at
