"""What a user's own recipe imports: the protocols that it implements, what its fit receives, the cores of its models.

A recipe is immutable settings; its `fit` returns a model; the model gives its core, which becomes the middle part of
the one graph. `okawari.check_recipe` checks a recipe before it runs in a case; docs/extending.md shows how. Heavy
libraries are imported inside `fit`, because the serving image imports recipes too and has none of these libraries.
"""

from okawari.errors import InvalidInput
from okawari.models.cores import ONNX_OPSETS, AffineCore, ConstantCore, Core, OnnxCore, TorchCore, TreesCore
from okawari.models.fit_context import Progress, TrainingData, Workbench
from okawari.models.lag_features import flatten_lags
from okawari.models.losses import to_logits
from okawari.models.protocols import Model, Recipe, Storable
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
    "Storable",
    "TorchCore",
    "TrainingData",
    "TreesCore",
    "WindowSet",
    "Workbench",
    "flatten_lags",
    "to_logits",
]
