"""Models of the hub, from a cache in its real layout, without a network: revisions, and copies that are not whole."""

import shutil

import pytest
import torch

from tagxai.errors import TagxaiError
from tagxai.explaining.loading import load_generator
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.testing import random_checkpoint

MAIN, TAGGED = "a" * 40, "b" * 40


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of the model hub as huggingface_hub lays it out: owner/name with two commits, one of them tagged."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    repository = cache / "models--owner--name"
    (repository / "refs").mkdir(parents=True)
    for seed, (reference, commit) in enumerate((("main", MAIN), ("v2", TAGGED))):
        written = random_checkpoint(tmp_path / commit, seed=seed)
        snapshot, blobs = repository / "snapshots" / commit, repository / "blobs"
        snapshot.mkdir(parents=True)
        blobs.mkdir(exist_ok=True)
        for file in written.iterdir():
            shutil.move(file, blobs / f"{seed}-{file.name}")
            (snapshot / file.name).symlink_to(blobs / f"{seed}-{file.name}")
        (repository / "refs" / reference).write_text(commit)
    return repository


@pytest.mark.parametrize(
    ("source", "commit"), [("", MAIN), ("@main", MAIN), ("@v2", TAGGED), (f"@{TAGGED}", TAGGED), (f"@{MAIN}", MAIN)]
)
def test_a_revision_of_the_hub_is_the_one_that_is_loaded(source, commit, hub):
    found = TransformersGenerator.load(f"owner/name{source}")
    expected = TransformersGenerator.load(str(hub / "snapshots" / commit))
    assert torch.equal(
        found.encode_prompt(["a dog barks"]).embeddings, expected.encode_prompt(["a dog barks"]).embeddings
    )
    assert found.generate("rain", duration=0.1).generator == f"musicgen:owner/name{source}"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("owner/name@v3", "^cannot load 'owner/name@v3' from the model hub: no local copy, and no network"),
        ("owner/other", "^cannot load 'owner/other' from the model hub: no local copy, and no network"),
        ("owner/name@", "^no revision after the @ of 'owner/name@'; give a branch, tag or commit"),
        ("owner/name/more@v2", r"expected a folder in transformers format or a hub id OWNER/NAME\[@REVISION\]"),
    ],
)
def test_a_model_that_is_not_in_the_cache_is_one_sentence(source, sentence, hub):
    with pytest.raises(TagxaiError, match=sentence):
        TransformersGenerator.load(source)


def test_an_incomplete_copy_is_not_called_a_missing_one(hub):
    (hub / "snapshots" / TAGGED / "model.safetensors").unlink()
    with pytest.raises(TagxaiError, match=r"its local copy is incomplete or damaged \(.*\), and no network"):
        TransformersGenerator.load("owner/name@v2")


def test_a_revision_of_audiocrafts_format_is_the_one_that_is_loaded(
    hub, audiocraft_model, audiocraft_generator, monkeypatch
):
    repository = hub.parent / "models--owner--craft"
    snapshot = repository / "snapshots" / TAGGED
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "v2").write_text(TAGGED)
    for name in ("state_dict.bin", "compression_state_dict.bin"):
        (snapshot / name).symlink_to(audiocraft_model / name)
    monkeypatch.chdir(audiocraft_model)  # where its T5 lies
    found = load_generator("audiogen:owner/craft@v2").generate("rain", duration=0.1)
    assert torch.equal(found.record["codes"], audiocraft_generator.generate("rain", duration=0.1).record["codes"])
    with pytest.raises(TagxaiError, match="no local copy, and no network"):
        load_generator("audiogen:owner/craft")


def test_every_file_of_a_revision_is_asked_for_by_it(hub, monkeypatch):
    from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedModel

    asked = []
    for owner, name in ((AutoTokenizer, "from_pretrained"), (PreTrainedModel, "from_pretrained")):
        own = getattr(owner, name).__func__

        def spy(cls, *arguments, own=own, **options):
            asked.append(options.get("revision"))
            return own(cls, *arguments, **options)

        monkeypatch.setattr(owner, name, classmethod(spy))
    own_config = PreTrainedConfig.get_config_dict.__func__

    def config(cls, *arguments, **options):
        if arguments == ("owner/name",):
            asked.append(options.get("revision"))
        return own_config(cls, *arguments, **options)

    monkeypatch.setattr(PreTrainedConfig, "get_config_dict", classmethod(config))
    TransformersGenerator.load("owner/name@v2")
    assert len(asked) >= 3
    assert set(asked) <= {"v2", TAGGED}
