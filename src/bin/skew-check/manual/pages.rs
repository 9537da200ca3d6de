//! What the command line doesn't say of itself.

/// A word and what it means.
type Entry = (&'static str, &'static str);

/// What is in the page of a command beside what its options say.
pub(super) struct Page {
    /// Its name; empty for the whole.
    pub(super) command: &'static str,
    pub(super) exit_status: &'static [Entry],
    pub(super) files: &'static [Entry],
    /// A sentence, and lines for a shell or a file.
    pub(super) examples: &'static [Entry],
    /// Pages of other programs, and their sections.
    pub(super) see_also: &'static [Entry],
}

pub(super) const VARIABLES: &str = "Options may be given by the environment. The command line comes first, then the environment, then \
                                    the file that --config names.";

pub(super) const ENVIRONMENT: &[Entry] = &[
    ("NO_COLOR", "If it is set, and isn't empty, no colours are used. --color always is stronger."),
    ("CLICOLOR_FORCE", "If it is set, and isn't 0, colours are used in a pipe, too."),
];

pub(super) const FILES: &[Entry] = &[(
    "the file of --config",
    "Values for options, as TOML: a table for each command, with the long names of options as keys. No file is read \
     that isn't named.",
)];

/// As the Monitoring Plugins guidelines have it.
const AS_A_PLUGIN: &[Entry] = &[
    ("0", "ok"),
    ("1", "warning"),
    ("2", "critical"),
    (
        "3",
        "unknown: no quorum, nothing reachable, inconclusive, wrong usage. Where several hold, critical comes before unknown, \
         and unknown before warning.",
    ),
];

const DONE_OR_NOT: &[Entry] = &[("0", "done"), ("3", "it couldn't be done, or wrong usage")];

const INVENTORY: Entry = (
    "the file of --inventory",
    "Hosts and what is expected of them, as TOML. What is at the top holds for all; a table [group.NAME] may say otherwise. Keys: \
     reference, upstreams, warning, critical, measures, labels, hosts.",
);

