"""The trainer as a process: signals, a broker that is away, health and metrics, an end with an exit code."""

import asyncio
import logging
import signal
from typing import Any

import torch

from models.embed.parallel import LEADER, Leader
from streams import crew
from streams.broker_log import BrokerLog
from streams.broker_wait import wait_for_broker
from streams.errors import FAULT
from streams.health import Health, check_address
from streams.settings import Settings
from streams.titles import Encoder, sentence_encoder
from streams.trainer import Trainer

log = logging.getLogger("rillet")


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code is returned."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(BrokerLog(settings.kafka.bootstrap_servers))
    torch.set_num_threads(settings.embed.threads)
    if crew.join() != LEADER:
        return crew.serve(settings.embed)
    check_address(settings.trainer.web_host, settings.trainer.web_port, "trainer")
    encoder = sentence_encoder(settings.embed, crew.device())
    wait_for_broker(settings)
    helpers = crew.leader(settings.embed)
    try:
        return asyncio.run(_until_told(settings, helpers, encoder))
    finally:
        if helpers:
            helpers.close()


async def _until_told(settings: Settings, helpers: Leader | None, encoder: Encoder | None) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[BaseException | None] = loop.create_future()

    def end(error: BaseException | None = None) -> None:
        if not ended.done():
            ended.set_result(error)

    def failed(error: BaseException) -> None:
        loop.call_soon_threadsafe(end, error)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    trainer = Trainer(settings, failed, crew.device(), helpers, encoder)
    health = Health(trainer.missing, trainer.refresh_gauges)
    web = settings.trainer
    port = await health.start(web.web_host, web.web_port)
    log.info("trainer_serves health=http://%s:%d", web.web_host, port)
    work = asyncio.create_task(trainer.run())
    either: list[asyncio.Future[Any]] = [work, ended]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    error = ended.result() if ended.done() else work.exception()
    work.cancel()
    await asyncio.wait([work])
    await health.stop()
    if error:
        log.critical("trainer_stops: %s", error, exc_info=error)
        return FAULT
    return 0
