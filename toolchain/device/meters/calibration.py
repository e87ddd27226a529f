"""How wrong a meter may be where its maker does not say: the user's own comparison with a better one."""

from toolchain.device.boards import MeterConfig
from toolchain.errors import BadConfig


def stated_gain(config: MeterConfig, maker: str) -> float:
    """gain_error of the user's calibration. Raises BadConfig where there is none.

    maker: who states no accuracy
    """
    if config.gain_error:
        return config.gain_error
    raise BadConfig(f"meter '{config.name}' ({config.kind}): {maker} states no accuracy, so energy would "
                    f"have no uncertainty; compare it once with an external meter on the same board, and "
                    f"give the largest share it was off by as gain_error in [meters.{config.name}]")
