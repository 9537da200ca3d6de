//! Names, labels and reference identifiers that would drive a terminal, a browser or a monitoring system, in every output; and
//! inventories that are wrong in every way.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use skewgate::clock::Leap;
use skewgate::ntp::{ReferenceId, Responder, Script};
use support::scripted::serve;

/// Groups and labels may say anything that has no control characters in it.
const NAMES: [&str; 9] = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    "<!--<script>",
    "]]><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>&amp;&#x3c;",
    "| offset=0s;;; 'x'=1",
    "turned \u{202e}round\u{2066} and \u{200b}hidden\u{feff}",
    "line\u{2028}separator",
    "{{constructor.constructor('alert(1)')()}} ${jndi:ldap://x} %n%s \\u001b[2J",
];

/// What a server may say that it follows; at stratum 1 it is text, at higher ones an address.
const REFERENCE_IDS: [[u8; 4]; 8] = [
    *b"\x1b[2J",
    *b"<b>\"",
    *b"|;'=",
    *b"\n\r\t ",
    *b"\x9b2J\x07",
    *b"&lt;",
    [0xe2, 0x80, 0xae, b'x'],
    [0xff; 4],
];

struct Fleet {
    hosts: Vec<Responder>,
    reference: Responder,
}

impl Fleet {
    fn new() -> Self {
        let said = |stratum| {
            REFERENCE_IDS.into_iter().map(move |id| {
                serve(Script { stratum, reference_id: ReferenceId::from_bytes(id), ..Script::default() })
            })
        };
        let odd = [
            // A kiss with a code that nobody knows, and garbage in place of a packet.
            Script { stratum: 0, reference_id: ReferenceId::from_bytes(*b"\x1b]0;"), ..Script::default() },
            Script {
                leap: Leap::Unsynchronised,
                stratum: 0,
                reference_id: ReferenceId::from_bytes(*b"<i>\0"),
                ..Script::default()
            },
            Script::rewriting(|_, _| vec![b"\x1b[2J<script>".to_vec()]),
        ];
        let hosts = said(1).chain(said(3)).chain(odd.map(serve)).collect();
        let id = ReferenceId::from_bytes(*b"\x1b<'|");
        Self { hosts, reference: serve(Script { stratum: 1, reference_id: id, ..Script::default() }) }
    }

    /// Its hosts in groups of these names, with labels of these values.
    fn inventory(&self, names: &[&str]) -> tempfile::NamedTempFile {
        let mut text =
            format!("reference = ['{}']\nupstreams = ['clock:GPS', '192.0.2.1']\n", self.reference.address());
        for (index, name) in names.iter().enumerate() {
            let hosts = self
                .hosts
                .iter()
                .skip(index)
                .step_by(names.len())
                .map(|host| format!("'{}'", host.address()));
            // TOML's own way of writing whatever it is.
            let name: String = name.chars().map(|c| format!("\\U{:08X}", u32::from(c))).collect();
            let hosts = hosts.collect::<Vec<_>>().join(", ");
            text.push_str(&format!(
                "[group.\"{name}\"]\nlabels = {{ note = \"{name}\" }}\nhosts = [{hosts}]\n"
            ));
        }
        file(text.as_bytes())
    }

    fn shown(&self, names: &[&str], format: &str) -> (String, String) {
        let inventory = self.inventory(names);
        let path = inventory.path().to_str().expect("UTF-8");
        // With colours forced, as on a terminal: otherwise every escape would be dropped on the way out.
        let options = ["--format", format, "-v", "--color", "always"];
        let output = fleet(&[&["--inventory", path], &options[..]].concat(), None);
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
        (out, err)
    }
}

fn file(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text).expect("room for a file");
    file
}

fn fleet(options: &[&str], input: Option<&[u8]>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args(["fleet", "--samples", "2", "--interval", "10ms", "--timeout", "150ms", "--allow-single"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // It may end before it has read it.
    let _ = child.stdin.take().expect("a pipe").write_all(input.unwrap_or_default());
    child.wait_with_output().expect("its end")
}

/// What a terminal would obey or hide, beside line breaks and colours of our own.
fn obeyed(text: &str) -> Option<char> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        rest = after.get(end..).and_then(|rest| rest.strip_prefix('m')).unwrap_or("\x1b");
    }
    plain.push_str(rest);
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    plain.chars().find(|c| (c.is_control() && *c != '\n') || hidden(*c))
}

#[test]
fn what_a_terminal_would_obey_is_found() {
    assert_eq!(obeyed("\x1b[1m\x1b[31;1mred\x1b[0m\n"), None);
    for (text, c) in [
        ("\x1b[2J", '\x1b'),
        ("\x1b]0;x", '\x1b'),
        ("a\rb", '\r'),
        ("\u{202e}", '\u{202e}'),
        ("\u{9b}", '\u{9b}'),
    ] {
        assert_eq!(obeyed(text), Some(c));
    }
}

