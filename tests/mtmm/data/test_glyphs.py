from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import matplotlib
import pytest
import torch
from matplotlib.ft2font import FT2Font
from torch import Tensor

from mtmm.data import glyph_faces, glyphs
from mtmm.spec import Batch, DataBundle, in_memory

TASKS = ("script", "category", "family", "weight", "slant")
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for the module: all images are drawn once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTMM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def full() -> DataBundle:
    return glyphs.build()


@pytest.fixture(scope="module")
def dropped() -> DataBundle:
    return glyphs.build(word_dropout=0.5)


def _splits(bundle: DataBundle) -> list[Batch]:
    return [in_memory(split) for split in (bundle.train, bundle.val, bundle.test)]


def test_every_named_character_of_every_face_is_an_item(full: DataBundle) -> None:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [path for path in folder.glob("DejaVu*.ttf") if "Display" not in path.name]
    assert len(fonts) == 12
    expected = sum(
        unicodedata.name(chr(code), None) is not None
        for path in fonts
        for code in FT2Font(str(path)).get_charmap()
    )
    assert sum(len(split) for split in _splits(full)) == expected


def test_shapes_ranges_and_types(full: DataBundle) -> None:
    for split in _splits(full):
        image, text = split.inputs["image"], split.inputs["text"]
        assert image.shape == (len(split), *full.modality("image").shape)
        assert image.dtype == torch.float32
        assert (image.min().item(), image.max().item()) == (0.0, 1.0)
        assert text.shape == (len(split), *full.modality("text").shape)
        assert text.dtype == torch.int64
        assert text.max() < (full.modality("text").vocabulary or 0)
        for task in TASKS:
            target = split.targets[task]
            assert target.dtype == torch.int64
            assert target.min() >= 0
            assert target.max() < full.task(task).classes
        assert all(mask.all() for mask in [*split.present.values(), *split.labelled.values()])


def test_majority_shares_are_those_of_the_reference(full: DataBundle) -> None:
    reference = {"script": 32, "category": 25, "family": 46, "weight": 50, "slant": 52}
    for task, percent in reference.items():
        target = torch.cat([split.targets[task] for split in _splits(full)])
        share = 100 * target.bincount().max().item() / len(target)
        # The reference is of one test split, these are all items.
        assert share == pytest.approx(percent, abs=0.75), task


@pytest.mark.parametrize(
    ("file", "character", "labels"),
    [
        ("DejaVuSans.ttf", "é", ("LATIN", "Ll", "sans", "regular", "upright")),
        ("DejaVuSansMono-BoldOblique.ttf", "Ж", ("CYRILLIC", "Lu", "mono", "bold", "oblique")),
        ("DejaVuSerif-Italic.ttf", "7", ("OTHER", "Nd", "serif", "regular", "oblique")),
    ],
)
def test_labels_of_known_items(file: str, character: str, labels: tuple[str, ...]) -> None:
    table = glyph_faces.items()
    face = [one.path.name for one in glyph_faces.faces()].index(file)
    (row,) = ((table.face == face) & (table.code_point == ord(character))).nonzero()[0]
    found = tuple(table.classes[task][table.labels[task][row]] for task in TASKS)
    assert found == labels


def test_script_classes_are_the_most_frequent_first_words() -> None:
    counts = Counter(name.split()[0] for name in glyph_faces.items().names)
    classes = glyph_faces.items().classes["script"]
    assert len(classes) == 16
    assert classes[-1] == "OTHER"
    rarest_kept = min(counts[word] for word in classes[:-1])
    assert all(counts[word] <= rarest_kept for word in counts if word not in classes)


def test_samples_are_the_rows_of_their_split(full: DataBundle) -> None:
    table = glyph_faces.items()
    rows = glyphs.split_rows()
    for name, split in zip(SPLITS, _splits(full), strict=True):
        for task in TASKS:
            assert split.targets[task].tolist() == table.labels[task][rows[name]].tolist()


def test_no_character_is_in_two_splits() -> None:
    table = glyph_faces.items()
    characters = [set(table.code_point[rows].tolist()) for rows in glyphs.split_rows().values()]
    every = set.union(*characters)
    assert len(every) == sum(map(len, characters)) == len(set(table.code_point.tolist()))
    shares = [len(part) / len(every) for part in characters]
    assert shares == pytest.approx([0.70, 0.15, 0.15], abs=1e-3)


def test_each_train_word_has_one_token_and_other_words_are_unknown(full: DataBundle) -> None:
    names = glyph_faces.items().names
    rows = glyphs.split_rows()
    train_words = {word for row in rows["train"] for word in names[row].split()}
    tokens: dict[str, set[int]] = {}
    for name, split in zip(SPLITS, _splits(full), strict=True):
        for row, text in zip(rows[name], split.inputs["text"].tolist(), strict=True):
            words = names[row].split()
            assert text[len(words) :] == [0] * (len(text) - len(words))
            for word, token in zip(words, text, strict=False):
                tokens.setdefault(word, set()).add(token)
    unseen = set(tokens) - train_words
    assert unseen
    assert all(tokens[word] == {1} for word in unseen)
    assert full.modality("text").vocabulary == len(train_words) + 2
    found = sorted(token for word in train_words for token in tokens[word])
    assert found == list(range(2, len(train_words) + 2))


