"""Settings of ``aulight label``."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from aulight.settings.data import LocalDataSettings
from aulight.settings.group import FilePath, Name, Needed, Seed, mistake
from aulight.settings.sample import DrawSettings

CONSENSUS = "consensus"
"""The coder whose scores are those that the others have agreed on."""

LONGEST_NAME = 40


def _printable(name: str) -> str:
    if len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise mistake("", f"a name of at most {LONGEST_NAME} letters is needed")
    return name


Coder = Annotated[Name, AfterValidator(_printable)]


class LabelSettings(DrawSettings):
    """``conf/label.yaml``."""

    data: LocalDataSettings = Field(description="The dataset")
    data_dir: FilePath = Field(description="Folder of prepared datasets")
    sample: FilePath = Field(description="Folder of the frames to code; made as sample makes it where it is not there")
    output: FilePath | None = Field(
        description="The label table, written after each session; null: <sample>/labels.csv"
    )
    coder: Coder = Field(description="Who codes; consensus: together, where coders differ")
    coders: Annotated[
        list[Coder] | None, Field(min_length=1), Needed("a list of names is needed, for example coders=[c1,c2]")
    ] = Field(description="All who divide the frames between them; null: the first has all, others the shared ones")
    shared: float = Field(ge=0, le=1, description="Share of the frames that goes to every coder")
    differing: Literal["empty", "median"] = Field(
        description="Label where coders differ and no consensus is there: none, or the (lower) median"
    )
    port: int = Field(ge=0, le=65535, description="Of 127.0.0.1; 0: that of the last time, or any that is free")
    browser: bool = Field(description="Open the page in the browser; its address is printed anyway")
    seed: Seed = Field(description="Of the draw, of the shared frames and of the orders of coders")

    @model_validator(mode="after")
    def _consensus_divides_no_frames(self) -> Self:
        named = self.coders or []
        if CONSENSUS in named:
            raise mistake("coders", f"{CONSENSUS} is what coders agree on; the coders themselves are needed")
        if len(set(named)) < len(named):
            raise mistake("coders", "each name once is needed")
        return self
