"""The guide's torch snippet: transform images with torch, classify them with a torch model in two workers.

Needs torch. With torchvision the transforms are its own; without it, the same two are written out here. The network is
small and untrained: the point is how it is called. Run it with ``python examples/working_with_torch.py [FOLDER]``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Dict

import torch
from guide_data import make_collections

import lightdata

HERE = Path(__file__).parent


def compose() -> Callable[[Any], torch.Tensor]:
    """Give ``Compose([ToTensor(), Resize((32, 32))])``."""
    try:
        from torchvision import transforms
    except (ImportError, RuntimeError):  # it refuses a torch it was not built for with a RuntimeError
        return to_small_tensor
    return transforms.Compose([transforms.ToTensor(), transforms.Resize((32, 32))])


def to_small_tensor(image: Any) -> torch.Tensor:
    """Turn ``uint8 [H, W, 3]`` into ``float32 [3, 32, 32]`` from 0 to 1."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    return torch.nn.functional.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)[0]


def transform_image(row: Dict[str, Any]) -> Dict[str, Any]:
    transform = compose()
    row["image"] = transform(row["image"])
    return row


class ImageClassifier:
    def __init__(self) -> None:
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(3, 16, 3, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)]
        self.model = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(16, 1000))
        self.model.eval()

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, torch.Tensor]:
        inputs = torch.from_numpy(batch["image"])
        with torch.inference_mode():
            outputs = self.model(inputs)
        return {"class": outputs.argmax(dim=1)}


def main(folder: Path) -> None:
    """Run the snippet."""
    shutil.rmtree(folder, ignore_errors=True)
    make_collections(folder)
    ds = lightdata.read_images(str(folder / "photos")).map(transform_image)
    predictions = ds.map_batches(ImageClassifier, concurrency=2, batch_size=4)
    predictions.show(3)
    batch = next(iter(ds.iter_torch_batches(batch_size=8)))
    print({name: tuple(tensor.shape) for name, tensor in batch.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "out" / "torch")
