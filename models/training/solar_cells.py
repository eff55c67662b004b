"""Trains the network of the recipe `solar_cells` and writes its weights and a golden file for the tests.

    pip install 'quantbench[solar,train,graphdef]'
    python -m models.training.solar_cells --start mobilenet_v1_0.25_128_frozen.pb

1575 images are few, so the network starts from TensorFlow's MobileNet v1 0.25/128 trained on ImageNet
(Apache-2.0; the same file that the recipe mobilenet_v1_0.25_128 takes), its first filters summed over the
colours, and all of it is trained further. Without `--start` it begins from random weights and ends about 5
points lower.

Targets are the annotated probabilities themselves, so a doubtful cell pulls less than a certain one.
Hyperparameters and the epoch are chosen by the validation split alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util.tensor_util import make_ndarray
from torch import nn

from harness.samples import read_sample, storage_of
from models.architectures.mobilenet_v1 import BLOCKS, EPSILON, LOGITS, SCOPE, channels
from models.data.solar_cells import Cell, splits
from models.solar_cells import INPUT_SHAPE, PREPROCESS, WEIGHTS, WIDTH

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "solar_cells.npz"
GOLDEN_IMAGES = 8


class Layer(nn.Module):
    """Convolution, batch norm, Relu6, with TensorFlow's SAME padding of a 3×3 filter at stride 1 or 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0) if kernel == 1 else (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu6(self.norm(self.conv(F.pad(x, self.padding))))

    def norm_arrays(self) -> dict[str, torch.Tensor]:
        norm = self.norm
        return {
            "gamma": norm.weight,
            "beta": norm.bias,
            "moving_mean": norm.running_mean,
            "moving_variance": norm.running_var,
        }


class Network(nn.Module):
    """MobileNet v1; `layers` by the names that models/architectures/mobilenet_v1.py uses."""

    def __init__(self) -> None:
        super().__init__()
        width = channels(32, WIDTH)
        self.layers = nn.ModuleDict({"Conv2d_0": Layer(INPUT_SHAPE[-1], width, 3, 2)})
        for index, (outputs, stride) in enumerate(BLOCKS, 1):
            self.layers[f"Conv2d_{index}_depthwise"] = Layer(width, width, 3, stride, groups=width)
            self.layers[f"Conv2d_{index}_pointwise"] = Layer(width, channels(outputs, WIDTH), 1, 1)
            width = channels(outputs, WIDTH)
        self.dropout = nn.Dropout(0.2)
        self.logits = nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers.values():
            x = layer(x)
        return self.logits(self.dropout(x.mean((2, 3))))

    def start_from(self, frozen_graph: Path) -> None:
        """Takes over every layer but the logits from a frozen MobileNet v1 of the same width."""
        nodes = GraphDef.FromString(frozen_graph.read_bytes()).node
        values = {node.name: make_ndarray(node.attr["value"].tensor) for node in nodes if node.op == "Const"}
        for name, layer in self.layers.items():
            weights = values[_weights_name(name)]
            weights = weights.transpose((2, 3, 0, 1) if name.endswith("_depthwise") else (3, 2, 0, 1))
            if weights.shape[1] != layer.conv.weight.shape[1]:  # grey is the same value in all three colours
                weights = weights.sum(1, keepdims=True)
            layer.conv.weight.data = torch.from_numpy(weights.copy())
            for part, target in layer.norm_arrays().items():
                target.data.copy_(torch.from_numpy(values[f"{SCOPE}/{name}/BatchNorm/{part}"]))

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights in the project's layouts: convolutions as float16, everything else as float32."""
        found = {f"{LOGITS}/weights": self.logits.weight, f"{LOGITS}/biases": self.logits.bias}
        for name, layer in self.layers.items():
            axes = (1, 2, 3, 0) if name.endswith("_depthwise") else (0, 2, 3, 1)
            found[_weights_name(name)] = layer.conv.weight.permute(axes).half()
            found |= {f"{SCOPE}/{name}/BatchNorm/{part}": a for part, a in layer.norm_arrays().items()}
        return {name: value.detach().numpy() for name, value in found.items()}


def _weights_name(layer: str) -> str:
    return f"{SCOPE}/{layer}/{'depthwise_weights' if layer.endswith('_depthwise') else 'weights'}"


