"""A registered version that answers a file."""

from __future__ import annotations

from dataclasses import dataclass

from okawari.case import Case
from okawari.errors import InvalidInput, NotYet
from okawari.graph.inference import Graph, require_fit
from okawari.registry import versions
from okawari.settings import load_settings
from okawari.storage.deployable import digest


@dataclass(frozen=True)
class Model:
    """A registered version that is ready to answer."""

    version: str
    graph: Graph
    variant: str = "fp32"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return tuple(self.graph.labels.get("outputs", "mean").split(","))


def load_model(case: Case, version: str | None = None) -> Model:
    """Load the graph of a version from the registry and check its digest; the champion if no version is given.

    Raises:
        NotYet: the case has no champion, or the version does not exist.
        InvalidInput: the stored graph differs from the registered one, or does not take the questions of the case.
        ServerUnreachable: the registry does not answer.
    """
    chosen = versions.load_champion(case.name) if version is None else versions.load_version(case.name, version)
    if chosen is None:
        raise NotYet(f"Case {case.name} has no champion to score with; train one with: okawari run {case.name}.")
    content = versions.load_graph(chosen)
    if digest(content) != chosen.graph_sha256:
        raise InvalidInput(
            f"The graph of {case.name} version {chosen.version} was registered with sha256 {chosen.graph_sha256[:12]}, "
            f"what is stored has {digest(content)[:12]}. Score with another version (--version), or train again."
        )
    graph = Graph.load(content, threads=load_settings().threads)
    require_fit(graph, case)
    return Model(chosen.version, graph, chosen.variant)
