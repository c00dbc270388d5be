"""Executors that break one promise each; they are named after it. ``good`` breaks none."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

from mritk import Executor, hookimpl
from mritk_processes.pool import run as in_processes


def loses_the_last(function, jobs, at_once=None):
    yield from map(function, jobs[:4])


def needs_a_number(function, jobs, at_once=None):
    with ThreadPoolExecutor(at_once + 0) as pool:
        yield from pool.map(function, jobs)


def needs_a_job(function, jobs, at_once=None):
    function(jobs[0])
    yield from map(function, jobs)


def shares_one_pool(function, jobs, at_once=None):
    if not jobs:
        return
    with ProcessPoolExecutor(at_once or 2, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, jobs)


def leaves_a_thread(function, jobs, at_once=None):
    threading.Thread(target=threading.Event().wait, args=(5,), daemon=True).start()
    yield from map(function, jobs)


@hookimpl
def mritk_executors():
    text = "breaks one promise"
    yield Executor("good", in_processes, summary=text)
    yield Executor("every_job_is_done_once", loses_the_last, summary=text)
    yield Executor("any_number_at_once_will_do", needs_a_number, summary=text)
    yield Executor("nothing_to_do_is_no_error", needs_a_job, summary=text)
    yield Executor("a_worker_that_dies_takes_no_other_with_it", shares_one_pool, summary=text)
    yield Executor("closing_it_ends_what_runs", leaves_a_thread, summary=text)
    yield Executor(
        "is_sent_to_workers", lambda function, jobs, at_once: map(function, jobs), summary=text
    )
