"""The sentence that `tagxai explain` stops with."""

from record_access import command


def refused(tmp_path, spec, *options, prompt="a dog barks"):
    """The sentence that `tagxai explain` stops with."""
    out = tmp_path / "out" / "deeper"
    result = command("explain", prompt, "-g", spec, "-m", "cross_attention", "-d", "0.2", "-o", out, *options)
    assert result.exit_code == 2, result.output
    assert not (tmp_path / "out").exists()
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    return " ".join(lines)
