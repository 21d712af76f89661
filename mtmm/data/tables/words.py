"""Texts as token ids: words of the training rows, or a tokenizer of one's own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PAD, UNKNOWN, FIRST = 0, 1, 2
"""Token ids: padding, a word that train has not, the most frequent word."""

Encode = Callable[[str], Sequence[int]]

_TOKEN = re.compile(r"\w+|[^\w\s]")


def word_tokens(texts: Iterable[str], most: int) -> tuple[Encode, tuple[str, ...]]:
    """An encoder by words and the words of its ids, `most` at most.

    Words and signs of lower-cased text, the most frequent of `texts` first, of equals by letter.
    """
    counts = Counter(token for text in texts for token in _TOKEN.findall(text.lower()))
    ranked = sorted(counts, key=lambda token: (-counts[token], token))[: max(0, most - FIRST)]
    ids = {token: FIRST + i for i, token in enumerate(ranked)}

    def encode(text: str) -> list[int]:
        return [ids.get(token, UNKNOWN) for token in _TOKEN.findall(text.lower())]

    return encode, ("", "?", *ranked)


def file_tokens(path: Path) -> tuple[Encode, tuple[str, ...]]:
    """An encoder from a file of Hugging Face `tokenizers`, and the words of its ids.

    Its ids are moved up by 1 for padding.

    Raises ValueError without the package or where the file is none of its files.
    """
    try:
        from tokenizers import Tokenizer  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        text = "`tokenizer` needs the package: pip install 'mtmm-bench[text]'"
        raise ValueError(text) from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # it raises its own, and plain Exception
        raise ValueError(f"`tokenizer`: {path} cannot be read: {error}") from None
    tokenizer.no_padding()
    words = (str(tokenizer.id_to_token(i)) for i in range(tokenizer.get_vocab_size()))
    return lambda text: [1 + i for i in tokenizer.encode(text).ids], ("", *words)


def token_ids(
    texts: Sequence[str | None], encode: Encode, length: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Ids `[N, length]`, cut and padded, and which texts have a token `[N]`."""
    ids = np.full((len(texts), length), PAD)
    for row, text in enumerate(texts):
        tokens = encode(text)[:length] if text is not None else []
        ids[row, : len(tokens)] = tokens
    return ids, (ids != PAD).any(1)
