"""Scores kept on disk: the same numbers, no pass twice, and nothing wrong from other clips, models or damaged files."""

import multiprocessing
from dataclasses import replace

import pytest
import torch

from tagxai.scoring import all_subsets, cached, leave_one_out, score
from tagxai.scoring.cache import ScoreCache
from tagxai.testing import random_checkpoint
from tagxai.text import words


@pytest.fixture(scope="module")
def units(generation):
    return words.words(generation.prompt, generation.spans, generation.tokens)[:3]


@pytest.fixture
def passes(generator, monkeypatch):
    """The rows of each call of the model."""
    states, rows = generator._states, []

    def counted(columns, embeddings, mask):
        rows.append(len(columns))
        return states(columns, embeddings, mask)

    monkeypatch.setattr(generator, "_states", counted)
    return rows


def test_what_was_scored_is_read_and_only_the_rest_is_run(generator, generation, units, passes, tmp_path):
    with cached(tmp_path):
        first = score(generator, generation, units, leave_one_out(3))
        passes.clear()
        again = score(generator, generation, units, leave_one_out(3))
        assert passes == [1]  # by which the generator and the clip are known
        assert torch.equal(again.log_prob, first.log_prob)
        passes.clear()
        score(generator, generation, units, all_subsets(3))
        assert passes == [1, 4]  # four of the eight were there
    passes.clear()
    score(generator, generation, units, leave_one_out(3))
    assert passes == [4]  # outside the block nothing is read


def test_words_phrases_and_tokens_share_what_is_the_same_coalition(generator, generation, passes, tmp_path):
    spans, tokens = generation.spans, generation.tokens
    with cached(tmp_path):
        score(generator, generation, words.words(generation.prompt, spans, tokens)[:1], leave_one_out(1))
        passes.clear()
        score(generator, generation, words.tokens(generation.prompt, spans, tokens)[:1], leave_one_out(1))
    assert passes == [1]


def test_another_question_finds_nothing(generator, generation, units, passes, tmp_path, random_model):
    other_clip = replace(generation, record={"codes": generation.record["codes"].flip(1)})
    prompt = generation.prompt.replace("dog", "bell")
    encoded = generator.encode_prompt([prompt])
    other_prompt = replace(generation, prompt=prompt, tokens=encoded.tokens[0], spans=encoded.spans[0])
    other_scale = replace(generation, settings={**generation.settings, "guidance_scale": 9.0})
    masks = leave_one_out(3)
    with cached(tmp_path):
        for target in ("conditional", "guided"):
            score(generator, generation, units, masks, target=target)
        for clip, options in [
            (other_clip, {}),
            (other_prompt, {}),
            (other_scale, {"target": "guided"}),
            (generation, {"operator": "null"}),
            (generation, {"target": "hidden"}),
            (generation, {"frames": range(5)}),
        ]:
            passes.clear()
            score(generator, clip, units, masks, **options)
            assert max(passes) == 4, options
        assert len(list(tmp_path.iterdir())) == 8


def test_other_weights_find_nothing(generation, units, tmp_path):
    from tagxai.generators.transformers.model import TransformersGenerator

    model = TransformersGenerator.load(str(random_checkpoint(tmp_path / "model")))
    with cached(tmp_path / "scores"):
        before = score(model, generation, units, leave_one_out(3))
        with torch.no_grad():
            model.model.decoder.lm_heads[2].weight.mul_(1.001)  # hidden states stay as they were
        after = score(model, generation, units, leave_one_out(3))
    assert after.rows == before.rows == 5
    assert not torch.equal(before.log_prob, after.log_prob)


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty", "foreign"])
def test_a_damaged_file_is_as_good_as_none(generator, generation, units, passes, tmp_path, harm):
    with cached(tmp_path):
        first = score(generator, generation, units, leave_one_out(3))
        (file,) = tmp_path.glob("*/*.safetensors")
        content = file.read_bytes()
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        file.write_bytes({"truncate": content[:60], "flip": flipped, "empty": b"", "foreign": b"hello"}[harm])
        passes.clear()
        again = score(generator, generation, units, leave_one_out(3))
    assert passes == [1, 4]
    assert torch.equal(again.log_prob, first.log_prob)
    assert file.read_bytes() == content  # whole again


def test_a_run_that_is_killed_leaves_its_whole_batches(generator, generation, units, tmp_path):
    def stop(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with cached(tmp_path):
        with pytest.raises(KeyboardInterrupt):
            score(generator, generation, units, leave_one_out(3), batch_size=1, on_progress=stop)
        (next(tmp_path.iterdir()) / ".half-written.safetensors").write_bytes(b"half")
        assert score(generator, generation, units, leave_one_out(3)).rows == 3  # two batches, and the clip's own


def _write(folder, number):
    with cached(folder):
        store = ScoreCache({"question": "the same"})
        for row in range(20):
            store.write({f"{number}-{row}": torch.full((2, 3), float(row))})
            store.read()


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    processes = [multiprocessing.get_context("fork").Process(target=_write, args=(tmp_path, n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    with cached(tmp_path):
        rows = ScoreCache({"question": "the same"}).read()
    assert len(rows) == 60
    assert all((row == float(key.split("-")[1])).all() for key, row in rows.items())
