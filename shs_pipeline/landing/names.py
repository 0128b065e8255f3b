"""The folders of the landing zone by name: the sources, the adjustments, and the reference tables."""

SOURCE_NAMES = (
    "cygnus",
    "logiquip",
    "summit_medical",
    "quickbooks",
    "inspektor",
    "sunoptic",
    "ternio",
    "novo",
    "chemence",
)
"""In the order in which people see them."""

ADJUSTMENTS = "adjustments"
"""What a close pays or takes back besides commissions; it holds no sales, and no month has to have any."""

INCOMING_NAMES = (*SOURCE_NAMES, ADJUSTMENTS)
"""Whatever is dropped by commission month."""

REFERENCE_NAMES = (
    "sales_reps",
    "commission_tiers",
    "tier_thresholds",
    "business_objectives",
    "territories",
    "service_to_product",
    "aliases",
    "pay_periods",
    "opening_balances",
)
"""In the order in which people see them."""

OPTIONAL_NAMES = ("aliases", "pay_periods", "opening_balances")
"""Reference tables that nobody has to have."""
