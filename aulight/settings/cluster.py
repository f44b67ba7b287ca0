"""``conf/cluster``: where the workers of ``prepare`` and ``predict`` are, with ``executor=dask``."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from aulight.settings.group import Choose, Count, FilePath, Group, Name, Needed, missing, mistake

Executor = Literal["local", "dask"]


class AddressSettings(Group):
    """Workers of a dask scheduler that runs already."""

    address: Annotated[
        str | None,
        Field(pattern=r"^(tcp|tls)://[^\s/]+:[0-9]+$"),
        Needed("the address of a dask scheduler is needed, as tcp://<host>:8786"),
    ] = Field(description="Of the dask scheduler, as it prints it")
    tls_ca_file: FilePath | None = Field(description="With tls://: certificate of who has signed the others, PEM")
    tls_cert: FilePath | None = Field(description="With tls://: this machine's certificate, PEM")
    tls_key: FilePath | None = Field(description="With tls://: its key, PEM; null: in the same file")
    wait_s: float = Field(ge=0, description="Seconds to wait for a worker, where there is none")


class SlurmSettings(Group):
    """Workers that dask-jobqueue starts as jobs of Slurm; null: as the user's own settings of dask have it."""

    jobs: Count = Field(description="Jobs that are asked for")
    cores: Count = Field(description="CPUs of each job")
    processes: Count = Field(description="Workers in each job; each does one video at a time")
    memory: Name = Field(description="Of each job, as 16GB")
    walltime: Name = Field(description="Of each job, as 08:00:00; longer than all of the work takes")
    queue: Name | None = Field(description="Partition of Slurm")
    account: Name | None = Field(description="Whom Slurm charges")
    interface: Name | None = Field(description="Network that the nodes reach this machine by, as ib0")
    wait_s: float | None = Field(
        ge=0, description="Seconds to wait for a worker; null: for ever for the first one, then 60"
    )


ClusterSettings = Annotated[
    AddressSettings | SlurmSettings, Choose("settings of a cluster are needed, as cluster=address has them")
]


def chosen(executor: Executor, cluster: AddressSettings | SlurmSettings) -> AddressSettings | SlurmSettings | None:
    """Where the workers are; ``None``: on this machine."""
    return cluster if executor == "dask" else None


def unfit(
    executor: Executor, cluster: AddressSettings | SlurmSettings, workers: int | None
) -> PydanticCustomError | None:
    """What is wrong with these settings taken together."""
    if executor == "local":
        if isinstance(cluster, SlurmSettings) or cluster.address is not None:
            return mistake("executor", "only executor=dask has a cluster; add it, or drop one of the two")
        return None
    if workers is not None:
        return mistake("workers", "only with executor=local; a cluster has the workers that it has")
    if isinstance(cluster, AddressSettings):
        if cluster.address is None:
            return missing("cluster.address", "no value given; add cluster.address=tcp://<host>:8786, or cluster=slurm")
        if cluster.address.startswith("tls:") and None in (cluster.tls_ca_file, cluster.tls_cert):
            return missing("cluster.tls_ca_file", "a tls:// address needs cluster.tls_ca_file= and cluster.tls_cert=")
    return None
