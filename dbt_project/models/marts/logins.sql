{#- Read from the books themselves: logins follow a publication. -#}
select
    payee_id,
    rep_name,
    email,
    permission,
    state,
    last_login_at

from {{ source('ops', 'logins') }}
