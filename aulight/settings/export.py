"""Settings of ``aulight export``."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from aulight.settings.group import FilePath, Group, Name, mistake


class ExportSettings(Group):
    """``conf/export.yaml``."""

    run: FilePath = Field(
        description="Run directory of aulight finetune, checkpoint, .aulight file, or default: the one in the box"
    )
    output: FilePath | None = Field(description="File to make; null: model.aulight or model.onnx")
    format: Literal["aulight", "onnx"] = Field(description="onnx: one frame at a time, state in and out")
    licence: Name | None = Field(description="Under which you pass the model on: a text, or a .txt or .md file with it")

    @property
    def file(self) -> Path:
        """The file to make."""
        return Path(self.output or f"model.{self.format}").expanduser()

    @model_validator(mode="after")
    def _is_named_by_its_format(self) -> Self:
        if self.file.suffix != f".{self.format}":
            raise mistake("output", f"a name that ends in .{self.format} is needed with format={self.format}")
        return self
