select lines.*

from {{ ref('all_lines') }} as lines
inner join {{ ref('changed_slices') }} as slices
    on slices.source = lines.source and slices.commission_month = lines.commission_month

-- A plain list of months reaches the index of each raw table; a join alone would not.
where lines.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
