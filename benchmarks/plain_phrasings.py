"""What the embedded model makes of plain phrasings: how often the detector hears each event, over several seeds.

    python benchmarks/plain_phrasings.py --seeds 16                     # those that the parser takes as plain
    python benchmarks/plain_phrasings.py --file phrasings.txt --seeds 3 # one phrasing a line

Prints a line of JSON for each phrasing: the text, what the parser says that it asks for, and of each event that is
heard at all the share of seeds. `tagxai.laboratory.language.plain` holds the phrasings whose events are heard with
every seed, and others with at most one seed in sixteen.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import tagxai
from tagxai.contract.request import Request
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.plain import phrasings

AT_ONCE = 16


def measure(texts: Sequence[str], seeds: int) -> Iterator[dict[str, object]]:
    """A row for each text; clips are made in batches."""
    model = tagxai.load_generator("tiny")
    detector = model.detector  # type: ignore[attr-defined]
    for text in texts:
        requests = [Request(text, None, seed) for seed in range(seeds)]
        clips = [clip for i in range(0, seeds, AT_ONCE) for clip in model.generate_many(requests[i : i + AT_ONCE])]
        heard = Counter(
            event
            for clip in clips
            for event, present in zip(detector.events, detector.present(clip.waveform[:1])[0].tolist(), strict=True)
            if present
        )
        asked = parse(text)
        yield {
            "text": text,
            "asks_for": None if asked is None else list(asked.events),
            "heard": {event: round(count / seeds, 3) for event, count in heard.most_common()},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="One phrasing a line; default: those of the package.")
    parser.add_argument("--seeds", type=int, default=16)
    options = parser.parse_args()
    texts = options.file.read_text(encoding="utf-8").split("\n") if options.file else phrasings()
    for row in measure([text.strip() for text in texts if text.strip()], options.seeds):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