#[test]
fn text_drives_no_terminal() {
    let (out, err) = Fleet::new().shown(&NAMES, "text");
    assert!(out.contains("turned \\u{202e}round"), "{out}");
    // Each host on a line of its own.
    assert_eq!(out.lines().filter(|line| line.starts_with(" 127.0.0.1:")).count(), 19, "{out}");
    assert_eq!((obeyed(&out), obeyed(&err)), (None, None), "{out}\n{err}");
}

#[test]
fn json_is_one_line_and_says_what_was_there() {
    let (out, err) = Fleet::new().shown(&NAMES, "json");
    assert_eq!((out.lines().count(), obeyed(&err)), (1, None));
    assert!(!out.trim_end().contains(|c: char| c.is_ascii_control()), "{out}");
    let value: Value = serde_json::from_str(&out).expect("JSON");
    let hosts = value["hosts"].as_array().expect("a list");
    let groups: BTreeSet<&str> = hosts.iter().filter_map(|host| host["group"].as_str()).collect();
    assert_eq!(groups, NAMES.into());
    for host in hosts {
        for field in ["reference_id", "reason"] {
            let text = host[field].as_str().unwrap_or_default();
            assert!(obeyed(text).is_none(), "{host}");
        }
    }
}

/// `'label'=value[unit];[warn];[crit];[min];[max]`, as the Monitoring Plugins guidelines have it.
#[test]
fn nagios_is_one_line_with_one_bar_and_figures_behind_it() {
    let (out, err) = Fleet::new().shown(&NAMES, "nagios");
    assert_eq!((out.lines().count(), obeyed(&out), obeyed(&err)), (1, None, None), "{out}");
    let (sentence, figures) = out.trim_end().split_once(" | ").expect("a bar");
    assert!(sentence.starts_with("SKEW ") && !figures.contains('|'), "{out}");
    for figure in figures.split(' ') {
        let (label, rest) = figure.split_once('=').unwrap_or_else(|| panic!("{figure}"));
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !label.is_empty(), "{figure}");
        let mut fields = rest.split(';');
        let value = fields.next().expect("a value").trim_end_matches('s');
        assert!(value == "U" || value.parse::<f64>().is_ok(), "{figure}");
        let limits: Vec<&str> = fields.collect();
        assert!(
            limits.len() <= 4 && limits.iter().all(|limit| limit.is_empty() || limit.parse::<f64>().is_ok()),
            "{figure}"
        );
    }
}

/// The value of a label, with what is escaped in it undone: back slash, quote and new line.
fn label(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("{name}=\""))?;
    let mut value = String::new();
    let mut rest = rest.chars();
    loop {
        match rest.next()? {
            '"' => return Some(value),
            '\\' => value.push(match rest.next()? {
                'n' => '\n',
                c => c,
            }),
            c => value.push(c),
        }
    }
}

#[test]
fn prometheus_reads_labels_as_they_were_written() {
    let (out, err) = Fleet::new().shown(&NAMES, "prometheus");
    assert!(obeyed(&err).is_none(), "{err}");
    let states: Vec<&str> =
        out.split('\n').filter(|line| line.starts_with("skew_check_host_state{")).collect();
    assert_eq!(states.len(), 19);
    for name in ["group", "note"] {
        let labels: BTreeSet<String> = states.iter().filter_map(|line| label(line, name)).collect();
        assert_eq!(labels, NAMES.map(str::to_owned).into(), "{name}");
    }
}

/// The elements and attributes of a picture.
fn structure(document: &roxmltree::Document<'_>) -> BTreeSet<String> {
    let elements = document.descendants().filter(roxmltree::Node::is_element);
    elements
        .flat_map(|node| {
            let name = node.tag_name().name().to_owned();
            let attributes =
                node.attributes().map(|attribute| format!("{name} {}", attribute.name())).collect::<Vec<_>>();
            std::iter::once(name.clone()).chain(attributes)
        })
        .collect()
}

#[test]
fn svg_has_no_element_and_no_attribute_that_was_not_drawn() {
    let fleet = Fleet::new();
    let [hostile, harmless] = [&NAMES[..], &["web", "mail"]].map(|names| fleet.shown(names, "svg").0);
    let [hostile, harmless] = [&hostile, &harmless].map(|svg| {
        structure(&roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}: {svg}")))
    });
    assert_eq!(hostile, harmless);
    for never in ["script", "a", "image", "foreignObject", "use"] {
        assert!(!hostile.contains(never), "{hostile:?}");
    }
    assert!(hostile.iter().all(|name| !name.contains(" on") && !name.ends_with("href")), "{hostile:?}");
}

