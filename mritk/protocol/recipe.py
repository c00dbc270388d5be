"""The recipe of a staged fine-tuning: the parameters of the method ``finetune``.

Plain data without torch, so that protocols can be read, checked and fingerprinted anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

# Fields so marked are left out of a protocol's fingerprint.
SHAPES_NOTHING = {"fingerprint": False}
# Fields that came later: at their defaults they leave the fingerprints of before as they are.
ADDED_LATER = {"fingerprint": "unless default"}
LastBatch = Literal["drop", "keep", "rollover"]
# Incomplete batches were left out before there was a choice: a protocol without the field does so.
LAST_BATCH = {"fingerprint": "unless default", "absent": "drop"}
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
NOT_NEGATIVE = (
    "backbone_learning_rate",
    "weight_decay",
    "minimum_learning_rate",
    "plateau_min_delta",
    "early_stopping",
    "unfreeze_every",
)


def _require(fulfilled: bool, otherwise: str) -> None:
    if not fulfilled:
        raise ValueError(otherwise)


@dataclass(frozen=True)
class HiddenLayer:
    """A fully connected layer with ReLU, then dropout.

    Attributes:
        width: Number of units.
        dropout: Share of units that are left out in training.
        l2: Adds ``l2 · ‖W‖²`` of the layer's matrix to the loss, as Keras' ``kernel_regularizer``
            does; needs an optimiser whose decay is that of the loss (``adam`` or ``sgd``).
    """

    width: int
    dropout: float = 0.0
    l2: float = field(default=0.0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        _require(self.width >= 1, "width must be at least 1")
        _require(0 <= self.l2 < math.inf, "l2 must not be negative")
        _require(0 <= self.dropout < 1, "dropout must be in [0, 1)")


@dataclass(frozen=True)
class Head:
    """What stands on the features: optional BatchNorm, hidden layers, dropout, output layer.

    Attributes:
        batch_norm: BatchNorm of the features.
        hidden: The hidden layers, from the features to the output.
        dropout: Before the output layer.
        initialisation: Of the linear layers. ``torch``: weights and biases uniform within
            ±1 / √inputs; ``glorot``: weights uniform within ±√(6 / (inputs + outputs)), biases 0
            (Glorot and Bengio, 2010), the default of Keras.
        batch_norm_momentum: Share of a batch in the running statistics, as torch counts it: Keras'
            momentum of 0.99 is 0.01 here.
        batch_norm_epsilon: Added to the variance.
    """

    batch_norm: bool = False
    hidden: tuple[HiddenLayer, ...] = ()
    dropout: float = 0.0
    initialisation: Literal["torch", "glorot"] = field(default="torch", metadata=ADDED_LATER)
    batch_norm_momentum: float = field(default=0.1, metadata=ADDED_LATER)
    batch_norm_epsilon: float = field(default=1e-5, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        _require(0 <= self.dropout < 1, "dropout must be in [0, 1)")
        _require(0 < self.batch_norm_momentum <= 1, "batch_norm_momentum must be in (0, 1]")
        _require(0 < self.batch_norm_epsilon < math.inf, "batch_norm_epsilon must be positive")


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        epochs: Number of epochs at most.
        name: Name in the history.
        train_last: Share of the backbone that trains, counted from its output, rounded up to
            whole units; 0: the head alone, 1: everything.
        unfreeze_every: Gradual unfreezing (Howard and Ruder, 2018): the stage begins with the head
            alone, and after each so many epochs one more unit joins, from the output, until
            ``train_last`` is reached; 0: all from the start.
        tune: What changes within that share: ``all``; ``biases`` alone (BitFit, Ben Zaken et al.,
            2022); ``lora``: low-rank updates of the linear layers (Hu et al., 2022), merged into
            the weights at the end of the stage.
        lora_rank: Rank of the updates.
        lora_alpha: An update is multiplied by ``lora_alpha / lora_rank``.
        unit: What ``train_last`` counts: the ``stages`` that the backbone declares, or its
            ``layers`` (modules with tensors of their own, in order of registration).
        batch_norm: ``train`` lets BatchNorm in the trained part learn; ``frozen`` keeps its
            statistics, scale and shift. In the frozen part it never moves.
        optimizer: ``adamw``, ``adam`` or ``sgd`` (with Nesterov momentum 0.9).
        adam_epsilon: Added to the denominator of ``adam`` and ``adamw``.
        learning_rate: Peak learning rate of the head.
        backbone_learning_rate: Peak learning rate of the backbone; 0: that of the head.
        layer_decay: Layer-wise decay of the backbone's rate (Bao et al., 2022): the last unit has
            the rate times ``layer_decay``, the one before times its square, and so on.
        weight_decay: Applied to matrices and kernels, not to norms and biases.
        schedule: ``constant``; ``cosine`` to zero; ``plateau`` multiplies the rate by
            ``plateau_factor`` after ``plateau_patience`` epochs without a better validation loss,
            those of the warm-up not counted;
            ``step`` multiplies it by ``step_factor`` after every ``step_epochs`` epochs.
        warmup: Share of the stage's steps over which the rate rises linearly.
        plateau_factor: See ``schedule``.
        plateau_patience: See ``schedule``.
        plateau_min_delta: A loss is better if it is lower by more than this.
        plateau_loss: The validation loss that ``plateau`` follows: ``plain``, without smoothing or
            penalties; or ``objective``, with the label smoothing and the penalties ``l2`` that
            training has. Neither has class weights.
        minimum_learning_rate: Floor of ``plateau``.
        step_factor: See ``schedule``.
        step_epochs: See ``schedule``.
        early_stopping: Stop after this many epochs without a better selection value; 0: never.
        restart_selection: Forget at the beginning of the stage which state was best, as a second
            ``fit()`` of Keras does: only states of this stage and later ones are kept, and early
            stopping measures progress from its first epoch. Else a stage that does not surpass the
            best state of earlier ones makes no progress, and that state stays.
    """

    epochs: int
    name: str = field(default="", metadata=SHAPES_NOTHING)
    train_last: float = 1.0
    unfreeze_every: int = field(default=0, metadata=ADDED_LATER)
    tune: Literal["all", "biases", "lora"] = field(default="all", metadata=ADDED_LATER)
    lora_rank: int = field(default=8, metadata=ADDED_LATER)
    lora_alpha: float = field(default=16.0, metadata=ADDED_LATER)
    unit: Literal["stages", "layers"] = "stages"
    batch_norm: Literal["train", "frozen"] = "train"
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    adam_epsilon: float = field(default=1e-8, metadata=ADDED_LATER)
    learning_rate: float = 1e-3
    backbone_learning_rate: float = 0.0
    layer_decay: float = field(default=1.0, metadata=ADDED_LATER)
    weight_decay: float = 0.01
    schedule: Literal["constant", "cosine", "plateau", "step"] = "cosine"
    warmup: float = 0.0
    plateau_factor: float = 0.2
    plateau_patience: int = 3
    plateau_min_delta: float = field(default=0.0, metadata=ADDED_LATER)
    plateau_loss: Literal["plain", "objective"] = field(default="plain", metadata=ADDED_LATER)
    minimum_learning_rate: float = 1e-7
    step_factor: float = field(default=0.1, metadata=ADDED_LATER)
    step_epochs: int = field(default=10, metadata=ADDED_LATER)
    early_stopping: int = 0
    restart_selection: bool = field(default=False, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "epochs must be at least 1")
        _require(0 <= self.train_last <= 1, "train_last must be in [0, 1]")
        _require(0 <= self.warmup < 1, "warmup must be in [0, 1)")
        _require(0 < self.learning_rate < math.inf, "learning_rate must be positive")
        _require(0 < self.plateau_factor < 1, "plateau_factor must be in (0, 1)")
        _require(self.plateau_patience >= 1, "plateau_patience must be at least 1")
        _require(0 < self.step_factor < 1, "step_factor must be in (0, 1)")
        _require(self.step_epochs >= 1, "step_epochs must be at least 1")
        _require(0 < self.adam_epsilon < math.inf, "adam_epsilon must be positive")
        _require(0 < self.layer_decay <= 1, "layer_decay must be in (0, 1]")
        _require(self.lora_rank >= 1, "lora_rank must be at least 1")
        _require(0 < self.lora_alpha < math.inf, "lora_alpha must be positive")
        at_once = self.tune != "lora" or not self.unfreeze_every
        _require(at_once, "tune = 'lora' cannot be combined with unfreeze_every")
        for name in NOT_NEGATIVE:
            _require(0 <= getattr(self, name) < math.inf, f"{name} must not be negative")


