"""`tagxai generate`: clips of lists, which are resumed."""

import re
import signal

import pytest
from cli_helpers import run

from tagxai.cli import generate as generate_command
from tagxai.errors import TagxaiError
from tagxai.text.lists import read_prompts


def generate(source, out, *options):
    return run("generate", source, "--duration", "0.2", "--out", out, *options)


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text('audiocap_id,youtube_id,start_time,caption\n1,a,0,"rain, falls"\n2,b,0,a dog\n3,c,0,a bell\n')
    return file


def test_generate_makes_audio_codes_and_json_of_each_prompt(loads, prompts, tmp_path):
    result = generate(prompts, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "made 3, already there 0, failed 0" in result.stdout
    endings = sorted(file.suffix for file in (tmp_path / "out").iterdir())
    assert endings == [".csv", *[".flac"] * 3, *[".json"] * 3, *[".safetensors"] * 3]
    index = (tmp_path / "out" / "index.csv").read_text().splitlines()
    assert index[0] == "line,prompt,seed,clip,error"
    assert re.fullmatch(r'2,"rain, falls",0,rain-falls-\w+\.flac,', index[1])


def test_a_second_run_makes_nothing(loads, prompts, tmp_path):
    generate(prompts, tmp_path / "out")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.[fs]*")}
    result = generate(prompts, tmp_path / "out")
    assert "made 0, already there 3" in result.stdout
    assert before == {file: file.stat().st_mtime_ns for file in before}


@pytest.mark.parametrize("suffix", [".flac", ".safetensors", ".json"])
@pytest.mark.parametrize("harm", ["delete", "truncate"])
def test_only_what_was_lost_is_made_again(loads, prompts, tmp_path, suffix, harm):
    generate(prompts, tmp_path / "out")
    (lost,) = (tmp_path / "out").glob(f"a-dog*{suffix}")
    content = lost.read_bytes()
    lost.unlink() if harm == "delete" else lost.write_bytes(content[:50])
    assert "made 1, already there 2" in generate(prompts, tmp_path / "out").stdout
    if suffix != ".json":  # which says how long it took
        assert lost.read_bytes() == content


def test_files_that_were_exchanged_are_made_again(loads, prompts, tmp_path):
    generate(prompts, tmp_path / "out")
    for suffix in (".json", ".flac", ".safetensors"):
        (dog,), (bell,) = ((tmp_path / "out").glob(f"a-{what}*{suffix}") for what in ("dog", "bell"))
        bell.write_bytes(dog.read_bytes())
        assert "made 1, already there 2" in generate(prompts, tmp_path / "out").stdout, suffix


def test_other_settings_make_other_clips(loads, tmp_path):
    for options in ([], ["--seed", "1"], ["--top-k", "5"], ["--temperature", "0.5"], ["--guidance-scale", "1"]):
        assert "made 1" in generate("a dog", tmp_path, *options).stdout
    assert "made 1, already there 2" in generate("a dog", tmp_path, "--repeats", 3).stdout
    assert len(list(tmp_path.glob("*.flac"))) == 6


def test_an_interrupted_run_goes_on(loads, prompts, tmp_path, monkeypatch):
    write, made = generate_command.write, []

    def stop_at_second(job, *arguments):
        if made:
            signal.raise_signal(signal.SIGINT)
        made.append(job)
        write(job, *arguments)

    monkeypatch.setattr(generate_command, "write", stop_at_second)
    assert generate(prompts, tmp_path / "out").exit_code == 130
    monkeypatch.setattr(generate_command, "write", write)
    assert "made 2, already there 1" in generate(prompts, tmp_path / "out").stdout


def test_one_bad_prompt_is_told_and_the_rest_is_made(loads, tmp_path):
    source = tmp_path / "prompts.csv"
    source.write_text("prompt\na dog\n  \na bell\n")
    for made in ("made 2, already there 0", "made 0, already there 2"):
        result = generate(source, tmp_path / "out")
        assert result.exit_code == 1
        assert f"{made}, failed 1" in result.stdout
        assert "line 3: the prompt is empty" in result.stderr


def test_limit_takes_the_first_prompts(loads, prompts, tmp_path):
    assert "made 2" in generate(prompts, tmp_path / "out", "--limit", 2).stdout


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"text\nx\n", "has no column 'prompt' or 'caption'; its first line has: 'text'"),
        ("a.csv", b"", "holds no prompts"),
        ("a.csv", b"caption\n", "holds no prompts"),
        ("a.csv", b"caption\na dog\ncaf\xe9\n", "line 3: byte 0xe9 is not UTF-8"),
        ("a.csv", b'caption\n"a dog\n', "line 2"),
        ("a.txt", b"\n\n", "holds no prompts"),
    ],
)
def test_an_unreadable_list_is_told(name, content, told, nothing_is_made, tmp_path):
    (tmp_path / name).write_bytes(content)
    result = generate(tmp_path / name, tmp_path / "out")
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_list_that_is_not_there_is_told(nothing_is_made, tmp_path):
    assert "a.csv' does not exist" in generate(tmp_path / "a.csv", tmp_path / "out").stderr


def test_a_duration_that_the_model_cannot_make_ends_the_run(loads, prompts, tmp_path):
    result = run("generate", prompts, "--duration", 99, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "cannot make 99 s" in result.stderr


def test_lists_are_read_in_each_layout(tmp_path):
    def read(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_prompts(tmp_path / name)

    assert read("a.csv", "\ufeffCaption \nx\n\ny\n") == [("x", 2), ("y", 4)]
    assert read("a.csv", 'id,prompt\n1,"two\nlines"\n2,y\n3\n') == [("two\nlines", 2), ("y", 4), ("", 5)]
    assert read("a.csv", "caption,id\nx\u2028y,1\n") == [("x\u2028y", 2)]  # no end of a row
    assert read("a.tsv", "id\tcaption\n1\tx, y\n") == [("x, y", 2)]
    assert read("a.txt", "x\n\ny\n\n") == [("x", 1), ("", 2), ("y", 3)]
    with pytest.raises(TagxaiError, match="does not exist"):
        read_prompts(tmp_path)
