{#- After the marts and everything that was asked of them. -#}
-- depends_on: {{ ref('harmonised_sales') }}
-- depends_on: {{ ref('commission_payouts') }}
-- depends_on: {{ ref('sales_performance_monthly') }}
-- depends_on: {{ ref('company_performance_monthly') }}
-- depends_on: {{ ref('uncredited_sales') }}
-- depends_on: {{ ref('payout_explanations') }}
-- depends_on: {{ ref('published_slices') }}
-- depends_on: {{ ref('people') }}
-- depends_on: {{ ref('upload_detail') }}
-- depends_on: {{ ref('upload_status') }}
-- depends_on: {{ ref('revenue_months') }}
-- depends_on: {{ ref('rejected_files') }}
-- depends_on: {{ ref('upload_files') }}
{% for source in sources() -%}
-- depends_on: {{ ref('sales_history_' ~ source) }}
{% endfor %}
select
    '{{ var("run_id") }}' as run_id,
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
    '{{ var("books_at") }}'::timestamptz as books_at,
    clock_timestamp() as published_at
