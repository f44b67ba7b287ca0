"""``aulight agreement``: how well coders agree, and the frames on which they differ most."""

from contextlib import closing
from pathlib import Path

from aulight.errors import say
from aulight.settings.agreement import AgreementSettings
from aulight.settings.label import CONSENSUS


def agreement(settings: AgreementSettings) -> None:
    """Writes tables and a figure, and prints them.

    Args:
        settings: Of the command.

    Raises:
        AulightError: When there is nothing that two coders have scored, or what is there already was not written so.
    """
    from aulight.labelling import agreed  # matplotlib, which takes its time
    from aulight.labelling.agreement import rows_of
    from aulight.labelling.export import refuse_others, write_files
    from aulight.labelling.store import Store, told_of_scores
    from aulight.labelling.together import open_frames

    folder = Path(settings.sample).expanduser()
    output = folder / "agreement" if settings.output is None else Path(settings.output).expanduser()
    with told_of_scores(folder), closing(Store(folder)) as store:
        refuse_others(store, [output / name for name in (agreed.TABLE, agreed.WORST, agreed.FIGURE)])
        rows = rows_of(store, settings.level, settings.weights)
        together, waiting = open_frames(store)
        worst = [frame for frame in together if frame.differing][: settings.worst]
        output.mkdir(parents=True, exist_ok=True)
        contents = {
            agreed.TABLE: agreed.table_csv(rows),
            agreed.WORST: agreed.worst_csv(worst, folder),
            agreed.FIGURE: agreed.png(agreed.figure(rows, settings.level)),
        }
        write_files(store, output, contents)
    for line in agreed.table_lines(rows, settings.level):
        say(line)
    for coder, count in waiting.items():
        say(f"note: {count} frames that {coder} has not finished are not looked at together yet")
    for frame in worst[: agreed.PRINTED]:
        say(f"{frame.key[0]}, frame {frame.key[1]}: {agreed.said_of(frame)}")
        say(f"  {agreed.link(folder, frame)}")
    if worst:
        say(f"These links work while this runs: aulight label sample={folder} coder={CONSENSUS}")
    say(f"{output}/: {', '.join(contents)}")