def load(cells: list[Cell]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stored pixels (n, 1, height, width) uint8 and defect probabilities (n,)."""
    pixels = np.stack([read_sample(cell.path, PREPROCESS, INPUT_SHAPE[1:]) for cell in cells])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.tensor([cell.probability for cell in cells])


def to_real(pixels: torch.Tensor) -> torch.Tensor:
    storage = storage_of(Path("cell.png"), np.dtype(np.uint8), PREPROCESS)
    return (pixels.float() - float(storage.offset[0])) * float(storage.scale[0])


def augment(pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Real values, flipped, turned by quarters, moved by up to 4 pixels, brightness and contrast ± 15 %."""

    def draw(*size: int) -> torch.Tensor:
        return torch.rand(size, generator=random)

    turns = (draw(len(pixels)) * 4).long()
    images = torch.stack([torch.rot90(p, int(k), (1, 2)) for p, k in zip(pixels, turns, strict=True)])
    images = torch.where(draw(len(pixels), 1, 1, 1) < 0.5, images.flip(3), images)
    top, left = (draw(2) * 9).long().tolist()
    size = images.shape[-1]
    images = F.pad(images.float(), (4, 4, 4, 4), "reflect")[:, :, top : top + size, left : left + size]
    images = to_real(images)
    contrast = 1 + 0.15 * (2 * draw(len(images), 1, 1, 1) - 1)
    brightness = 0.15 * (2 * draw(len(images), 1, 1, 1) - 1)
    return images * contrast + brightness


def evaluate(network: Network, pixels: torch.Tensor) -> torch.Tensor:
    """Probabilities of a defect (n,)."""
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(to_real(part)).softmax(1)[:, 1] for part in pixels.split(64)])


def accuracies(chances: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    """Top-1, and the mean of the two classes' recalls."""
    right = ((chances > 0.5) == (truth > 0.5)).double()
    defective = truth > 0.5
    return right.mean().item(), ((right[defective].mean() + right[~defective].mean()) / 2).item()


def train(options: argparse.Namespace, parts: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Network:
    """The network at the epoch with the best validation accuracy; ties go to the later epoch."""
    torch.manual_seed(options.seed)
    random = torch.Generator().manual_seed(options.seed)
    network = Network()
    if options.start:
        network.start_from(options.start)
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        options.rate,
        total_steps=options.epochs * (len(parts["train"][0]) // options.batch),
        pct_start=0.1,
        cycle_momentum=False,
    )
    weights = class_weights(parts["train"][1], options.balance)
    best, kept = -1.0, {}
    for epoch in range(options.epochs):
        network.train()
        losses = []
        for pixels, chances in batches(*parts["train"], options.batch, random):
            targets = torch.stack([1 - chances, chances], 1) * weights
            loss = -(targets * network(augment(pixels, random)).log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        top1, recall = accuracies(evaluate(network, parts["validation"][0]), parts["validation"][1])
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, validation {top1:.4f}, balanced {recall:.4f}")
        if top1 >= best:
            best, kept = top1, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return network


def class_weights(chances: torch.Tensor, balance: float) -> torch.Tensor:
    """(2,) weights of the classes, 1 on average: with balance 0 as they are counted, with 1 equal in sum."""
    share = chances.mean().item()
    weights = torch.tensor([1 / (1 - share), 1 / share]) ** balance
    return weights / (weights * torch.tensor([1 - share, share])).sum()


def batches(pixels: torch.Tensor, chances: torch.Tensor, size: int, random: torch.Generator):
    """Full batches in a new order; what is left over waits for the next epoch's order."""
    order = torch.randperm(len(pixels), generator=random)
    for batch in order[: len(order) // size * size].split(size):
        yield pixels[batch], chances[batch]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", type=Path, help="frozen graph to start from")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--balance", type=float, default=0.5, help="0: as counted, 1: classes weigh the same")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--golden", type=Path, default=GOLDEN)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the order of sums, and with it the result, depends on the thread count

    cells = splits()
    parts = {name: load(part) for name, part in cells.items()}
    network = train(options, parts)
    for layer in network.layers.values():  # judge the weights that are stored
        layer.conv.weight.data = layer.conv.weight.data.half().float()
    np.savez_compressed(options.weights, **network.arrays())
    for name in ("validation", "test"):
        top1, recall = accuracies(evaluate(network, parts[name][0]), parts[name][1])
        print(f"{name}: top-1 {top1:.4f}, balanced {recall:.4f} on {len(parts[name][1])} cells")
    write_golden(network, cells["test"], parts["test"][0], options.golden)


def write_golden(network: Network, cells: list[Cell], pixels: torch.Tensor, path: Path) -> None:
    """A few cells spread over the split, and what the network says of them."""
    chosen = range(0, len(cells), -(-len(cells) // GOLDEN_IMAGES))
    pixels = pixels[list(chosen)]
    chances = evaluate(network, pixels)
    np.savez_compressed(
        path,
        ids=[cells[index].id for index in chosen],
        pixels=pixels.permute(0, 2, 3, 1).numpy(),
        probabilities=torch.stack([1 - chances, chances], 1).numpy(),
    )


if __name__ == "__main__":
    main()
