{#- The parts of the lines whose rep's name is an alias, mostly one part, and of those whose customer several
    reps share. Sales and revenue are divided into cents by largest remainder, a return like its sale; ties go
    to the name that sorts first, which is the one under which a payee was first known, so that a rename
    moves no cent. -#}
with

aliases as (

    select * from {{ ref('line_aliases') }} where state = 'now' and kind = 'rep'

),

names as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'rep'

),

sharers as (

    -- One row for each, however the customers' rows spell the names.
    select distinct on (owners_key, rep_key) owners_key, rep_key, rep_in_file, share
    from {{ ref('shared_territories') }}
    cross join lateral (select ops.match_key(owners) as owners_key) as keys
    where state = 'now'
    order by owners_key, rep_key, rep_in_file collate "C"

),

-- Each rep who is named for a line; mostly one.
named as (

    select
        lines.*,
        coalesce(sharers.rep_key, lines.rep_key) as named_key,
        sharers.rep_in_file as sharer,
        coalesce(sharers.share, 1) as sharer_share

    from {{ ref('named_lines') }} as lines
    left join sharers
        -- Asked once: where nothing is shared no line is looked at.
        on (select exists (select from sharers)) and sharers.owners_key = lines.rep_key
    where (select exists (select from sharers)) or (select exists (select from aliases))

),

meant as (

    select
        named.*,
        coalesce(aliases.means, named.sharer) as means,
        coalesce(aliases.means_key, named.named_key) as means_key,
        named.sharer_share * coalesce(aliases.share, 1) as share

    from named
    left join aliases
        on
            aliases.source = named.source
            and aliases.name_key = named.named_key
            and coalesce(aliases.valid_from <= named.territory_date, true)
            and coalesce(aliases.valid_until > named.territory_date, true)
    where named.sharer is not null or aliases.means is not null

),

parts as (

    select
        meant.file_id,
        meant.source_sheet,
        meant.source_row,
        meant.means,
        meant.means_key,
        meant.share,
        meant.sales_actual * meant.share as sales_share,
        meant.rev_actual * meant.share as rev_share,
        meant.sales_in_cents,
        meant.rev_in_cents,
        ops.match_key(coalesce(names.name, meant.means)) collate "C" as sorted_by,
        meant.means_key collate "C" as sorted_next_by,
        meant.named_key collate "C" as sorted_last_by

    from meant
    left join names on names.name_key = meant.means_key

),

rounded_down as (

    select
        *,
        row_number() over (in_line order by sorted_by, sorted_next_by, sorted_last_by) as part_no,
        trunc(abs(sales_in_cents) * share, 2) as sales_down,
        trunc(abs(rev_in_cents) * share, 2) as rev_down

    from parts
    window in_line as (partition by file_id, source_sheet, source_row)

),

ranked as (

    select
        *,
        (abs(sales_in_cents) - sum(sales_down) over in_line) * 100 as sales_cents_left,
        (abs(rev_in_cents) - sum(rev_down) over in_line) * 100 as rev_cents_left,
        row_number() over (
            in_line order by abs(sales_in_cents) * share - sales_down desc, part_no
        ) as sales_rank,
        row_number() over (in_line order by abs(rev_in_cents) * share - rev_down desc, part_no) as rev_rank

    from rounded_down
    window in_line as (partition by file_id, source_sheet, source_row)

)

select
    file_id,
    source_sheet,
    source_row,
    part_no,
    means,
    means_key,
    share,
    sales_share,
    rev_share,
    sign(sales_in_cents) * (sales_down + case when sales_rank <= sales_cents_left then 0.01 else 0 end)
        as sales_in_cents,
    sign(rev_in_cents) * (rev_down + case when rev_rank <= rev_cents_left then 0.01 else 0 end)
        as rev_in_cents

from ranked
