"""The dictionary of a graph: the words of its columns in the order of their places, which it carries as metadata.

A graph takes and answers places. Which word a place means is decided by the graph alone, never by the case file, whose
list of labels may have grown or been sorted since the training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from okawari.case import Case
from okawari.contract.case_words import know_words, list_words

WORDS = "words"


def describe_words(case: Case) -> dict[str, str]:
    """The metadata of a graph that is built for a case."""
    return {WORDS: json.dumps(list_words(case), ensure_ascii=False)}


def read_graph_words(labels: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The words of each column, from the metadata of a graph.

    Graphs of earlier versions of Okawari only carry the labels of their answers.
    """
    if WORDS in labels:
        return {name: tuple(words) for name, words in json.loads(labels[WORDS]).items()}
    answers = json.loads(labels.get("answers", "[]"))
    return {each["name"]: tuple(each["labels"]) for each in answers if each.get("labels")}


def know_graph(case: Case, labels: Mapping[str, str]) -> Case:
    """The case with the words of a graph, from the graph's metadata."""
    return know_words(case, read_graph_words(labels))
