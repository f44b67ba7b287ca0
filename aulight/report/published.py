"""Published numbers, from a user's table."""

from collections.abc import Iterable
from pathlib import Path

from aulight.data.sources.cells import Problem, columns_found, parse_number_between, read_cells, refuse_rows
from aulight.errors import AulightError, shorten, shown
from aulight.facs import MAX_INTENSITY, au_of, column, is_column
from aulight.report.records import Published

# Columns of published results, and from what to what their numbers go.
_PUBLISHED = {
    "label_fraction": (0, 1),
    "icc": (-1, 1),
    "mae": (0, MAX_INTENSITY),
    "mse": (0, MAX_INTENSITY**2),
}


def read_published(path: Path, datasets: Iterable[str]) -> tuple[list[Published], list[str]]:
    """Reads published results: columns ``source``, ``dataset``, ``label_fraction``, ``icc``, ``mae``, ``mse``.

    Further columns ``AU01`` ... hold the ICC of single action units. ``source`` and ``dataset`` have to be there, and
    one column with results; cells that are not known are empty.

    Args:
        path: A CSV file, see :func:`read_labels`.
        datasets: The datasets to read about; rows on others are left out. Names match in any case.

    Returns:
        The rows, and notes.

    Raises:
        AulightError: For columns other than expected, when no row is about these datasets, and otherwise with a line
            for every cell that is empty but must not be or is out of range, every row without a result, and every
            second row on the same.
    """
    table = read_cells(path)
    expected = ("source", "dataset", *_PUBLISHED)
    units = {name: column(au_of(name)) for name in table.header if is_column(name)}
    strange = [name for name in table.header if name not in expected and name not in units]
    lacking = [name for name in ("source", "dataset") if name not in table.header]
    results = [name for name in ("icc", "mae", "mse", *units) if name in table.header]
    if strange or lacking or not results or len(set(units.values())) < len(units):
        problem = f"unknown column {shorten(map(shown, strange))}" if strange else "two columns for one AU"
        if lacking or not results:
            problem = f"no column {' and '.join(lacking) or 'icc, mae, mse or of an AU'}"
        raise AulightError(f"{path}: {problem}; {','.join(expected)} and AU01 ... are expected{columns_found(table)}")

    ours = {name.casefold(): name for name in datasets}
    rows, problems, others = list[Published](), table.problems, set[str]()
    first: dict[tuple[str, str, str], int] = {}
    for row, cells in table.rows:
        numbers: dict[str, float | None] = {}
        wrong = [f"no {name}" for name in ("source", "dataset") if not cells[name]]
        for name in (*_PUBLISHED, *units):
            text = cells.get(name, "")
            value = (
                parse_number_between(name, text, table.decimal, *_PUBLISHED.get(name, _PUBLISHED["icc"]))
                if text
                else None
            )
            wrong += [value] if isinstance(value, Problem) else []
            numbers[name] = None if isinstance(value, Problem) else value
        if not any(cells[name] for name in results):
            wrong.append(f"no result; fill in at least one of {', '.join(results)}")
        key = (cells["source"], cells["dataset"].casefold(), cells.get("label_fraction", ""))
        if (before := first.setdefault(key, row)) != row:
            wrong.append(f"the same source, dataset and label_fraction as row {before}")
        problems += [(row, problem) for problem in wrong]
        if key[1] in ours:
            whole = {name: numbers[name] for name in _PUBLISHED}
            per_au = {au: value for name, au in units.items() if (value := numbers[name]) is not None}
            rows.append(Published(source=cells["source"], dataset=ours[key[1]], **whole, per_au=per_au))
        else:
            others.add(cells["dataset"])
    refuse_rows(path, problems)
    if not rows:
        about = f"; it has {shorten(sorted(others))}" if others else ""
        raise AulightError(f"{path}: no row about {shorten(sorted(ours.values()))}{about}")
    notes = [f"{path.name}: rows about other datasets left out: {shorten(sorted(others))}"] if others else []
    return rows, notes
