"""ResNet18 and ResNet34, built on torchvision's."""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet as torchvision_resnet

from convergent.nets.model_arguments import LARGE_IMAGE, check_stack, draw_convolutions
from convergent.nets.residual import ResidualBlock

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""By depth: blocks of each of the four stages."""
_USUAL_WIDTH = 64


class ResNet(torchvision_resnet.ResNet):  # type: ignore[misc]
    """ResNet18 or ResNet34 of He et al. (2016), with the stem for small or for large images.

    Images of 64 pixels and more get torchvision's network; its weights load as they are. Smaller
    ones get the stem that is usual for CIFAR: ``conv1`` is 3 x 3 in steps of 1, and ``maxpool``
    passes on what it gets.

    The modules have torchvision's names, but for the rectifiers of each block, which are modules of
    their own: ``relu``, then ``layer1.0.relu1``, ``layer1.0.relu2``, ``layer1.1.relu1`` and so on.
    ``["relu", "*.relu2"]`` are the nine layers of ResNet18, every other one, of Lu et al. (2018).

    Parameters
    ----------
    depth : {18, 34}
        Layers with weights.
    in_channels : int
        Channels of the images.
    image_size : int
        Height and width of the images, at least 8.
    n_classes : int
        Units of the output.
    width : int
        Channels of the first stage; each of the three later ones has twice as many.

    Raises
    ------
    ValueError
        If a number is out of range, or there is no such depth.

    References
    ----------
    He et al. (2016), Table 1; Lu et al. (2018), Section 4; Wang et al. (2018), Section 5.
    """

    def __init__(
        self,
        depth: int = 18,
        *,
        in_channels: int = 3,
        image_size: int = 32,
        n_classes: int = 10,
        width: int = _USUAL_WIDTH,
    ) -> None:
        if depth not in BLOCKS:
            raise ValueError(f"`depth` must be 18 or 34, got {depth}")
        check_stack(in_channels, image_size, n_classes, width)
        self._width = width
        super().__init__(ResidualBlock, list(BLOCKS[depth]), num_classes=n_classes)
        large = image_size >= LARGE_IMAGE
        kernel, stride = (7, 2) if large else (3, 1)
        self.conv1 = nn.Conv2d(
            in_channels, width, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        if not large:
            self.maxpool = nn.Identity()
        self.fc = nn.Linear(8 * width, n_classes)
        draw_convolutions(self)

    def _make_layer(
        self,
        block: type[ResidualBlock],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        """Return a stage of torchvision's, which knows one width only, with another."""
        if planes == _USUAL_WIDTH:
            self.inplanes = self._width
        own = planes * self._width // _USUAL_WIDTH
        stage: nn.Sequential = super()._make_layer(block, own, blocks, stride, dilate)
        return stage
