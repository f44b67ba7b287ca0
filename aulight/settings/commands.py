"""Which class of settings a command has."""

import importlib

from aulight.settings.group import Group

CLASSES = {
    "prepare": "PrepareSettings",
    "sample": "SampleSettings",
    "label": "LabelSettings",
    "agreement": "AgreementSettings",
    "pretrain": "PretrainSettings",
    "finetune": "FinetuneSettings",
    "report": "ReportSettings",
    "predict": "PredictSettings",
    "export": "ExportSettings",
    "dashboard": "DashboardSettings",
}
"""Command to its class, in the file of the command's name."""


def settings_of(command: str) -> type[Group]:
    """The class of a command's settings; only its file is imported."""
    found: type[Group] = getattr(importlib.import_module(f"aulight.settings.{command}"), CLASSES[command])
    return found