const CHRONY: &[Entry] = &[("chronyc", "1"), ("chronyd", "8")];

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "",
        exit_status: AS_A_PLUGIN,
        files: &[INVENTORY],
        examples: &[
            (
                "Is this host's clock right?",
                "skew-check probe ntp1.example.org ntp2.example.org ntp3.example.org ntp4.example.org",
            ),
            (
                "Which of these hosts' clocks are not?",
                "skew-check fleet --reference ntp1.example.org,ntp2.example.org,ntp3.example.org --inventory hosts.toml",
            ),
            ("See all of it without a network:", "skew-check demo"),
        ],
        see_also: CHRONY,
    },
    Page {
        command: "probe",
        exit_status: AS_A_PLUGIN,
        files: &[],
        examples: &[
            (
                "Compare this host's clock with four sources; three that agree outvote one that lies.",
                "skew-check probe ntp1.example.org ntp2.example.org ntp3.example.org ntp4.example.org",
            ),
            (
                "As a plugin of Nagios or Icinga, with thresholds of its own:",
                "skew-check probe --format nagios --warning 20ms --critical 200ms ntp1.example.org ntp2.example.org ntp3.example.org",
            ),
            (
                "For a program:",
                "skew-check probe --format json ntp1.example.org ntp2.example.org ntp3.example.org | jq .clock.offset_ns",
            ),
        ],
        see_also: CHRONY,
    },
    Page {
        command: "fleet",
        exit_status: AS_A_PLUGIN,
        files: &[
            INVENTORY,
            (
                "the file of --output",
                "The result. It is replaced when the new one is complete, never before; where there is none, it stays.",
            ),
        ],
        examples: &[
            (
                "An inventory:",
                "reference = [\"ntp1.example.org\", \"ntp2.example.org\", \"ntp3.example.org\"]\n\
                 upstreams = [\"10.0.0.1\", \"10.0.0.2\"]\n\
                 hosts = [\"bastion.example.org\"]\n\
                 \n\
                 [group.databases]\n\
                 warning = \"5ms\"\n\
                 hosts = [\"db1.example.org\", \"db2.example.org:1123\"]",
            ),
            (
                "Sweep it, and list those that are off, the farthest first:",
                "skew-check fleet --inventory hosts.toml --only skewed --sort skew",
            ),
            (
                "Hosts from another program, one a line:",
                "list-hosts | skew-check fleet --reference ntp1.example.org,ntp2.example.org,ntp3.example.org -",
            ),
            (
                "For the textfile collector of Prometheus' node_exporter, from a timer:",
                "skew-check fleet --inventory hosts.toml --format prometheus --output /var/lib/prometheus/node-exporter/skew.prom",
            ),
            ("A picture:", "skew-check fleet --inventory hosts.toml --format svg --output fleet.svg"),
        ],
        see_also: CHRONY,
    },
    Page {
        command: "explain",
        exit_status: &[
            ("0", "the code would be accepted"),
            ("1", "it would not"),
            ("3", "unknown: the time isn't known, or not well enough to tell, or wrong usage"),
        ],
        files: &[
            (
                "the file of --secret-file",
                "The token's secret: base32, hexadecimal digits, or an otpauth:// URI. Others than its owner should not be able to read it.",
            ),
            (
                "the file of --state",
                "What the validator knows of the token: its line of an export, or a whole export.",
            ),
        ],
        examples: &[
            (
                "Why was 081804 refused at two o'clock?",
                "skew-check explain --secret-file secret --clock-error 1s --at 2005-03-18T02:00:50Z 081804",
            ),
            (
                "The same, measuring this host's clock instead of stating how right it is, and with what the validator has learned:",
                "skew-check explain --secret-file secret --state export.jsonl --token ada \\\n    \
                 --source ntp1.example.org --source ntp2.example.org --source ntp3.example.org 081804",
            ),
        ],
        see_also: &[],
    },
    Page {
        command: "respond",
        exit_status: &[
            ("0", "it was told to stop by SIGINT, SIGTERM or SIGHUP"),
            ("3", "it can't listen there, or wrong usage"),
        ],
        files: &[],
        examples: &[
            (
                "Let a monitor at 10.0.0.5 read this host's clock:",
                "skew-check respond --listen 0.0.0.0:123 --allow 10.0.0.5/32",
            ),
            (
                "Without a privilege, and without a claim that anybody sets this clock:",
                "skew-check respond --listen 127.0.0.1:1123 --unsynchronised",
            ),
        ],
        see_also: CHRONY,
    },
    #[cfg(feature = "watch")]
    Page {
        command: "watch",
        exit_status: &[
            ("0", "it was told to stop by SIGINT or SIGTERM"),
            (
                "3",
                "it couldn't start or go on: the inventory, the database or the address is at fault, or wrong usage",
            ),
            ("with --once", "that of skew-check-fleet(1)"),
        ],
        files: &[
            INVENTORY,
            (
                "the file of --database",
                "The history, bounded in size and age. One process at a time writes to it.",
            ),
        ],
        examples: &[(
            "Sweep every minute, keep the history, and serve a page, metrics and JSON on loopback:",
            "skew-check watch --inventory hosts.toml --database history.redb --every 1m --listen 127.0.0.1:9124",
        )],
        see_also: &[("chronyd", "8"), ("prometheus", "1"), ("systemd.service", "5")],
    },
    Page {
        command: "demo",
        exit_status: DONE_OR_NOT,
        files: &[],
        examples: &[("From lying time servers to a login, on loopback:", "skew-check demo")],
        see_also: &[],
    },
    Page {
        command: "completions",
        exit_status: DONE_OR_NOT,
        files: &[],
        examples: &[
            (
                "For bash, for one user:",
                "mkdir -p ~/.local/share/bash-completion/completions\n\
                 skew-check completions bash > ~/.local/share/bash-completion/completions/skew-check",
            ),
            (
                "For zsh, in a directory of $fpath:",
                "skew-check completions zsh > \"${fpath[1]}/_skew-check\"",
            ),
            ("For fish:", "skew-check completions fish > ~/.config/fish/completions/skew-check.fish"),
        ],
        see_also: &[("bash", "1")],
    },
    Page {
        command: "man",
        exit_status: DONE_OR_NOT,
        files: &[],
        examples: &[
            ("Read a page without installing it:", "skew-check man fleet | man -l -"),
            ("Install all of them:", "skew-check man --directory /usr/local/share/man/man1"),
        ],
        see_also: &[("man", "1")],
    },
];
