"""The model in the box as what stage two starts from."""

from typing import Any

from aulight.prediction.default import default_model
from aulight.prediction.loading import of_file
from aulight.protocol import TrainedOn
from aulight.training.resuming import StageOne


def boxed() -> StageOne:
    """Its encoder, in place of one of stage one; it has seen nobody who lives.

    Raises:
        AulightError: Where this aulight has none.
    """
    file = default_model()
    model = of_file(file)
    network: Any = model.network
    weights = network["encoder"].state_dict()
    who = [f"{model.description.dataset.name} {number}" for number in range(model.description.subjects.train)]
    trained_on: TrainedOn = {"dataset": model.description.dataset.name, "subjects": who, "contents": ""}
    return StageOne(model.description.encoder, weights, trained_on, file)
