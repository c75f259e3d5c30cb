"""What guessing would reach: a dotted line, where the scale of a panel goes that far."""

from matplotlib.axes import Axes

from patchbench.figures import _style as style

CHANCE = "chance"
MARK = style.Mark(style.MUTED, "", (0, (1, 2)), False, 1)


def line(ax: Axes, value: float) -> dict[str, tuple[float, float]]:
    """Draw chance across a panel whose limits are set; where its name goes, empty if nowhere."""
    low, high = ax.get_ylim()
    if not low <= value <= high:
        return {}
    ax.axhline(value, color=MARK.color, linewidth=0.9, linestyle=MARK.dash, zorder=1.5)
    return {CHANCE: (1.0, value)}
