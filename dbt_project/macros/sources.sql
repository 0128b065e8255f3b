{#- The sources, in the order in which they came: a new one is added here and has its staging model. -#}
{% macro sources() -%}
    {{ return([
        'cygnus',
        'logiquip',
        'summit_medical',
        'quickbooks',
        'inspektor',
        'sunoptic',
        'ternio',
        'novo',
        'chemence',
    ]) }}
{%- endmacro %}
