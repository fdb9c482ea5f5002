"""Files and folders: written completely or not at all, verified when they are read, and never over other people's."""

from tagxai.storage.claiming import (
    FORCE,
    check_claim,
    claimed,
    held_in,
    input_files,
    kinds_in,
    new_folder,
    output_folder,
)
from tagxai.storage.files import (
    check_json,
    encoded_tensors,
    json_sha256,
    read_audio,
    read_json,
    read_tensors,
    sha256,
    write_audio,
    write_bytes,
    write_json,
    write_tensors,
    write_text,
)
from tagxai.storage.locks import alone
from tagxai.storage.saving import reading, settle, sweep, whole_file, whole_folder

__all__ = [
    "FORCE",
    "alone",
    "check_claim",
    "check_json",
    "claimed",
    "encoded_tensors",
    "held_in",
    "input_files",
    "json_sha256",
    "kinds_in",
    "new_folder",
    "output_folder",
    "read_audio",
    "read_json",
    "read_tensors",
    "reading",
    "settle",
    "sha256",
    "sweep",
    "whole_file",
    "whole_folder",
    "write_audio",
    "write_bytes",
    "write_json",
    "write_tensors",
    "write_text",
]
