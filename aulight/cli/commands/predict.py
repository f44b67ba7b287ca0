"""``aulight predict``: AU intensities in any video, as a table."""

from aulight.errors import VideoError, VideosFailed
from aulight.prediction.predict import Predicted, score_input
from aulight.prediction.there import check_there
from aulight.prediction.writing import PARTIAL
from aulight.settings.predict import PredictSettings


def predict(settings: PredictSettings) -> None:
    """Scores a video, a folder of them or what a webcam sees, and prints what came of it.

    Args:
        settings: Of the command.

    Raises:
        VideosFailed: When some of the videos could not be read to their end; the others are done.
        AulightError: For an input, an output, a model or a video that cannot be used.
    """
    if settings.model is not None:
        check_there(settings.model)
    _say(score_input(settings))


def _say(predicted: Predicted) -> None:
    """Prints the summary; what could not be read is an error."""
    predictor, results, before = predicted.predictor, predicted.results, predicted.before
    whole = {video: found for video, found in results.items() if found.problem is None}
    problems = []
    for video, found in results.items():
        if found.problem is not None:
            kept = f"; its {found.frames} frames up to there are in {predictor.file(video)}{PARTIAL}"
            problems.append(found.problem + (kept if found.frames else ""))
    if problems and len(results) == 1 and not any(found.frames for found in results.values()):
        raise VideoError(problems[0])
    if whole:
        frames = sum(found.frames for found in whole.values())
        faceless = frames - sum(found.seen for found in whole.values())
        share = f", {faceless:,} of them ({faceless / frames:.1%}) without a face" if faceless else ""
        what = str(predictor.file(next(iter(whole))))
        if len(results) > 1:
            what = f"{predictor.output}: {len(whole)}{f' of {len(results)}' if problems else ''} videos"
        print(f"{what}, {frames:,} frames{share}" + (f"; {before} done before" if before else ""))
        if faceless > frames / 2:
            advice = "" if predictor.untrained else "; faces=none takes pictures as they are"
            print(f"  note: most frames are without a face{advice}")
    for note in predictor.notes:
        print(f"  note: {note}")
    if problems:
        told = f"{len(problems)} of {len(results)} videos could not be read to their end:\n  "
        raise VideosFailed((told if len(results) > 1 else "") + "\n  ".join(problems))
