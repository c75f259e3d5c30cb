"""What can be set about networks and their training, checked without importing PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from patchbench.checks import check_choice, check_counts
from patchbench.devices import resolve
from patchbench.errors import UserError

BAGNET_RECEPTIVE_FIELDS_PX = (9, 17, 33)
TORCHVISION_TYPES = ("resnet18", "resnet50", "vgg16_bn")
# name of a BagNet among the whole-image networks: its receptive field, px
BAGNET_TYPES = {f"bagnet{px}": px for px in BAGNET_RECEPTIVE_FIELDS_PX}
CNN_TYPES = (*TORCHVISION_TYPES, *BAGNET_TYPES)
PRECISIONS = ("auto", "float32", "bfloat16")
SCHEDULES = ("one-cycle", "constant")
# where the distant tile of a triplet comes from
OTHER_IMAGE, ANYWHERE = DISTANT = ("other-image", "anywhere")
# where weights come from, if not from a checkpoint
SCRATCH, IMAGENET = "scratch", "imagenet"
# stem channels and blocks per stage of a BagNet as published
BAGNET_WIDTH, BAGNET_LAYERS = 64, (3, 4, 6, 3)
# over what its feature maps are normalised: each channel over a batch, or the channels of a place
BATCH, CHANNELS = NORM_NAMES = ("batch", "channels")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast to train.

    Attributes
    ----------
    epochs : int
        Passes over the items; 0 leaves the network as it was initialised.
    batch_size : int
        Items per step; batches are made a little larger where the items do not divide evenly,
        so that none is tiny.
    lr : float
        Highest learning rate of the cycle.
    weight_decay : float
        Decoupled decay of weights; biases and normalisation are left alone.
    betas : pair of floats
        Decay rates of Adam's running means.
    schedule : str
        ``one-cycle``: the learning rate rises to ``lr`` and falls to nothing, while the first
        of ``betas`` moves the other way, by 0.05 at most; ``constant``.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "one-cycle"

    def __post_init__(self) -> None:
        check_counts(batch_size=self.batch_size)
        if self.epochs < 0:
            raise ValueError(f"epochs is {self.epochs}; give 0 (no training) or more")
        check_choice("schedule", self.schedule, SCHEDULES)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas is {list(self.betas)}; give two numbers from 0 to below 1")
        if self.schedule == "one-cycle" and not 0.05 <= self.betas[0] < 0.95:
            raise ValueError(
                f"betas is {list(self.betas)}; with the schedule one-cycle the first must be from "
                "0.05 to below 0.95"
            )
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}; give a number above 0")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay is {self.weight_decay}; give 0 or more")


@dataclass(frozen=True)
class Augmentation:
    """What may change from one look at a training image to the next.

    Attributes
    ----------
    crop : float
        Side of a random crop as a share of the image's side, above 0 to 1; 1 is no crop. The
        networks here pool over all places, so they need not see the full image to learn, and
        smaller crops train faster.
    flip : bool
        Mirror left and right, half of the time.
    quarter_turns : bool
        Turn by 0, 90, 180 or 270 degrees; only for square images.
    jitter : float
        Brightness, contrast and saturation are each multiplied by a factor drawn from
        1 - jitter to 1 + jitter.
    """

    crop: float = 1.0
    flip: bool = True
    quarter_turns: bool = False
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop is {self.crop}; give a share above 0, at most 1")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter is {self.jitter}; give a number from 0 to below 1")

    def crop_sides(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Height and width of the crop of an image, px."""
        return round(self.crop * height_px), round(self.crop * width_px)


@dataclass(frozen=True)
class Computation:
    """Where to compute, and how finely while training.

    Attributes
    ----------
    device : str
        cpu, cuda or mps.
    precision : str
        ``bfloat16`` trains up to twice as fast where the processor has instructions for it;
        ``auto`` takes it there and ``float32`` elsewhere, so results of two kinds of processor
        differ a little.
    """

    device: str = "cpu"
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)


@dataclass(frozen=True)
class Recipe:
    """All that is set about one training."""

    plan: Plan
    augmentation: Augmentation
    computation: Computation


@dataclass(kw_only=True)
class Trained:
    """Settings of whatever is trained by epochs; a base of the classes that are.

    Attributes
    ----------
    epochs, batch_size, lr, weight_decay, betas, schedule
        See :class:`Plan`.
    crop, flip, quarter_turns, jitter
        See :class:`Augmentation`.
    precision : str
        Of training; see :class:`Computation`.
    seed, device, threads : int, str, int
        Source of all randomness, where to compute, on how many threads.
    """

    epochs: int = 12
    batch_size: int = 16
    lr: float = 0.001
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "one-cycle"
    crop: float = 1.0
    flip: bool = True
    quarter_turns: bool = False
    jitter: float = 0.0
    precision: str = "auto"
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    recipe: Recipe = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.device = resolve(self.device)
        self.recipe = Recipe(
            Plan(
                epochs=self.epochs,
                batch_size=self.batch_size,
                lr=self.lr,
                weight_decay=self.weight_decay,
                betas=self.betas,
                schedule=self.schedule,
            ),
            Augmentation(self.crop, self.flip, self.quarter_turns, self.jitter),
            Computation(self.device, self.precision),
        )


def check_bagnet(
    receptive_field_px: int,
    width: int,
    layers: Sequence[int],
    weights: str = SCRATCH,
    norm: str = BATCH,
) -> None:
    """Refuse with a ValueError an architecture that is no BagNet, or has no such weights."""
    check_choice("norm", norm, NORM_NAMES)
    if receptive_field_px not in BAGNET_RECEPTIVE_FIELDS_PX:
        raise ValueError(f"receptive_field_px is {receptive_field_px}; BagNets have 9, 17 or 33")
    check_counts(width=width)
    if len(layers) != 4 or min(layers) < 1:
        raise ValueError(f"layers is {list(layers)}; give 4 numbers of blocks, each at least 1")
    if weights == IMAGENET and (width, *layers) != (BAGNET_WIDTH, *BAGNET_LAYERS):
        raise ValueError(
            f"weights is {IMAGENET!r}, but width is {width} and layers is {list(layers)}; the "
            f"published networks have {BAGNET_WIDTH} and {list(BAGNET_LAYERS)}"
        )
    if weights == IMAGENET and norm != BATCH:
        raise ValueError(
            f"weights is {IMAGENET!r}, but norm is {norm!r}; the published networks have {BATCH!r}"
        )


def check_bagnet_crop(
    what: str, crop: Augmentation, receptive_field_px: int, height_px: int, width_px: int
) -> None:
    """Refuse with a UserError crops of images that are smaller than what one feature sees."""
    if min(crop.crop_sides(height_px, width_px)) < receptive_field_px:
        raise UserError(
            f"{what}: crop {crop.crop} of {height_px} x {width_px} px images is less than "
            f"receptive_field_px {receptive_field_px}; raise crop or the image size"
        )


def check_freeze(freeze: bool, weights: str) -> None:
    """Refuse with a ValueError to freeze features that nothing was learned by."""
    if freeze and weights == SCRATCH:
        raise ValueError(
            f"freeze is true, but weights is {SCRATCH!r}: random features would stay random; "
            f"set weights to {IMAGENET!r} or to a checkpoint"
        )
