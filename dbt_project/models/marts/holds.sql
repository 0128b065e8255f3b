{#- Read from the books themselves: what is held was not published. -#}
select
    kind,
    problem,
    remedy,
    begun_at

from {{ source('ops', 'holds') }}
where is_open
