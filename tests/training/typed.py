"""Settings as a command line gives them."""

from aulight.runs.composed import composed, register_resolvers, settings_from
from aulight.settings.finetune import FinetuneSettings


def finetune_settings(*typed: str) -> FinetuneSettings:
    """Those of stage two, with what was typed."""
    register_resolvers()
    with composed("finetune", typed) as config:
        settings = settings_from("finetune", config)
    assert isinstance(settings, FinetuneSettings)
    return settings
