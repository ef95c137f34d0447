"""The network: piecewise-linear numbers and embedded categories, into small MLPs and a linear skip."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ml.encoding.encode import Encoding
from ml.model.dropout import Dropout


@dataclass(frozen=True)
class Shape:
    """What the network looks like.

    Args:
        hidden: widths of the hidden layers of each head.
        heads: MLPs on the same input; their logits are averaged.
        embedding_width: at most so many numbers a category.
        dropout: after each hidden layer; `input_dropout` on the encoded input. Both are rounded to a 256th.
    """

    hidden: tuple[int, ...]
    heads: int
    embedding_width: int
    dropout: float
    input_dropout: float


class PiecewiseLinear(nn.Module):
    """Each numeric feature as the filling of its pieces, from -1 (before) to 1 (past it), and a missing flag.

    A missing feature (NaN) is 0 in all its pieces and 1 in its flag.

    >>> layer = PiecewiseLinear({"delay": (0.0, 10.0, 30.0)})
    >>> layer(torch.tensor([[5.0], [20.0], [float("nan")]])).tolist()
    [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """

    feature: Tensor
    low: Tensor
    width: Tensor

    def __init__(self, edges: dict[str, tuple[float, ...]]) -> None:
        super().__init__()
        pieces = [
            (position, low, high)
            for position, ends in enumerate(edges.values())
            for low, high in pairwise(ends)
        ]
        for name, ends in edges.items():
            if len(ends) < 2 or any(high <= low for low, high in pairwise(ends)):
                raise ValueError(f"edges of {name} must be two or more, ascending: {ends}")
        self.out_features = len(pieces) + len(edges)
        # Derived from the encoding, which is stored beside the weights: not stored twice.
        self.register_buffer(
            "feature", torch.tensor([p[0] for p in pieces], dtype=torch.int64), persistent=False
        )
        self.register_buffer("low", torch.tensor([p[1] for p in pieces]), persistent=False)
        self.register_buffer("width", torch.tensor([p[2] - p[1] for p in pieces]), persistent=False)

    def forward(self, numeric: Tensor) -> Tensor:
        """`(rows, features)` to `(rows, pieces + features)`."""
        # In place: this copy of the numbers is large, and needs no gradient.
        filled = numeric.index_select(1, self.feature).sub_(self.low).div_(self.width)
        scaled = filled.clamp_(0.0, 1.0).mul_(2.0).sub_(1.0).nan_to_num_(nan=0.0)
        return torch.cat([scaled, numeric.isnan().to(numeric.dtype)], dim=1)


class TabularNetwork(nn.Module):
    """Logits of a binary label.

    >>> encoding = Encoding({"delay": (0.0, 10.0)}, {"origin": ("EWR", "JFK")})
    >>> network = TabularNetwork(encoding, Shape((8, 4), 2, 6, 0.1, 0.0)).eval()
    >>> network(torch.zeros(3, 1), torch.zeros(3, 1, dtype=torch.int64)).shape
    torch.Size([3])
    """

    def __init__(self, encoding: Encoding, shape: Shape, norm: type[nn.BatchNorm1d] = nn.BatchNorm1d) -> None:
        super().__init__()
        self.pieces = PiecewiseLinear(encoding.edges)
        widths = [min(shape.embedding_width, (count + 1) // 2) for count in encoding.code_counts]
        self.embeddings = nn.ModuleList(map(nn.Embedding, encoding.code_counts, widths))
        self.input_dropout = Dropout(shape.input_dropout)
        # The first layer of all heads, and the skip as its last column, in one product. Numbers have weights
        # of their own: what they were made from needs no gradient, which is a third of the layer's work.
        width = shape.heads * shape.hidden[0]
        self.of_pieces = nn.Linear(self.pieces.out_features, width + 1)
        self.of_embeddings = nn.Linear(sum(widths), width + 1, bias=False)
        bound = (self.pieces.out_features + sum(widths)) ** -0.5
        for weights in (self.of_pieces.weight, self.of_pieces.bias, self.of_embeddings.weight):
            nn.init.uniform_(weights, -bound, bound)
        self.norm = norm(width)
        self.heads = nn.ModuleList(_head(shape) for _ in range(shape.heads))

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Numeric `(rows, numeric)`, NaN where missing, and codes `(rows, codes)`, to logits `(rows,)`."""
        first = self.of_pieces(self.input_dropout(self.pieces(numeric)))
        if self.embeddings:
            embedded = [embed(codes[:, position]) for position, embed in enumerate(self.embeddings)]
            first = first + self.of_embeddings(self.input_dropout(torch.cat(embedded, dim=1)))
        inputs = self.norm(first[:, :-1]).chunk(len(self.heads), dim=1)
        logits = [head(each).squeeze(1) for head, each in zip(self.heads, inputs, strict=True)]
        return torch.stack(logits).mean(dim=0) + first[:, -1]


def _head(shape: Shape) -> nn.Sequential:
    """What follows the first layer's sums."""
    layers: list[nn.Module] = []
    for width, following in pairwise((*shape.hidden, 1)):
        layers += [nn.SiLU(), Dropout(shape.dropout), nn.Linear(width, following)]
    return nn.Sequential(*layers)