#[test]
fn html_holds_them_as_data_that_ends_nowhere_early() {
    let fleet = Fleet::new();
    let [hostile, harmless] = [&NAMES[..], &["web", "mail"]].map(|names| fleet.shown(names, "html").0);
    let data = |page: &str| {
        let (before, rest) = page.split_once("type=\"application/json\"").expect("data");
        let (tag, rest) = rest.split_once('>').expect("its beginning");
        let (data, after) = rest.split_once("</script>").expect("its end");
        (data.to_owned(), format!("{before}{tag}{after}"))
    };
    let ((said, rest), (_, harmless)) = (data(&hostile), data(&harmless));
    // All that a browser reads as a document is the same, whatever the hosts are called.
    assert_eq!(rest, harmless);
    assert!(!said.contains('<') && !said.contains("-->"), "{said}");
    let value: Value = serde_json::from_str(&said).expect("JSON");
    let groups: BTreeSet<&str> =
        value["hosts"].as_array().expect("a list").iter().filter_map(|host| host["group"].as_str()).collect();
    assert_eq!(groups, NAMES.into());
}

/// No host and no source is called so, and nobody who is told hears it.
#[test]
fn names_that_are_none_are_refused_and_not_repeated() {
    let long = "a".repeat(70_000);
    for name in [
        "\x1b[2J",
        "a\nb",
        "<script>",
        "a b",
        "a|b",
        "a;reboot",
        "$(reboot)",
        "`reboot`",
        "a\"b",
        "ho\u{202e}st",
        "h\u{f6}st",
        "../etc",
        "a..b",
        ".",
        "-",
        "[::1",
        "[::1]:0",
        "a:99999",
        "127.0.0.1:ntp",
        "fe80::1%<b>",
        &long,
    ] {
        for (options, input) in [
            (vec!["--reference", "127.0.0.1:1", "--", name], None),
            (vec!["--reference", "127.0.0.1:1", "-"], Some(name)),
            (vec!["--reference", name, "127.0.0.1:1"], None),
        ] {
            // "-" is standard input, and there is nothing.
            let output = fleet(&options, input.map(str::as_bytes));
            assert_eq!(output.status.code(), Some(3), "{options:?} {output:?}");
            let told = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
            assert!(obeyed(&told).is_none() && !told.is_empty(), "{told:?}");
        }
    }
}

#[track_caller]
fn refused(text: &[u8], told: &str) {
    let file = file(text);
    let output = fleet(&["--inventory", file.path().to_str().expect("UTF-8")], None);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{said}");
    assert!(said.contains(told) && obeyed(&said).is_none() && said.len() < 1_000, "{told} isn't in {said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn inventories_that_are_wrong_are_told_with_line_and_column() {
    for (text, told) in [
        ("hosts = [\"a..b\"]", "line 1, column 10: this is not a host name"),
        // Lines of other systems, and a mark that editors put in front.
        (
            "reference = [\"a\"]\r\n\r\n  hosts = [\"ok\",\r\n \"a..b\"]\r\n",
            "line 4, column 2: this is not a host name",
        ),
        ("\u{feff}reference = [\"a\"]\nhosts = [\"a..b\"]", "line 2, column 10: this is not a host name"),
        // Columns are characters, not bytes.
        (
            "labels = { a = \"\u{fc}\u{fc}\" }\nhosts = [ \"b\", \"a..b\"]",
            "line 2, column 16: this is not a host name",
        ),
        (
            "[group.x]\nhosts = [\"a\"]\n[group.y]\nlabels = { note = \"\u{fc}\u{fc}\u{fc}\" }\nhost = [\"b\"]",
            "line 5, column 1: unknown field `host`",
        ),
        ("[group.x]\nhosts = [\"a\"]\n[group.x]\nhosts = [\"b\"]", "line 3, column 8: duplicate key"),
        ("hosts = [\"a\"]\nhosts = [\"b\"]", "line 2, column 1: duplicate key"),
        ("[group.\"\\u001b[2J\"]\nhosts = [\"a\"]", "line 1, column 1: a group's name has"),
        ("[group.\"\"]\nhosts = [\"a\"]", "line 1, column 1: a group's name has"),
        ("hosts = [\"a\"", "unclosed array"),
        ("hosts = [1]", "line 1, column 10: invalid type: integer"),
        ("hosts = \"a\"", "line 1, column 9: invalid type: string"),
        ("warning = 5", "line 1, column 11: invalid type: integer `5`, expected a length of time"),
        ("warning = \"5\"", "line 1, column 11: write a whole number and its unit"),
        ("warning = \"2s\"\ncritical = \"1s\"", "the warning threshold (2s) is above the critical one (1s)"),
        ("[group.x]\nlabels = { host = \"1\" }", "line 2, column 10: a label's name"),
        ("[group.x]\nlabels = { flag = \"1\" }", "line 2, column 10: a label's name"),
        ("[group.x]\nlabels = { \"a-b\" = \"1\" }", "line 2, column 10: a label's name"),
        ("[group.x]\nlabels = { a = \"\\u0007\" }", "line 2, column 10: a label's value"),
        ("hosts = [{ host = \"a\", labels = { __a = \"1\" } }]", "a label's name"),
        ("upstreams = [\"a b\"]", "line 1, column 14: "),
        ("reference = [{ source = \"a\", smear = true }]", "unknown field `smear`"),
        ("reference = [\"a\"]\nhosts = [\"b\", \"b\"]", "b is listed twice"),
        (
            "reference = [\"a\"]\nhosts = [\"b\"]\n[group.x]\nhosts = [\"B:123\"]",
            "B:123 is listed twice (it is the same host as b)",
        ),
        ("", "there are no hosts"),
        ("hosts = [\"a\"]", "there are no reference sources"),
        ("\0", "line 1, column "),
        ("a = \"\x1b[2J\"", "line 1, column "),
    ] {
        refused(text.as_bytes(), told);
    }
    refused(b"\xff\xfeh\0o\0s\0t\0", "valid UTF-8");
    refused(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "line 1, column ");
    for (path, told) in [("/", "can't read /"), ("/nonexistent", "can't read /nonexistent")] {
        let output = fleet(&["--inventory", path], None);
        assert_eq!(output.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&output.stderr).contains(told), "{output:?}");
    }
}

