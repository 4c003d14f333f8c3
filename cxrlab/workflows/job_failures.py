"""Why a job failed, in one sentence for the user."""

from __future__ import annotations

import errno

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")
GPU_WORDS = ("CUDA error", "cuDNN error", "CUBLAS_STATUS", "NCCL", "device-side assert")
WRITER_WORDS = ("PytorchStreamWriter failed", "unexpected pos", "No space left on device")


def failure_sentence(error: BaseException) -> str:
    """What happened and what to do; errors of this project are sentences already."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    chain = [error, *filter(None, (error.__cause__, error.__context__))]
    if any(isinstance(each, OSError) and each.errno in FULL_DISK for each in chain) or _says(first, WRITER_WORDS):
        return "The disk is full: the state could not be written. Free some space, then resume the job."
    if isinstance(error, MemoryError) or _says(str(error), MEMORY_WORDS):
        return "The memory ran out. Use a smaller batch or input size in a new job, or close what else needs memory."
    if _says(str(error), GPU_WORDS):
        return f"The GPU reported an error ({first}). Resume the job; if it comes again, try another GPU or the CPU."
    if isinstance(error, KeyboardInterrupt):
        return "It was interrupted by the keyboard; resume the job to go on."
    if isinstance(error, ValueError | OSError):
        return first
    return f"It failed with {type(error).__name__}: {first}. The log says where."


def _says(text: str, words: tuple[str, ...]) -> bool:
    return any(word.lower() in text.lower() for word in words)
