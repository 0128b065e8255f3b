{#- What stands in the way of closing each open month, before it is asked in which order months close. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

wanted as (

    select * from {{ ref('stg_pay_periods') }}

),

admins as (

    select * from {{ ref('payees') }} where state = 'now' and permission = 'admin' and is_active

),

adjustments as (

    select * from {{ ref('stg_adjustments') }}

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

),

uploads as (

    select * from {{ ref('upload_detail') }}

),

files as (

    select * from {{ source('ops', 'files') }} where commission_month is not null

),

-- What hangs on the reference workbooks hangs over every month.
findings as (

    select
        count(*) as number_of,
        sum(amount) as amount

    from {{ ref('reference_findings') }}
    where amount > 0 and not is_silenced
    having count(*) > 0

),

months as (

    select pay_period from wanted
    union
    select month from uploads

),

balances as (

    select * from {{ ref('opening_balances') }}

),

balance_rows as (

    select * from {{ ref('stg_opening_balances') }} where state = 'now'

),

-- Where nothing was ever closed: the month that is asked for, or any.
first_months as (

    select months.pay_period
    from months
    cross join bounds
    where
        bounds.closed_until = '-infinity'
        and months.pay_period = coalesce((bounds.paid_until + interval '1 month')::date, months.pay_period)

),

found as (

    select
        wanted.pay_period,
        'approver' as kind,
        wanted.approved_by as subject,
        wanted.approved_by || ' is not the name of an active admin, so nobody has approved '
        || to_char(wanted.pay_period, 'YYYY-MM') || '.' as problem,
        'Type into Approved By the name of an admin who is active, as in sales_reps.' as remedy,
        false as is_waivable

    from wanted
    where
        wanted.wanted_state = 'closed'
        and not exists (select from admins where admins.name_key = wanted.approver_key)

    union all

    select
        uploads.month,
        'missing',
        uploads.source,
        uploads.source || ' has no file for ' || to_char(uploads.month, 'YYYY-MM') || '.',
        'Drop the file into incoming/' || uploads.source || '/' || to_char(uploads.month, 'YYYY-MM')
        || '/, or type into Note why the month closes without it.',
        true

    from uploads
    where uploads.state = 'missing'

    union all

    select
        files.commission_month,
        'rejected',
        files.path,
        files.path || ' is rejected, so its lines do not count.',
        'Fix the file as its error workbook says, or type into Note why the month closes without it.',
        true

    from files
    where files.status = 'rejected'

    union all

    select
        files.commission_month,
        'printed total',
        files.path,
        files.path || ' prints ' || (differing.first ->> 'column') || ' of ' || (differing.first ->> 'printed')
        || ' where its lines add up to ' || (differing.first ->> 'computed')
        || case differing.number_of
            when 1 then '.'
            when 2 then ', and 1 more total that differs.'
            else ', and ' || differing.number_of - 1 || ' more totals that differ.'
        end,
        'Ask the supplier which is right, or type into Note why the month closes anyway.',
        true

    from files
    cross join lateral (
        select
            (array_agg(total order by (total ->> 'row')::bigint))[1] as first,
            count(*) as number_of
        from jsonb_array_elements(files.totals) as totals (total)
    ) as differing
    where files.status = 'loaded' and differing.number_of > 0

    union all

    -- Who brought a file may be told later than the file: it is refused only where that is known at once.
    select
        adjustments.pay_period,
        'own adjustment',
        adjustments.source_file || ', row ' || adjustments.source_row,
        adjustments.source_file || ' pays ' || adjustments.rep_in_file || ' ' || {{ dollars('adjustments.amount') }}
        || ', who brought the file (' || adjustments.actor || ').',
        'Have somebody else bring it, or take the row out.',
        false

    from adjustments
    inner join payees using (payee_id)
    where ops.is_actor(adjustments.actor, payees.email, payees.rep_name)

    union all

    -- A corrected copy in a second file pays again; so may two bonuses, which a reference tells apart.
    select
        adjustments.pay_period,
        'adjustment twice',
        min(adjustments.source_file || ', row ' || adjustments.source_row),
        min(adjustments.rep_in_file) || ' is paid ' || {{ dollars('adjustments.amount') }} || ' ' || count(*)
        || ' times for the same reason (' || min(adjustments.reason) || '): '
        || string_agg(
            adjustments.source_file || ', row ' || adjustments.source_row, '; '
            order by adjustments.source_file collate "C", adjustments.source_row
        ) || '.',
        'Take one of them out, or give each a Reference of its own.',
        true

    from adjustments
    where adjustments.payee_id is not null
    group by
        adjustments.pay_period, adjustments.payee_id, adjustments.product_line_id, adjustments.kind,
        adjustments.amount, ops.match_key(adjustments.reason), coalesce(adjustments.reference, '')
    having count(*) > 1

    union all

    select
        adjustments.pay_period,
        'adjustment of nobody',
        adjustments.source_file || ', row ' || adjustments.source_row,
        adjustments.source_file || ' names ' || adjustments.rep_in_file || ', whom sales_reps does not know.',
        'Correct the name, or add the rep to sales_reps.',
        false

    from adjustments
    where adjustments.payee_id is null

    union all

    select
        months.pay_period,
        'findings',
        'reference_findings',
        findings.number_of
        || case when findings.number_of > 1 then ' findings in the reference workbooks are' else
            ' finding in the reference workbooks is' end
        || ' open, with ' || {{ dollars('findings.amount') }} || ' at stake.',
        'Settle them as the dashboard Admin says, or type into Note why the month closes anyway.',
        true

    from findings
    cross join months

    union all

    select
        wanted.pay_period,
        'not due',
        '',
        'The files of ' || to_char(wanted.pay_period, 'YYYY-MM') || ' are not due yet.',
        'Wait until they are there, or type into Note why the month closes already.',
        true

    from wanted
    where wanted.wanted_state = 'closed' and wanted.pay_period > '{{ var("last_due_month") }}'

    union all

    select
        first_months.pay_period,
        'opening rep',
        balance_rows.rep_key,
        'opening_balances names ' || min(balance_rows.sales_rep_name) || ', whom sales_reps does not list.',
        'Type the name as in sales_reps, or add the person there.',
        false

    from balance_rows
    cross join first_months
    where
        not exists (
            select from {{ ref('names') }} as names
            where names.state = 'now' and names.kind = 'rep' and names.name_key = balance_rows.rep_key
        )
    group by first_months.pay_period, balance_rows.rep_key

    union all

    select
        first_months.pay_period,
        'opening month',
        to_char(balance_rows.commission_month, 'YYYY-MM'),
        'opening_balances says what was paid for ' || to_char(balance_rows.commission_month, 'YYYY-MM')
        || ', which is not before ' || to_char(first_months.pay_period, 'YYYY-MM') || ', the first month to close.',
        'Delete its rows from opening_balances, or correct Commission Month.',
        false

    from balance_rows
    inner join first_months on balance_rows.commission_month >= first_months.pay_period
    group by first_months.pay_period, balance_rows.commission_month

    union all

    select
        first_months.pay_period,
        'opening',
        balances.payee_id,
        min(balances.sales_rep_name) || ': opening_balances says ' || {{ dollars('sum(balances.paid)') }}
        || ' was paid where ' || {{ dollars('sum(balances.payout)') }} || ' is computed ('
        || string_agg(
            balances.product_line || ' of ' || to_char(balances.commission_month, 'YYYY-MM'),
            ', ' order by balances.commission_month, balances.product_line collate "C"
        ) || '). The first statement restates ' || {{ dollars('sum(balances.payout - balances.paid)') }} || '.',
        'Correct opening_balances, or type into Note why the month closes anyway.',
        true

    from balances
    inner join first_months on balances.commission_month < first_months.pay_period
    where balances.paid <> balances.payout
    group by first_months.pay_period, balances.payee_id

)

select
    found.kind,
    found.subject,
    found.problem,
    found.remedy,
    found.is_waivable,
    -- A note says that it is known, and the month closes.
    not (found.is_waivable and wanted.note is not null) as is_holding,
    found.pay_period

from found
cross join bounds
left join wanted using (pay_period)
where found.pay_period > coalesce(bounds.paid_until, '-infinity')