/// Neither the stack nor the memory is at the mercy of a file.
#[test]
fn inventories_that_are_deep_or_huge_end_in_a_sentence() {
    for (open, times) in [("[", 50_000), ("{a=", 50_000), ("a.", 50_000)] {
        refused(format!("hosts = {}", open.repeat(times)).as_bytes(), "line 1, column ");
        refused(format!("{}b = 1", open.repeat(times)).as_bytes(), "line 1, column ");
    }
    // A hundred megabytes in one value; and many lines of which the last is wrong.
    refused(
        format!("labels = {{ note = \"{}\" }}", "x".repeat(100 << 20)).as_bytes(),
        "line 1, column 10: a label's value",
    );
    let comment = "# nothing to see here, and nothing there\n".repeat((10 << 20) / 41);
    refused(
        format!("{comment}hosts = [\"a..b\"]").as_bytes(),
        &format!("line {}, column 10: ", (10 << 20) / 41 + 1),
    );
    refused(format!("hosts = [\"{}\"]", "a".repeat(10 << 20)).as_bytes(), "line 1, column 10: ");
}

/// The page is the same for everybody; what it asks for says what it is.
#[cfg(feature = "watch")]
#[test]
fn watch_serves_them_as_data() {
    let fleet = Fleet::new();
    let inventory = fleet.inventory(&NAMES);
    let dir = tempfile::tempdir().expect("a directory");
    let watch = support::watching::Watch::start(
        inventory.path(),
        &dir.path().join("history.redb"),
        &["--confirm", "1"],
        &[],
    );
    watch.wait_for_sweeps(2);
    let page = watch.get("/").text();
    for name in NAMES {
        assert!(!page.contains(name), "{name}");
    }
    let groups: BTreeSet<String> = watch.json("/api/fleet.json")["hosts"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|host| host["group"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(groups, NAMES.map(str::to_owned).into());
    let metrics = watch.get("/metrics").text();
    let labels: BTreeSet<String> = metrics
        .split('\n')
        .filter(|line| line.starts_with("skew_check_host_state{"))
        .filter_map(|line| label(line, "group"))
        .collect();
    assert_eq!(labels, NAMES.map(str::to_owned).into());
    for (path, kind) in [
        ("/api/fleet.json", "application/json"),
        ("/api/history.json", "application/json"),
        ("/api/history.json?host=%3Cscript%3Ealert(1)%3C/script%3E", "application/json"),
        ("/api/history.json?host=%1b%5b2J&points=%3Cb%3E", "application/json"),
        ("/%3Cscript%3Ealert(1)%3C/script%3E", ""),
        ("/metrics", "text/plain; version=0.0.4"),
    ] {
        let answer = watch.get(path);
        let said = answer.header("content-type");
        assert!(said.starts_with(kind) && !said.contains("html"), "{path}: {said}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let body = answer.text();
        assert!(!body.contains('\x1b'), "{path}: {body}");
    }
    for event in watch.log() {
        // What isn't an event is a text.
        assert!(event.is_object(), "{event}");
    }
}
