"""``aulight predict``: AU intensities in any video, as a table."""

from aulight.data.faces.following import about_following
from aulight.data.sources.folder import about_others
from aulight.errors import AulightError, VideoError, VideosFailed, say, shorten, shorten_lines
from aulight.prediction.predict import Predicted, score_input
from aulight.prediction.rows import Tally
from aulight.prediction.there import check_there
from aulight.prediction.writing import PARTIAL
from aulight.settings.model import DEFAULT
from aulight.settings.predict import PredictSettings


def predict(settings: PredictSettings) -> None:
    """Scores a video, a folder of them or what a webcam sees, and prints what came of it.

    Args:
        settings: Of the command.

    Raises:
        VideosFailed: When some of the videos could not be read to their end; the others are done.
        AulightError: For an input, an output, a model or a video that cannot be used.
    """
    if not settings.by_table:
        check_there(settings.model or DEFAULT)
    _say(score_input(settings))


def _say(predicted: Predicted) -> None:
    """Prints the summary; what could not be read is an error."""
    predictor, results, before = predicted.predictor, predicted.results, predicted.before
    whole = {video: found for video, found in results.items() if found.problem is None}
    problems = []
    taken = [video for video, found in results.items() if found.taken]
    for video, found in results.items():
        if found.problem is not None and not found.taken:
            count, what = found.tally.frames, "other photos" if found.photos else "frames up to there"
            kept = f"; its {count} {what} are in {predictor.file(video)}{PARTIAL}"
            problems.append(found.problem + (kept if found.tally.frames else ""))
    if problems and len(results) == 1 and not any(found.tally.frames for found in results.values()):
        raise VideoError(problems[0])
    if taken and len(results) == 1:
        raise AulightError(str(results[taken[0]].problem))
    if whole:
        tally = sum((found.tally for found in whole.values()), Tally())
        frames, faceless = tally.frames, tally.faceless
        share = f", {faceless:,} of them ({faceless / frames:.1%}) without a face" if faceless else ""
        what = str(predictor.file(next(iter(whole))))
        if len(results) > 1:
            what = f"{predictor.output}: {len(whole)}{f' of {len(results)}' if problems or taken else ''} videos"
        say(f"{what}, {frames:,} frames{share}" + (f"; {before} done before" if before else ""))
        if predicted.page is not None:
            say(f"  all videos on one page: {predicted.page}")
        if faceless > frames / 2:
            advice = "" if predictor.untrained else "; faces=none takes pictures as they are"
            say(f"  note: most frames are without a face{advice}")
        if tally.emptied:
            faces = "1 face has" if tally.emptied == 1 else f"{tally.emptied:,} faces have"
            say(f"  note: {faces} no intensities: quality below min_quality={predictor.min_quality}")
        if photos := [video.name for video, found in whole.items() if found.photos and video.path.is_dir()]:
            say(f"  note: taken for photos, each on its own: the pictures of {shorten(photos)}; else pictures=film")
        whom, looks = predictor.pipeline.everybody, predictor.pipeline.max_faces
        advice = "faces.all=true gives everybody"
        for line in about_following(tally.not_followed, tally.elsewhere, advice, whom, tally.crowded, looks):
            say(f"  note: {line}")
    for line in shorten_lines(list(dict.fromkeys(note for found in results.values() for note in found.notes))):
        say(f"  note: {line}")
    for folder, reason in predicted.closed.items():
        say(f"  note: {folder} was not looked into ({reason})")
    if overlays := [str(path) for path in predicted.overlays]:
        say(f"  note: passed over, for videos with bars are called so: {shorten(overlays)}; input=<file> scores one")
    for line in about_others(predicted.others):
        say(f"  note: {line}")
    for note in [*predictor.useless(results), *predictor.notes]:
        say(f"  note: {note}")
    if problems:
        told = f"{len(problems)} of {len(results)} videos could not be read to their end:"
        raise VideosFailed(*([told] if len(results) > 1 else []), *problems)
    if taken:
        raise VideosFailed(
            f"{predictor.output}: another process is scoring {len(taken)} of {len(results)} videos; "
            "the same command does what is left when it has ended"
        )
