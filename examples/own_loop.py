"""tenfold's batch transforms inside a training loop of your own, without the rest of tenfold.

Run it with `python examples/own_loop.py`; it takes some seconds.
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

from tenfold.transforms import Classical, MixUp

classical = Classical("light")  # no mirroring unless asked for: it turns digits into something else
mixup = MixUp(alpha=0.3, classes=10)


def change_and_mix(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A collate function: samples to a batch, changed and mixed in the worker process that made it."""
    images, labels = default_collate(samples)
    return mixup(classical(images), labels)


def train(batches: DataLoader, device: str, on_device: bool) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(12):
        for images, labels in batches:
            images, labels = images.to(device), labels.to(device)
            if on_device:  # the whole batch at once, a draw for each image
                images, labels = mixup(classical(images), labels)
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()  # the labels are shares of classes
            optimizer.step()
    return network


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    digits = load_digits()
    images = (torch.tensor(digits.images)[:, None] * (255 / 16)).to(torch.uint8)
    labels = torch.tensor(digits.target)
    for_training, for_testing = train_test_split(torch.arange(len(labels)), test_size=0.5, random_state=0)
    samples = TensorDataset(images[for_training], labels[for_training])
    ways = {
        "on the device, after the loader": DataLoader(samples, 64, shuffle=True),
        "in two workers, as collate_fn": DataLoader(
            samples, 64, shuffle=True, collate_fn=change_and_mix, num_workers=2, persistent_workers=True
        ),
    }
    for name, batches in ways.items():
        network = train(batches, device, on_device=batches.num_workers == 0)
        scores = network((images[for_testing] / 255).to(device)).cpu()
        accuracy = (scores.argmax(1) == labels[for_testing]).float().mean()
        print(f"{name:32} test accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
