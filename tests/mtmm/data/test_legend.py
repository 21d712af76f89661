from __future__ import annotations

import pytest

from bench.picture import label, text
from mtmm.data import DATASETS, glyph_faces, glyphs
from mtmm.data.tables.reading import read_table
from mtmm.spec import Legend, in_memory
from tests.tables import INPUTS, TASKS, write_glyphs


@pytest.mark.parametrize("settings", [{}, {"limit": 200, "seed": 3}])
def test_glyphs_read_as_their_names(settings: dict[str, int]) -> None:
    bundle, known = DATASETS["glyphs"](**settings), DATASETS["glyphs"].legend(**settings)
    rows, items = glyphs.split_rows(**settings)["train"], glyph_faces.items()
    train, of_text = in_memory(bundle.train), bundle.modality("text")
    assert len(known.words["text"]) == of_text.vocabulary
    for i in range(0, len(rows), 41):
        shown = text(of_text, train.inputs["text"][i], known)
        assert shown.split() == items.names[rows[i]].split()
        script = items.classes["script"][items.labels["script"][rows[i]]]
        assert label(bundle.task("script"), train, i, known) == script


def test_tables_read_as_their_cells(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = write_glyphs(tmp_path_factory.mktemp("glyphs"), 150)
    settings = {"file": str(file), "inputs": INPUTS, "tasks": TASKS, "split": {"column": "part"}}
    bundle, known = DATASETS["table"](**settings), DATASETS["table"].legend(**settings)
    table = read_table(file)
    of_train = table[table["part"] == "train"].reset_index()
    train, note = in_memory(bundle.train), bundle.modality("note")
    assert len(known.words["note"]) == note.vocabulary
    for i, row in of_train.iterrows():
        assert isinstance(i, int)
        assert label(bundle.task("script"), train, i, known) == (row["script"] or "–")
        height = "–" if row["height"] is None else row["height"]
        assert label(bundle.task("height"), train, i, known) == height
        if row["note"] is not None:
            words = row["note"].lower().replace("-", " - ").split()[:5]
            assert text(note, train.inputs["note"][i], known).split() == words


def test_what_is_not_known_is_shown_as_numbers() -> None:
    assert DATASETS["interactions"].legend() == Legend()
    data = DATASETS["glyphs"](limit=100)
    train, of_text = in_memory(data.train), data.modality("text")
    ids = train.inputs["text"][0]
    told = text(of_text, ids, Legend()).split()
    assert list(map(int, told)) == ids[ids != 0].tolist()
    script = int(train.targets["script"][0])
    assert label(data.task("script"), train, 0, Legend()) == str(script)
