"""One table of options, read by the plugin, the command and the documentation.

What *sets* something has an ini setting of the same name with underscores; what *does* something
(report, query, search …) has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["flag", "choice", "text", "path", "list", "bool"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name on the command line, its type, and whether an ini can set it.

    ``name`` has words joined by underscores: ``duplicates`` is ``--kepler-duplicates`` and
    ``kepler_duplicates``.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    ini: bool = False
    command_line: bool = True

    @property
    def flag(self) -> str:
        """The option as typed: ``--kepler-duplicates``."""
        return f"--kepler-{self.name.replace('_', '-')}"

    @property
    def setting(self) -> str:
        """The setting in ``[tool.pytest]`` or ``pytest.ini``: ``kepler_duplicates``."""
        return f"kepler_{self.name}"

    @property
    def ini_type(self) -> Literal["string", "args", "linelist", "bool"]:
        """The type that pytest parses the setting with."""
        if self.kind == "list":
            return "linelist"
        return "bool" if self.kind == "bool" else "string"


OPTIONS: Final = (
    Option(
        "report",
        "flag",
        "print the summary of the whole journal and exit; nothing is collected or run",
        default=False,
    ),
    Option(
        "where",
        "text",
        'print the runs that a filter selects and exit: "lr > 0.01 and accuracy > .9"',
        metavar="EXPR",
    ),
    Option(
        "search",
        "text",
        "print what mentions TEXT in names, hypotheses, notes, parameters or findings, and exit",
        metavar="TEXT",
    ),
    Option(
        "query",
        "text",
        "print the answer to read-only SQL over the journal's views and exit",
        metavar="SQL",
    ),
    Option(
        "format",
        "choice",
        "how reports and answers are printed",
        default="text",
        choices=("text", "markdown", "json"),
        ini=True,
    ),
    Option(
        "markdown",
        "path",
        "also write the report as Markdown to PATH, after a session or with --kepler-report",
        metavar="PATH",
    ),
    Option(
        "journal",
        "path",
        "the journal's file; default: .kepler/journal.duckdb in the nearest folder upwards "
        "that has .kepler, else in the rootdir",
        metavar="PATH",
        ini=True,
    ),
    Option(
        "duplicates",
        "choice",
        "what happens to a run that the journal already has: skip it, run it again, fail it, "
        "or require it (train nothing, fail what is missing)",
        default="skip",
        choices=("skip", "run", "fail", "require"),
        ini=True,
    ),
    Option(
        "gate",
        "choice",
        "whether a failed sanity test blocks the experiments that it guards, or only warns",
        default="block",
        choices=("block", "warn"),
        ini=True,
    ),
    Option(
        "baseline",
        "text",
        "the baseline that the session is compared with: a name in kepler-baseline.toml, "
        "or in the journal",
        default="main",
        metavar="NAME",
        ini=True,
    ),
    Option(
        "compare_fail",
        "list",
        "fail where a metric is worse than in the baseline by more than a tolerance: accuracy:1%, "
        "loss:0.01; repeatable",
        default=(),
        metavar="METRIC:TOLERANCE",
        ini=True,
    ),
    Option(
        "update_baseline",
        "flag",
        "write the results of this session's experiments into kepler-baseline.toml",
        default=False,
    ),
    Option(
        "smoke",
        "flag",
        "try every gate in full and then a few steps on a few rows, judge nothing, and keep a "
        "journal apart: does it run at all?",
        default=False,
    ),
    Option(
        "run",
        "flag",
        "run the experiments also where kepler_experiments is 'explicit'",
        default=False,
    ),
    Option(
        "experiments",
        "choice",
        "whether a plain pytest runs experiments, or only one that names them",
        default="run",
        choices=("run", "explicit"),
        ini=True,
        command_line=False,
    ),
    Option(
        "identity",
        "list",
        "parts of the environment that join a run's identity: libraries, python, device",
        default=(),
        ini=True,
        command_line=False,
    ),
    Option(
        "redact",
        "list",
        "patterns of parameter and variable names whose values are not written down",
        default=("*secret*", "*token*", "*password*", "*passwd*", "*api_key*", "*apikey*"),
        ini=True,
        command_line=False,
    ),
    Option(
        "diff",
        "bool",
        "whether the uncommitted difference of the repository is kept with a session",
        default=True,
        ini=True,
        command_line=False,
    ),
    Option(
        "share",
        "path",
        "a folder that a team shares, such as a mounted bucket: sessions are published there and "
        "taken in from there, and duplicates count across the team",
        metavar="PATH",
        ini=True,
        command_line=False,
    ),
    Option(
        "fsync",
        "choice",
        "when what was logged is forced onto the disk, for the case that the power fails: never, "
        "or at the end of each run",
        default="never",
        choices=("never", "end"),
        ini=True,
        command_line=False,
    ),
    Option(
        "rows",
        "bool",
        "whether findings may show rows of data outside the terminal",
        default=False,
        ini=True,
        command_line=False,
    ),
)

BY_NAME: Final = {option.name: option for option in OPTIONS}
#: What prints and exits, in the order in which it is looked for.
ACTIONS: Final = ("query", "where", "search", "report")


def option_table() -> str:
    """Return the table of options and settings that stands in the documentation, as Markdown."""
    lines = ["| option | setting | type | default | what it does |", "|---|---|---|---|---|"]
    for option in OPTIONS:
        flag = f"`{option.flag}{f' {option.metavar}' if option.metavar else ''}`"
        setting = f"`{option.setting}`" if option.ini else "–"
        kind = " \\| ".join(option.choices) if option.choices else option.kind
        default = option.default
        if isinstance(default, tuple):
            default = " ".join(default)
        shown = f"`{default}`" if default not in (None, "") and option.kind != "flag" else "–"
        text = option.help.replace("|", "\\|")
        cells = (flag if option.command_line else "–", setting, kind, shown, text)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
