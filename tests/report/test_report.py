"""The page: self-contained, escaped, and made from the folder alone."""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import pytest
import soundfile
import torch

from tagxai import storage
from tagxai.errors import DamagedFileError
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.listening import Track, listen
from tagxai.report import write_report
from tagxai.report.audio import audio_texts


def save(attribution, folder, **more):
    return Explanation(attribution, **more).save(folder)


def tracks(attribution, *names):
    clip = attribution.generation
    return [Track(name, name.partition("-")[0], clip.seed, clip.waveform, clip.sample_rate) for name in names]


def page_of(folder):
    write_report(folder)
    return (folder / "report.html").read_text()


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page)[1])


class Tags(HTMLParser):
    """Collects the elements of a page, and checks that they are nested."""

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in {"meta", "img", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_asks_nothing_of_a_network(explanation, tmp_path):
    page = page_of(save(explanation, tmp_path, tracks=tracks(explanation, "factual")))
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r'id="data">.*?</script>', "", page))
    tags = Tags(page)
    assert not any(tags.all(tag) for tag in ("audio", "img", "link", "iframe"))
    assert not any("src" in script for script in tags.all("script"))


def test_the_page_allows_its_own_script_and_styles_and_nothing_else(explanation, tmp_path):
    page = page_of(save(explanation, tmp_path))
    policy = Tags(page).all("meta")[-1]["content"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for text in (
        re.search(r"<style>(.*?)</style>", page, re.S)[1],
        re.findall(r"<script>(.*?)</script>", page, re.S)[0],
    ):
        assert b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert not re.search(r"<[^>]+ (style|on\w+)=", page)


def test_a_hostile_prompt_is_only_text(explanation, tmp_path):
    bad = '</script><script>alert("1")</script>'
    generation = replace(
        explanation.generation,
        prompt=bad,
        tokens=(bad, *explanation.generation.tokens[1:]),
        spans=((0, len(bad)), *((len(bad), len(bad)) for _ in explanation.generation.tokens[1:])),
    )
    page = page_of(save(replace(explanation, generation=generation), tmp_path))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert len(Tags(page).all("script")) == 2


def test_every_clip_can_be_played(explanation, tmp_path):
    names = ("factual-1", "factual-2", "counterfactual-1", "counterfactual-2", "unconditional")
    page = page_of(save(explanation, tmp_path, tracks=tracks(explanation, *names)))
    clips = data_of(page)["clips"]
    assert [clip["title"] for clip in clips] == [
        *("Original", "Factual 1", "Factual 2", "Counterfactual 1", "Counterfactual 2", "Unconditional")
    ]
    for clip in clips:
        samples, rate = soundfile.read(BytesIO(b64decode(clip["audio"])), dtype="float32", always_2d=True)
        assert rate == explanation.generation.sample_rate
        torch.testing.assert_close(torch.from_numpy(samples.T), explanation.generation.waveform, atol=2e-5, rtol=0)


def test_long_clips_are_compressed_and_keep_their_place_in_time():
    ramp = torch.linspace(-0.8, 0.8, 1_000_000)[None]
    (text,), kind = audio_texts([(ramp + 0.1 * torch.randn(ramp.shape), 16_000)])
    assert kind == "audio/ogg"
    samples, rate = soundfile.read(BytesIO(b64decode(text)), dtype="float32")
    assert (len(samples), rate) == (1_000_000, 16_000)
    assert abs(samples[500_000 - 800 : 500_000 + 800].mean()) < 0.02


def test_the_page_holds_the_scores_as_they_are(explanation, tmp_path):
    several = replace(explanation, deviation=explanation.scores.abs() / 3)
    data = data_of(page_of(save(several, tmp_path, intervals=[(0.0, 0.4)])))
    (method,) = data["methods"]
    for name, expected in (("scores", several.scores), ("deviation", several.deviation)):
        found = torch.frombuffer(bytearray(b64decode(method[name])), dtype=torch.float32)
        assert torch.equal(found.reshape(expected.shape), expected)
    assert data["intervals"] == [[0.0, 0.4]]
    for by, units in (("word", several.words()), ("phrase", several.phrases()), ("token", several.tokens())):
        assert [unit["tokens"] for unit in data["units"][by]] == [list(unit.tokens) for unit in units]
        shown = "".join(text for text, _ in data["pieces"][by])
        assert shown.replace(" </s>", "") == several.generation.prompt


def test_without_a_script_the_table_has_the_scores_of_the_clip(explanation, tmp_path):
    page = page_of(save(explanation, tmp_path))
    for score in explanation.per_word():
        assert f'<td class="score">{score.score:.3f}<' in page


def test_a_folder_of_attribution_save_has_a_report_too(explanation, tmp_path):
    explanation.save(tmp_path)
    assert "Original" in page_of(tmp_path)


def test_a_saved_explanation_comes_back(generator, explanation, tmp_path):
    heard = listen(generator, explanation, repeats=2)
    assert [(track.name, track.seed) for track in heard] == [
        ("factual-1", 3),
        ("factual-2", 4),
        ("counterfactual-1", 3),
        ("counterfactual-2", 4),
        ("unconditional", 3),
    ]
    loaded = Explanation.load(save(explanation, tmp_path, intervals=[(0.2, 0.6)], tracks=heard, heard="heard: dog"))
    assert loaded.heard == "heard: dog"
    assert loaded.intervals == ((0.2, 0.6),)
    assert [(t.name, t.kind, t.seed) for t in loaded.tracks] == [(t.name, t.kind, t.seed) for t in heard]


def test_the_audio_of_an_earlier_explanation_goes(explanation, tmp_path):
    save(explanation, tmp_path, tracks=tracks(explanation, "factual-1", "factual-2"))
    save(explanation, tmp_path, tracks=tracks(explanation, "factual"))
    assert [file.name for file in tmp_path.glob("factual*")] == ["factual.flac"]


def test_counterfactual_audio_is_made_under_one_minus_the_mask(generator, explanation):
    factual, counterfactual, unconditional = listen(generator, explanation)
    clip, mask = explanation.generation, explanation.to_mask()

    def again(**options):
        return generator.generate(clip.prompt, duration=clip.duration, seed=clip.seed, **options).waveform

    assert (factual.waveform == again(mask=mask)).all()
    assert (counterfactual.waveform == again(mask=1 - mask)).all()
    assert (counterfactual.waveform != factual.waveform).any()
    assert (unconditional.waveform == again(branch="unconditional")).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"audio": ["../../etc/passwd"]}, "is not the name of a track"),
        ({"audio": ["factual.flac"]}, "factual.flac is missing"),
        ({"intervals": [{"start": 5, "end": 9}]}, "does not fit"),
        ({"intervals": [{}]}, "damaged"),
        ({"audio": 3}, "damaged"),
    ],
)
def test_a_changed_json_is_told(explanation, tmp_path, change, told):
    save(explanation, tmp_path)
    file = tmp_path / "explanation.json"
    content = json.loads(file.read_text()) | change
    del content["sha256"]["explanation.json"]
    content["sha256"]["explanation.json"] = storage.json_sha256(content)  # past the checksum, which has its own test
    file.write_text(json.dumps(content))
    with pytest.raises(DamagedFileError, match=told):
        write_report(tmp_path)