@dataclass(frozen=True)
class Recipe:
    """Parameters of the method ``finetune``.

    Attributes:
        stages: The stages, in order; none: the initial network is evaluated (zero-shot).
        batch_size: Effective batch size.
        last_batch: What becomes of the images of an incomplete last batch of an epoch:
            ``rollover``: they begin the first batch of the next one, so that all batches are whole
            and all images are seen equally often; ``drop``: they are left out; ``keep``: they are
            a smaller batch. See :mod:`mritk.batches.order`. A fingerprint without the field is of
            ``drop``.
        head: Layout of the head.
        head_start: ``random``, or ``probe``: the head is initialised with the linear probe of the
            pretrained features with the lowest validation loss (linear probing, then fine-tuning:
            Kumar et al., 2022); such a head has no hidden layers and no BatchNorm.
        label_smoothing: Label smoothing of the cross-entropy, in [0, 1).
        class_weights: ``balanced`` weights classes by n / (classes · n_class) of the training set.
        class_weights_per: What a class weight multiplies. ``term``: each class's term of the
            smoothed cross-entropy, and the sum is divided by the weights of the batch's classes, as
            torch does; ``sample``: a sample's whole loss, by its true class, and the sum is divided
            by the number of samples, as Keras' ``class_weight`` does.
        gradient_clip: Maximum gradient norm; 0: off.
        mixup: Mixes pairs of images and their targets with a ratio drawn from Beta(mixup, mixup)
            (Zhang et al., 2018); 0: off.
        cutmix: Pastes a box of one image into another (Yun et al., 2019), its area drawn from
            Beta(cutmix, cutmix); 0: off. With both, each batch uses one of them at random.
        recalibrate_batch_norm: Recompute the statistics of the backbone's BatchNorm on the
            training set before the first stage; the stages freeze or train them as configured.
        average: Decay of an exponential moving average of the weights, used for evaluation and
            checkpoints; 0: off. In the first steps it is at most (1 + n) / (10 + n).
        test_time: Validation and test scores are averaged over views: ``none``: the image only;
            ``flip``: the image and its flip; ``augmentation``: the image and
            ``test_time_views`` samples of the trial's augmentation.
        test_time_views: See ``test_time``.
        eval_batch_size: Batch size for predictions, which affects them by rounding at most.
    """

    stages: tuple[Stage, ...] = field(default=(Stage(epochs=10),))
    batch_size: int = 32
    last_batch: LastBatch = field(default="rollover", metadata=LAST_BATCH)
    head: Head = Head()
    head_start: Literal["random", "probe"] = field(default="random", metadata=ADDED_LATER)
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    class_weights_per: Literal["term", "sample"] = field(default="term", metadata=ADDED_LATER)
    gradient_clip: float = 0.0
    mixup: float = field(default=0.0, metadata=ADDED_LATER)
    cutmix: float = field(default=0.0, metadata=ADDED_LATER)
    recalibrate_batch_norm: bool = field(default=False, metadata=ADDED_LATER)
    average: float = field(default=0.0, metadata=ADDED_LATER)
    test_time: Literal["none", "flip", "augmentation"] = field(default="none", metadata=ADDED_LATER)
    test_time_views: int = field(default=8, metadata=ADDED_LATER)
    eval_batch_size: int = field(default=256, metadata=SHAPES_NOTHING)

    def __post_init__(self) -> None:
        trained = bool(self.stages) or self.head_start == "random"
        _require(trained, "head_start = 'probe' needs a stage; use linear_probe to train a probe")
        fits = not (self.recalibrate_batch_norm and self.head_start == "probe")
        _require(
            fits,
            "head_start = 'probe' uses features with the stored statistics and cannot be "
            "combined with recalibrate_batch_norm",
        )
        names = [self.stage_name(number) for number in range(len(self.stages))]
        _require(len(set(names)) == len(names), "stages must have different names")
        sizes = min(self.batch_size, self.eval_batch_size)
        _require(sizes >= 1, "batch sizes must be at least 1")
        _require(0 <= self.label_smoothing < 1, "label_smoothing must be in [0, 1)")
        for name in ("gradient_clip", "mixup", "cutmix"):
            _require(0 <= getattr(self, name) < math.inf, f"{name} must not be negative")
        one_class = self.class_weights_per == "term" or not (self.mixup or self.cutmix)
        _require(
            one_class,
            "class_weights_per = 'sample' cannot be combined with mixup or cutmix, because a "
            "mixed sample has two classes; use 'term'",
        )
        _require(0 <= self.average < 1, "average must be in [0, 1)")
        coupled = all(stage.optimizer != "adamw" for stage in self.stages)
        penalised = any(layer.l2 for layer in self.head.hidden)
        _require(coupled or not penalised, "l2 of a hidden layer needs the optimizer adam or sgd")
        _require(self.test_time_views >= 1, "test_time_views must be at least 1")

    @property
    def mixing(self) -> tuple[float, float]:
        """The parameters of MixUp and CutMix; 0: off."""
        return self.mixup, self.cutmix

    def stage_name(self, number: int) -> str:
        """Return the name of stage ``number``, starting at 0: its own, or ``stage 1`` and so on."""
        return self.stages[number].name or f"stage {number + 1}"


@dataclass(frozen=True)
class Probe:
    """Parameters of the method ``linear_probe``.

    Attributes:
        penalties: Candidate strengths of the L2 penalty: C of scikit-learn's logistic
            regression is 1 / penalty, alpha of its ridge regression is penalty.
        class_weights: As in :class:`Recipe`.
        eval_batch_size: Batch size of the feature pass.
    """

    penalties: tuple[float, ...] = PENALTIES
    class_weights: Literal["none", "balanced"] = "none"
    eval_batch_size: int = field(default=256, metadata=SHAPES_NOTHING)

    def __post_init__(self) -> None:
        positive = all(0 < penalty < math.inf for penalty in self.penalties)
        _require(bool(self.penalties) and positive, "penalties must be positive")
        _require(self.eval_batch_size >= 1, "batch sizes must be at least 1")
