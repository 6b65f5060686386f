"""Presets of webhooks: what is known of the systems that send deliveries. One file a system."""

from . import airflow, alertmanager, dbt_cloud, generic, github, great_expectations, monte_carlo, sns, soda
from .preset import Example, Preset

#: By slug, in the order in which people are offered them.
PRESETS: dict[str, Preset] = {
    module.PRESET.slug: module.PRESET
    for module in (
        generic,
        github,
        sns,
        dbt_cloud,
        airflow,
        alertmanager,
        great_expectations,
        soda,
        monte_carlo,
    )
}

__all__ = ["PRESETS", "Example", "Preset"]
