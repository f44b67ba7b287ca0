"""``conf/trainer``: settings of Lightning's Trainer, and two of ours."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from aulight.settings.group import CHANGES_NO_RESULT, AsText, Group, Name, Needed

Devices = Annotated[int | list[int] | str, Needed("a number of devices, a list of their numbers or auto is needed")]
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"]
Precision = Annotated[Literal["auto", "32", "bf16-mixed", "16-mixed", "bf16", "16", "32-true"], AsText]
Deterministic = Annotated[bool | Literal["warn"], Needed("true, false or warn is needed", ("true", "false", "warn"))]


class TrainerSettings(Group):
    """Further settings go to Lightning as they are, which checks them."""

    model_config = ConfigDict(extra="allow")

    accelerator: Annotated[Accelerator, CHANGES_NO_RESULT] = Field(description="auto: a GPU where there is one")
    devices: Annotated[Devices, CHANGES_NO_RESULT] = Field(description="Devices of each machine; auto: all")
    num_nodes: Annotated[int, CHANGES_NO_RESULT] = Field(ge=1, description="Machines")
    strategy: Annotated[Name, CHANGES_NO_RESULT] = Field(description="How several devices share the work, as ddp")
    precision: Precision = Field(
        description="What is computed in; auto: bf16-mixed where measured to be faster, else 32"
    )
    accumulate_grad_batches: Annotated[int, Field(ge=1), Needed("a whole number from 1 on is needed")] = Field(
        description="Batches whose gradients make a step"
    )
    gradient_clip_val: float | None = Field(ge=0, description="Norm that gradients are clipped to; null: not at all")
    sync_batchnorm: Annotated[bool, CHANGES_NO_RESULT] = Field(description="Statistics of BatchNorm over all GPUs")
    deterministic: Deterministic = Field(description="Refuse what does not give the same numbers twice")
    channels_last: Annotated[bool, CHANGES_NO_RESULT] = Field(description="How pictures lie in memory")
    compile: Annotated[bool, CHANGES_NO_RESULT] = Field(description="Have torch compile the backbone")
    log_every_n_steps: Annotated[int, CHANGES_NO_RESULT] = Field(ge=0, description="Steps from one row of metrics on")
