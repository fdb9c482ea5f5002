"""A broken plugin is reported with its name and the way to switch it off; everything that does not need it works."""

import os
import sys
import textwrap
import warnings
from importlib.metadata import entry_points

import pytest

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.registering.plugins import DISABLE
from tagxai.registering.registry import PluginWarning, load

METHOD = """
from dataclasses import dataclass
import tagxai
from tagxai import hookimpl, Method, Metric

@dataclass(frozen=True)
class Fine(Method):
    '''A method that works.'''
    name = "fine"
    def explain(self, run): ...

class Measure(Metric):
    '''A metric that works.'''
    name, family, higher_is_better, bounds = "measure", "mine", True, (0, 1)
    def score(self, generator, generation, attribution): return 0.0
"""
GOOD = METHOD + "@hookimpl\ndef tagxai_methods(): return [Fine]\n"


def hook(body, kind="methods"):
    return METHOD + textwrap.dedent(body) + f"\n@hookimpl\ndef tagxai_{kind}(): return CLASSES\n"


BROKEN = {
    "raises at import": ("1 / 0", "its import failed: ZeroDivisionError: division by zero"),
    "has a syntax error": ("def", "its import failed: SyntaxError"),
    "imports what is not installed": ("import no_such_thing", "No module named 'no_such_thing'"),
    "exits at import": ("import sys; sys.exit(0)", "its import failed: it tried to end the program (SystemExit: 0)"),
    "exits hard at import": ("import os; os._exit(0)", "its import failed: it called os._exit(0)"),
    "raises no Exception at import": ("raise GeneratorExit", "its import failed: GeneratorExit"),
    "raises KeyboardInterrupt at import": (
        "raise KeyboardInterrupt",
        "its import failed: it raised KeyboardInterrupt, although nobody pressed Ctrl-C",
    ),
    "raises an error of its own base at import": (
        "class Odd(BaseException): ...\nraise Odd('x')",
        "import failed: Odd: x",
    ),
    "is cancelled at import": ("import asyncio; raise asyncio.CancelledError", "its import failed: CancelledError"),
    "raises KeyboardInterrupt when asked": (
        METHOD + "@hookimpl\ndef tagxai_methods(): raise KeyboardInterrupt",
        "its methods failed: it raised KeyboardInterrupt",
    ),
    "recurses at import": ("def f(): f()\nf()", "its import failed: RecursionError"),
    "raises when asked": (METHOD + "@hookimpl\ndef tagxai_methods(): raise KeyError('x')", "its methods failed: KeyE"),
    "exits when asked": (METHOD + "@hookimpl\ndef tagxai_methods(): exit(0)", "its methods failed: it tried to end"),
    "exits hard when asked": (
        METHOD + "import os\n@hookimpl\ndef tagxai_methods(): os._exit(0)",
        "its methods failed: it called os._exit(0)",
    ),
    "returns nothing": (METHOD + "@hookimpl\ndef tagxai_methods(): pass", "its methods failed: TypeError"),
    "yields and raises": (
        METHOD + "@hookimpl\ndef tagxai_methods():\n yield Fine\n raise ValueError('late')",
        "its methods failed: ValueError: late",
    ),
    "misspells its hook": (
        METHOD + "@hookimpl\ndef tagxai_metods(): return [Fine]",
        "a hook that tagxai does not have",
    ),
    "forgets the mark": (METHOD + "def tagxai_methods(): return [Fine]", "tagxai_methods without @hookimpl"),
    "registers nothing": (METHOD, "registers nothing"),
    "takes arguments": (METHOD + "@hookimpl\ndef tagxai_methods(config): return [Fine]", "its hooks failed: PluginVal"),
    "registers an instance": (hook("CLASSES = [Fine()]"), "an instance of Fine; expected Method classes with a name"),
    "registers text": (hook("CLASSES = ['fine']"), "registers 'fine'; expected Method classes with a name"),
    "registers another kind": (hook("CLASSES = [Measure]"), "expected Method classes with a name"),
    "registers a nameless class": (
        hook("class No(Fine): name = None\nCLASSES = [No]"),
        "registers No, which has no name",
    ),
    "registers a name of a number": (
        hook("class No(Fine): name = 3\nCLASSES = [No]"),
        "registers No, which has no name",
    ),
    "has a colon in its name": (hook("class No(Fine): name = 'a:b'\nCLASSES = [No]"), "under the name 'a:b'"),
    "has a comma in its name": (hook("class No(Fine): name = 'a,b'\nCLASSES = [No]"), "under the name 'a,b'"),
    "has a slash in its name": (hook("class No(Fine): name = 'a/b'\nCLASSES = [No]"), "under the name 'a/b'"),
    "has a bracket in its name": (hook("class No(Fine): name = 'a(b)'\nCLASSES = [No]"), "under the name 'a(b)'"),
    "has an empty name": (hook("class No(Fine): name = ''\nCLASSES = [No]"), "under the name ''"),
    "has an escape code in its name": (
        hook("class No(Fine): name = '\\x1b[2J'\nCLASSES = [No]"),
        "under the name '\\x1b",
    ),
    "is called all": (hook("class No(Fine): name = 'all'\nCLASSES = [No]"), "is not 'all'"),
    "is abstract": (hook("class No(Method): name = 'no'\nCLASSES = [No]"), "whose class No lacks explain"),
    "repeats a name": (hook("class No(Fine): pass\nCLASSES = [Fine, No]"), "registers the method 'fine' twice"),
    "has no family": (hook("class No(Measure): family = ''\nCLASSES = [No]", "metrics"), "without a family"),
    "has no bounds": (hook("class No(Measure): bounds = None\nCLASSES = [No]", "metrics"), "without bounds"),
    "has bounds of NaN": (
        hook("class No(Measure): bounds = (0, float('nan'))\nCLASSES = [No]", "metrics"),
        "without bounds",
    ),
    "has no direction": (
        hook("class No(Measure): higher_is_better = None\nCLASSES = [No]", "metrics"),
        "without higher",
    ),
    "raises what cannot be printed": (
        "class Odd(Exception):\n def __str__(self): raise SystemExit(9)\nraise Odd",
        "its import failed: Odd: an error that cannot be printed",
    ),
    "raises a book": ("raise ValueError('x' * 1_000_000)", "x ..."),
    "raises a group": ("raise BaseExceptionGroup('two', [KeyboardInterrupt()])", "BaseExceptionGroup: two"),
    "never stops registering": (
        METHOD + "import itertools\n@hookimpl\ndef tagxai_methods(): return itertools.repeat(Fine)",
        "registers more than 1000 methods, or has no end of them",
    ),
    "closes stdout and stderr": ("import os; os.close(1); os.close(2); 1 / 0", "ZeroDivisionError"),
    "has a docstring of a number": (hook("class No(Fine): pass\nNo.__doc__ = 3\nCLASSES = [No]"), "docstring = 3; exp"),
    "has a docstring that exits": (
        hook(
            """
            class Meta(type(Method)):
                __doc__ = property(lambda cls: exit(0))
            class No(Fine, metaclass=Meta): pass
            CLASSES = [No]
            """
        ),
        "a class that cannot be inspected",
    ),
    "has a family of a number": (hook("class No(Fine): family = 3\nCLASSES = [No]"), "family = 3; expected text"),
    "has a cost that raises": (
        hook(
            """
            class Meta(type(Method)):
                expense = property(lambda cls: 1 / 0)
            class No(Fine, metaclass=Meta): pass
            CLASSES = [No]
            """
        ),
        "a class that cannot be inspected",
    ),
    "needs a number": (hook("class No(Fine): needs = 3\nCLASSES = [No]"), "needs = 3; expected a set of texts"),
    "needs numbers": (hook("class No(Measure): needs = {3}\nCLASSES = [No]", "metrics"), "needs = {3}; expected a set"),
    "has a hostile metaclass": (
        hook(
            """
            class Meta(type(Method)):
                def __getattribute__(cls, name):
                    if name == "name": raise SystemExit(0)
                    return super().__getattribute__(name)
            class No(Fine, metaclass=Meta): pass
            CLASSES = [No]
            """
        ),
        "a class that cannot be inspected",
    ),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a package with an entry point, as pip would have left it on the path; no other plugins are in use."""
    monkeypatch.setenv(DISABLE, ",".join(sorted({str(entry.dist.name) for entry in entry_points(group="tagxai")})))
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(name, source, entry=None):
        module = name.replace("-", "_") + "_module"
        (tmp_path / f"{module}.py").write_text(source)
        about = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[tagxai]\n{name} = {entry or module}\n")

    yield make
    for name in set(sys.modules) - before:
        if name.endswith("_module"):
            del sys.modules[name]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_an_error_only_where_it_is_asked_for(kind, install):
    source, said = BROKEN[kind]
    install("broken-plugin", source)
    install("good-plugin", GOOD.replace('"fine"', '"finer"'))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what needs no plugin does not even load one
        found = load()
        assert found.method("audiogenx").name == "audiogenx"
        assert found.metric("mask_size").name == "mask_size"
        assert not found.problems
    with pytest.warns(PluginWarning) as warned:
        assert found.method("finer").__name__ == "Fine"
    assert [str(each.message) for each in warned] == found.problems
    (told,) = found.problems
    assert said in told
    assert told.startswith("plugin broken-plugin 1.0 ")
    assert told.endswith(f"(fix or uninstall it, or set {DISABLE}=broken-plugin)")
    assert "finer" in found.methods
    with pytest.raises(TagxaiError, match=r"no method named 'broken-plugin/x': plugin broken-plugin 1\.0"):
        found.method("broken-plugin/x")
    with pytest.raises(UnknownNameError, match=r"plugins with problems: broken-plugin 1\.0"):
        found.method("no_such_method")


@pytest.mark.parametrize("entry", ["broken_plugin_module:nothing", "no.such.module", "1:2:3", "broken_plugin_module:"])
def test_an_entry_point_that_leads_nowhere_is_reported(entry, install):
    install("broken-plugin", GOOD, entry)
    with pytest.warns(PluginWarning, match=r"plugin broken-plugin 1\.0 "):
        assert "audiogenx" in load().methods


def test_the_good_classes_of_a_plugin_with_a_bad_one_are_registered(install):
    install("half-good", hook("class No(Method): name = 'no'\nCLASSES = [No, Fine]"))
    with pytest.warns(PluginWarning, match="lacks explain"):
        assert load().method("fine").__name__ == "Fine"


@pytest.mark.parametrize(
    ("value", "off"),
    [
        ("all", {"one-plugin", "other-plugin"}),
        ("1", {"one-plugin", "other-plugin"}),
        ("one-plugin", {"one-plugin"}),
        ("One_Plugin", {"one-plugin"}),
        (" one.plugin , other-plugin,", {"one-plugin", "other-plugin"}),
        ("", set()),
        ("one", set()),
    ],
)
def test_plugins_are_switched_off_by_the_names_of_their_distributions(value, off, install, monkeypatch):
    for name in ("one-plugin", "other-plugin"):
        install(name, GOOD.replace('"fine"', f'"{name}"'))
    monkeypatch.setenv(DISABLE, value)
    assert {"one-plugin", "other-plugin"} - set(load().methods) == off


def test_unreadable_metadata_of_some_package_stops_nothing(install, tmp_path):
    install("good-plugin", GOOD)
    about = tmp_path / "rotten-1.0.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_bytes(b"[tagxai]\nx = \xff\xfe\n[[[")
    assert "fine" in load().methods


@pytest.mark.parametrize(
    "misdeed",
    [
        "import os; os.chdir('/')",
        "import os; os.environ['OMP_NUM_THREADS'] = '77'",
        "import torch; torch.set_default_dtype(torch.float64)",
        "import torch; torch.manual_seed(5)",
        "import numpy; numpy.random.seed(5)",
        "import torch; torch.softmax = None",
        "import math; math.isfinite = lambda x: True",
        "import sys; sys.stdout = None",
        "from tagxai.methods.cross_attention import CrossAttention; CrossAttention.explain = None",
        "from tagxai.contract.generator import Generator; Generator.decode = None",
        "import tagxai.storage; tagxai.storage.whole_file = None",
        "from tagxai.benchmark.controls import CONTROLS; CONTROLS.clear()",
        "import torch; torch.use_deterministic_algorithms(True)",
        "import os; os.write(1, b'{')",
        "print('{')",
    ],
)
def test_what_an_import_changes_of_the_process_is_put_back(misdeed, install, monkeypatch, capfd):
    import math

    import numpy
    import torch

    import tagxai.storage
    from tagxai.benchmark.controls import CONTROLS
    from tagxai.contract.generator import Generator
    from tagxai.methods.cross_attention import CrossAttention

    def state():
        return [
            *(os.getcwd(), dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist()),
            *(numpy.random.get_state()[1].tolist(), torch.softmax, math.isfinite, sys.stdout),
            *(CrossAttention.explain, Generator.decode, tagxai.storage.whole_file, list(CONTROLS)),
            torch.are_deterministic_algorithms_enabled(),
        ]

    install("rude-plugin", misdeed + "\n" + GOOD)
    found = load()
    load(entry_points=False).methods  # noqa: B018 (the built-ins are imported, as in any process)
    before = state()
    assert found.method("fine").__name__ == "Fine"
    assert state() == before
    assert capfd.readouterr().out == ""
