{#- Read from the books themselves, so that it is never behind them: no build has to come first. -#}
select
    files.path,
    files.source,
    files.actor,
    errors.sheet,
    errors."column",
    errors.value,
    coalesce(errors.problem, files.problem) as problem,
    coalesce(errors.remedy, files.remedy) as remedy,
    files.error_workbook,
    errors."row",
    coalesce(errors.error_no, 1) as error_no,
    files.error_count as errors,
    files.file_id,
    files.commission_month as month,
    files.first_seen as since

from {{ source('ops', 'files') }} as files
left join {{ source('ops', 'file_errors') }} as errors
    on errors.file_id = files.file_id and errors.severity = 'error'
where files.status = 'rejected'