def test_images_show_their_character_and_face(full: DataBundle) -> None:
    table = glyph_faces.items()
    rows = glyphs.split_rows()

    def ink(character: str, file: str) -> Tensor:
        face = [one.path.name for one in glyph_faces.faces()].index(file)
        for name, split in zip(SPLITS, _splits(full), strict=True):
            chosen = (table.face[rows[name]] == face) & (
                table.code_point[rows[name]] == ord(character)
            )
            if chosen.any():
                (position,) = chosen.nonzero()[0]
                return split.inputs["image"][position, 0]
        raise AssertionError(character)

    letter_l = ink("l", "DejaVuSans.ttf")
    columns, lines = letter_l.amax(0).nonzero(), letter_l.amax(1).nonzero()
    assert len(columns) < 6 < 12 < len(lines)  # a tall thin stroke
    assert abs(columns.float().mean() - 13.5) <= 1  # in the middle
    assert lines.max() == glyph_faces.BASELINE - 1  # standing on the baseline
    assert ink("p", "DejaVuSans.ttf").amax(1).nonzero().max() > glyph_faces.BASELINE
    assert ink("l", "DejaVuSans-Bold.ttf").sum() > 1.2 * letter_l.sum()
    assert ink(" ", "DejaVuSans.ttf").sum() == 0


def test_word_dropout_makes_that_share_of_the_words_unknown(
    full: DataBundle, dropped: DataBundle
) -> None:
    for before, after in zip(_splits(full), _splits(dropped), strict=True):
        old, new = before.inputs["text"], after.inputs["text"]
        lost = old != new
        assert (new[lost] == 1).all()
        assert ((old == 0) == (new == 0)).all()
        assert lost.sum() / (old > 1).sum() == pytest.approx(0.5, abs=0.01)
        assert torch.equal(before.inputs["image"], after.inputs["image"])
    assert dropped.modalities == full.modalities


def test_description_is_what_is_built(full: DataBundle, dropped: DataBundle) -> None:
    for bundle, word_dropout in ((full, 0.0), (dropped, 0.5)):
        description = glyphs.describe(word_dropout=word_dropout)
        assert description.modalities == bundle.modalities
        assert description.tasks == bundle.tasks
        assert description.fingerprint == bundle.fingerprint


def test_describe_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw() -> Tensor:
        raise AssertionError("describe must not draw")

    monkeypatch.setattr(glyph_faces, "render", draw)
    monkeypatch.setenv("MTMM_CACHE", "/nowhere")
    assert [task.name for task in glyphs.describe(seed=3).tasks] == list(TASKS)


def _all_tensors(bundle: DataBundle) -> list[Tensor]:
    return [
        tensor
        for split in _splits(bundle)
        for part in (split.inputs, split.targets, split.present, split.labelled)
        for tensor in part.values()
    ]


def test_equal_settings_give_equal_tensors_and_another_seed_others() -> None:
    one, same, other = (glyphs.build(word_dropout=0.3, limit=500, seed=seed) for seed in (5, 5, 6))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    pairs = zip(_all_tensors(one), _all_tensors(same), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    first, differing = (_splits(bundle)[0].inputs["image"] for bundle in (one, other))
    assert not torch.equal(first, differing)


@pytest.mark.parametrize("limit", [20, 101, 1000])
def test_limit_is_the_total_spread_over_the_splits(limit: int) -> None:
    bundle = glyphs.build(limit=limit)
    sizes = [len(split) for split in _splits(bundle)]
    assert sum(sizes) == limit
    assert [size / limit for size in sizes] == pytest.approx([0.70, 0.15, 0.15], abs=0.5 / 20)


def test_limited_rows_are_among_those_of_a_larger_limit() -> None:
    small, large, every = (glyphs.split_rows(limit=limit) for limit in (100, 1000, None))
    for split in SPLITS:
        assert set(small[split]) < set(large[split]) < set(every[split])


def test_vocabulary_is_of_the_train_items_kept() -> None:
    names = glyph_faces.items().names
    rows = glyphs.split_rows(limit=50)["train"]
    words = {word for row in rows for word in names[row].split()}
    assert glyphs.describe(limit=50).modality("text").vocabulary == len(words) + 2


def test_limit_of_all_items_keeps_all() -> None:
    items = len(glyph_faces.items().names)
    for limit in (items, items - 1):
        assert sum(map(len, glyphs.split_rows(limit=limit).values())) == limit


def test_every_setting_changes_the_fingerprint() -> None:
    descriptions = [
        glyphs.describe(),
        glyphs.describe(word_dropout=0.25),
        glyphs.describe(limit=400),
        glyphs.describe(seed=1),
    ]
    assert len({description.fingerprint for description in descriptions}) == 4


def test_fingerprint_is_of_the_code_that_runs_not_of_what_its_file_holds_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = glyphs.describe().fingerprint
    (tmp_path / "edited.py").write_text("FONT_SIZE = 9")
    for module in (glyphs, glyph_faces):
        monkeypatch.setattr(module, "__file__", str(tmp_path / "edited.py"))
    assert glyphs.describe().fingerprint == before


@pytest.mark.parametrize("module", [glyphs, glyph_faces])
def test_other_code_changes_the_fingerprint(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = glyphs.describe().fingerprint
    monkeypatch.setattr(module, "SOURCE_HASH", "other")
    assert glyphs.describe().fingerprint != before


def test_the_way_a_number_is_written_does_not_change_the_fingerprint() -> None:
    assert glyphs.describe(word_dropout=0).fingerprint == glyphs.describe().fingerprint


@pytest.mark.parametrize("word_dropout", [-0.1, 1.0, float("nan")])
def test_word_dropout_out_of_range(word_dropout: float) -> None:
    with pytest.raises(
        ValueError, match=rf"word_dropout must be in \[0, 1\); found {word_dropout}"
    ):
        glyphs.describe(word_dropout=word_dropout)


@pytest.mark.parametrize("limit", [0, 19, 10**6])
def test_limit_out_of_range(limit: int) -> None:
    with pytest.raises(ValueError, match=f"limit must be .* 20 .*found {limit}"):
        glyphs.describe(limit=limit)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed must be .*found {seed}"):
        glyphs.describe(seed=seed)
