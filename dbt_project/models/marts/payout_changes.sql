{#- Noted right after a publication, in the books and here, since it is told from what the publication put into the
    history. A build brings back what was noted before. -#}
select
    publication_id,
    change_no,
    payee_id,
    rep_name,
    product_line,
    words,
    payout_before,
    payout_now,
    amount,
    is_new,
    commission_month,
    published_at

from {{ source('ops', 'payout_changes') }}
