"""Trains the shape classifier and writes `shapes.onnx` beside this file.

Needs torch, onnx and onnxruntime besides numpy and Pillow; takes some minutes on one core.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from shapes import CLASSES, draw_file
from torch import Tensor, nn

SIDE = 64
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
TRAIN_SEED, TRAIN_COUNT = 1, 16_000
TEST_SEED, TEST_COUNT = 2, 4_000
EPOCHS, BATCH = 24, 64
MODEL = Path(__file__).with_name("shapes.onnx")

# Output channels, kernel and stride of each convolution.
LAYERS: tuple[tuple[int, int, int], ...] = ((16, 5, 2), (24, 3, 2), (32, 3, 1), (32, 3, 2), (36, 3, 1))

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]


def recompressed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Picture after another lossy save, as pictures found in folders often are."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(50, 96)))
    return Image.open(buffer)


def model_input(image: Image.Image) -> NDArray[np.float32]:
    """Normalised pixels as the model takes them, float32 [3, 64, 64]."""
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255.0
    normal = (small - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


def drawn(label: str, rng: np.random.Generator, recompress: float) -> NDArray[np.float32]:
    """Model input of a fresh image file, float32 [3, 64, 64]."""
    _, data = draw_file(label, rng)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return model_input(recompressed(image, rng) if rng.random() < recompress else image)


def drawn_set(count: int, seed: int, recompress: float = 0.0) -> Arrays:
    """Balanced inputs, float32 [count, 3, 64, 64], and class numbers, int64 [count]."""
    targets = np.arange(count) % len(CLASSES)
    rngs = (np.random.default_rng((seed, number)) for number in range(count))
    pairs = zip(targets, rngs, strict=True)
    return np.stack([drawn(CLASSES[target], rng, recompress) for target, rng in pairs]), targets


def block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution, batch norm and ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def network() -> nn.Sequential:
    """Small convolutional classifier, float32 [N, 3, 64, 64] to [N, 8]."""
    widths = (3, *(outputs for outputs, _, _ in LAYERS))
    blocks = [block(inputs, *layer) for inputs, layer in zip(widths, LAYERS, strict=False)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], len(CLASSES)))


def augmented(images: Tensor) -> Tensor:
    """Batch turned, mirrored, with mixed channels and sometimes inverted, same shape."""
    turned = torch.rot90(images, int(torch.randint(4, ())), (2, 3))
    mirrored = turned.flip(3) if torch.rand(()) < 0.5 else turned
    mixed = mirrored[:, torch.randperm(3)]
    # Inversion keeps the normalised range because the mean is mid-grey.
    sign = torch.where(torch.rand(len(images), 1, 1, 1) < 0.3, -1.0, 1.0)
    return mixed * sign


def batches(images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled and augmented minibatches of one epoch."""
    for chosen in torch.split(torch.randperm(len(images)), BATCH):
        yield augmented(images[chosen]), targets[chosen]


def train(model: nn.Module, images: Tensor, targets: Tensor) -> Iterator[float]:
    """Trains in place, yielding the mean loss of each epoch."""
    steps = EPOCHS * -(-len(images) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for _ in range(EPOCHS):
        losses = []
        for batch, wanted in batches(images, targets):
            loss = nn.functional.cross_entropy(model(batch), wanted)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        yield float(np.mean(losses))


def folded(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution with its batch norm multiplied in."""
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


def constant(name: str, value: Tensor) -> TensorProto:
    """Weights as a named float32 ONNX tensor."""
    return numpy_helper.from_array(value.detach().numpy().astype(np.float32), name)


def conv_nodes(index: int, source: str) -> list[onnx.NodeProto]:
    """Convolution and ReLU nodes of one block."""
    _, kernel, stride = LAYERS[index]
    conv = helper.make_node(
        "Conv",
        [source, f"kernel{index}", f"bias{index}"],
        [f"conv{index}"],
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[kernel // 2] * 4,
    )
    return [conv, helper.make_node("Relu", [f"conv{index}"], [f"relu{index}"])]


def head_nodes(source: str) -> list[onnx.NodeProto]:
    """Pooling and linear nodes up to the logits."""
    return [
        helper.make_node("GlobalAveragePool", [source], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"], transB=1),
    ]


def constants(model: nn.Sequential) -> list[TensorProto]:
    """All weights of the trained network, batch norms folded."""
    *blocks, _, _, linear = model.children()
    assert isinstance(linear, nn.Linear)
    pairs = [folded(*list(block.children())[:2]) for block in blocks]
    kernels = [constant(f"kernel{index}", kernel) for index, (kernel, _) in enumerate(pairs)]
    biases = [constant(f"bias{index}", bias) for index, (_, bias) in enumerate(pairs)]
    return [*kernels, *biases, constant("weight", linear.weight), constant("bias", linear.bias)]


def graph(model: nn.Sequential) -> onnx.GraphProto:
    """ONNX graph of the trained network, input `image` and output `logits`."""
    sources = ["image", *(f"relu{index}" for index in range(len(LAYERS)))]
    convs = [node for index in range(len(LAYERS)) for node in conv_nodes(index, sources[index])]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(CLASSES)])
    weights = constants(model)
    return helper.make_graph([*convs, *head_nodes(sources[-1])], MODEL.stem, [image], [logits], weights)


def onnx_model(model: nn.Sequential) -> onnx.ModelProto:
    """Complete ONNX model with labels and normalisation in its metadata."""
    # An older file version than the library's default, so that older runtimes read it too.
    exported = helper.make_model(graph(model), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = {"labels": CLASSES, "mean": MEAN, "std": STD}
    helper.set_model_props(exported, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(exported, full_check=True)
    return exported


def hits(path: Path, images: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the stored model names each image right, bool [N]."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    parts = [session.run(["logits"], {"image": part})[0] for part in np.array_split(images, 20)]
    right: NDArray[np.bool_] = np.concatenate(parts).argmax(axis=1) == targets
    return right


def main() -> None:
    """Draws, trains, exports and evaluates."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, targets = map(torch.from_numpy, drawn_set(TRAIN_COUNT, TRAIN_SEED, recompress=0.3))
    model = network()
    for epoch, loss in enumerate(train(model, images, targets)):
        print(f"epoch {epoch + 1:2d}: loss {loss:.4f}", flush=True)
    onnx.save(onnx_model(model.eval()), MODEL)
    fresh, wanted = drawn_set(TEST_COUNT, TEST_SEED)
    right = hits(MODEL, fresh, wanted)
    for number, label in enumerate(CLASSES):
        print(f"{label:10s} {right[wanted == number].mean():.2%}")
    print(f"accuracy   {right.mean():.2%} of {TEST_COUNT} fresh images, {MODEL.stat().st_size} bytes")


if __name__ == "__main__":
    main()
