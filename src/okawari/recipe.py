"""Imports for a user's own recipe: the protocols to implement, the arguments of `fit`, and the cores of models.

A recipe is immutable settings; its `fit` returns a model; the model's core becomes the middle part of the graph.
`okawari.check_recipe` checks a recipe before it runs in a case; docs/extending.md shows how. Import heavy libraries
inside `fit`, because the serving image imports recipes and does not contain these libraries.
"""

from okawari.errors import InvalidInput
from okawari.models.cores import ONNX_OPSETS, AffineCore, ConstantCore, Core, OnnxCore, TorchCore, TreesCore
from okawari.models.fit_context import Progress, TrainingData, Workbench
from okawari.models.lag_features import flatten_lags
from okawari.models.losses import to_logits
from okawari.models.protocols import Model, Recipe, Settled, Storable
from okawari.models.windows import Floats, WindowSet

__all__ = [
    "ONNX_OPSETS",
    "AffineCore",
    "ConstantCore",
    "Core",
    "Floats",
    "InvalidInput",
    "Model",
    "OnnxCore",
    "Progress",
    "Recipe",
    "Settled",
    "Storable",
    "TorchCore",
    "TrainingData",
    "TreesCore",
    "WindowSet",
    "Workbench",
    "flatten_lags",
    "to_logits",
]
