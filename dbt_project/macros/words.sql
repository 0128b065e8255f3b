{#- Numbers as people write them: `12.5 %`, `1,234.50`. -#}
{% macro percent(rate) -%}
trim_scale({{ rate }} * 100) || ' %'
{%- endmacro %}


{#- A text with a full stop, unless it ends like a sentence already. -#}
{% macro sentence(text) -%}
regexp_replace({{ text }}, '([^.!?])$', '\1.')
{%- endmacro %}


{% macro dollars(amount) -%}
to_char({{ amount }}, 'FM9,999,999,999,990.00')
{%- endmacro %}


{#- An amount as people say it: -$1,234.50, and $45,300 without cents where there are none. -#}
{% macro usd(amount) -%}
case when {{ amount }} < 0 then '-' else '' end
|| regexp_replace(to_char(abs({{ amount }}), 'FM$9,999,999,999,990.00'), '[.]00$', '')
{%- endmacro %}


{#- The beginning of a text of whatever length, in one line. -#}
{% macro in_short(text) -%}
coalesce(
    left(regexp_replace({{ text }}, '\s+', ' ', 'g'), 60) || case when length({{ text }}) > 60 then '…' else '' end,
    '(blank)'
)
{%- endmacro %}


{#- What is the same for two texts that differ in white space and letter case alone. -#}
{% macro loosely(text) -%}
ops.match_key(btrim(regexp_replace({{ text }}, '\s+', ' ', 'g')))
{%- endmacro %}
