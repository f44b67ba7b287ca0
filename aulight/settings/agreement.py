"""Settings of ``aulight agreement``."""

from typing import Literal

from pydantic import Field

from aulight.settings.group import FilePath, Group


class AgreementSettings(Group):
    """``conf/agreement.yaml``."""

    sample: FilePath = Field(description="Folder of the frames that were coded")
    output: FilePath | None = Field(description="Where tables and figure go; null: <sample>/agreement")
    level: float = Field(gt=0, lt=1, description="Level of the intervals")
    weights: Literal["quadratic", "linear"] = Field(
        description="Of kappa, by how far two scores are apart: the square of that, or that itself"
    )
    worst: int = Field(ge=0, description="Number of frames, those on which coders differ most, that are listed")
