"""The trainer as several processes, on several GPUs or machines, as ``torchrun`` starts them."""

import logging
import os
import signal
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import torch
import torch.distributed as dist

from models.embed.parallel import LEADER, Leader, help_out
from models.embed.settings import EmbedSettings
from streams.errors import FAULT, OK

log = logging.getLogger(__name__)

SILENCE: Final = timedelta(days=7)
"""A shop may be closed for so long before a helper takes the leader for dead. One that ends is noticed at once."""


def join(environ: Mapping[str, str] = os.environ) -> int:
    """Meet the other processes that ``torchrun`` started; this one's rank. Alone it is 0, and nobody is met."""
    if int(environ.get("WORLD_SIZE", "1")) == 1:
        return LEADER
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=SILENCE)
    return dist.get_rank()


def device(environ: Mapping[str, str] = os.environ) -> str:
    """A GPU of its own for each process of a machine."""
    return f"cuda:{environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def leader(settings: EmbedSettings) -> Leader | None:
    """The crew where there are helpers."""
    return Leader(settings, device()) if dist.is_initialized() else None


def serve(settings: EmbedSettings) -> int:
    """Be a helper until the leader ends; the exit code is returned. Signals are the leader's to obey."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    log.info("helper_started rank=%d of=%d", dist.get_rank(), dist.get_world_size())
    try:
        n_steps = help_out(settings, device())
    except RuntimeError as error:
        log.critical("helper_stops: the trainer it helps is gone: %s", error)
        return FAULT
    log.info("helper_stopped steps=%d", n_steps)
    dist.destroy_process_group()
    return OK
