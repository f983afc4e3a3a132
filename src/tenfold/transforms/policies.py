"""How far classical augmentation goes: ranges for every kind of change, and three settings that have names."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Ranges:
    """Half-widths of the uniform draws; 0 leaves a thing alone."""

    degrees: float = 0.0
    shift: float = 0.0
    """Share of the side, along each axis."""
    zoom: float = 0.0
    """The size changes by a factor exp(+-zoom), and the sides against one another by exp(+-zoom / 2)."""
    shear: float = 0.0
    """Tangent of the angle by which verticals lean."""
    bend: float = 0.0
    """Elastic displacement of each of 4 x 4 knots, as a share of the side."""
    brightness: float = 0.0
    """As a share of half the range between black and full light."""
    contrast: float = 0.0
    """A factor exp(+-contrast) about the middle grey."""
    saturation: float = 0.0
    """A factor exp(+-saturation) on the distance from grey; of pictures with three channels alone."""
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise, unit as for brightness; each picture draws its own, 0..noise."""
    erase: float = 0.0
    """Probability that a box is covered with the border's colour. It has 5..20 % of the picture's area and sides
    in a ratio of 1/e..e before it is cut off at the border, and its centre lies anywhere."""

    def __post_init__(self) -> None:
        wrong = next((field.name for field in fields(self) if getattr(self, field.name) < 0), None)
        if wrong or self.erase > 1:
            name = wrong or "erase"
            raise ValueError(f"{name} = {getattr(self, name)} is no half-width or probability")

    def relights(self, channels: int) -> bool:
        """Whether pictures of so many channels become lighter, darker or otherwise coloured."""
        return any((self.brightness, self.contrast, self.saturation and channels == 3))

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return any((self.degrees, self.shift, self.zoom, self.shear, self.bend))


POLICIES = {
    "light": Ranges(shift=0.07, noise=0.05),
    "standard": Ranges(
        degrees=15, shift=0.1, zoom=0.2, shear=0.2, brightness=0.1, contrast=0.1, saturation=0.2, noise=0.05
    ),
    "strong": Ranges(
        degrees=25,
        shift=0.15,
        zoom=0.3,
        shear=0.3,
        bend=0.05,
        brightness=0.3,
        contrast=0.3,
        saturation=0.5,
        noise=0.1,
        erase=0.5,
    ),
}
