//! The operator's page in a headless Chromium, looked at by tests/peers/page.cjs: sweeps by the real binary of servers on
//! loopback, as a file and from a server.
//!
//! `SKEWGATE_PICTURES=/tmp/pictures ./tests/run page` leaves pictures of each step there, light and dark.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/browser.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod browser;
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use browser::Browser;
use serde_json::{Value, json};
use skewgate::clock::Leap;
use skewgate::ntp::{ReferenceId, Responder, Script};
use skewgate::time::{SignedDuration, os::OsClock};
use support::program::Program;

const QUICK: [&str; 7] = ["--samples", "2", "--interval", "10ms", "--timeout", "400ms", "--allow-single"];

fn serve(script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).unwrap()
}

fn ahead(millis: i64) -> Responder {
    serve(Script::ahead_by(SignedDuration::from_millis(millis)))
}

/// Sweeps into `NAME.html`, and into `NAME.json`.
fn sweep(dir: &Path, name: &str, options: &[&str], hosts: &str) {
    for format in ["html", "json"] {
        let file = dir.join(format!("{name}.{format}"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_skew-check"))
            .args(["fleet", "--format", format, "--quiet", "--output", file.to_str().unwrap()])
            .args(options)
            .args((!hosts.is_empty()).then_some("-"))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(hosts.as_bytes()).unwrap();
        child.wait().unwrap();
        assert!(file.is_file(), "{name}.{format}");
    }
}

const DATA: &str = r#"<script type="application/json" id="data">"#;

/// The page with other data in it.
fn with_data(page: &str, data: &str) -> String {
    let (head, rest) = page.split_once(DATA).unwrap();
    let (_, tail) = rest.split_once("</script>").unwrap();
    format!("{head}{DATA}{data}</script>{tail}")
}

/// `served.html` and `policy.txt`, as a server sends them: no data, and leave to ask for them.
fn as_served(dir: &Path, name: &str) {
    let page = std::fs::read_to_string(dir.join(format!("{name}.html"))).unwrap();
    let policy =
        page.split_once("Content-Security-Policy\" content=\"").unwrap().1.split_once('"').unwrap().0;
    let own = format!("{policy}; connect-src 'self'");
    let served = with_data(&page, "").replacen(policy, &own, 1);
    std::fs::write(dir.join("served.html"), served).unwrap();
    std::fs::write(dir.join("policy.txt"), format!("{own}; frame-ancestors 'none'")).unwrap();
}

fn step<'a>(seen: &'a BTreeMap<String, Value>, name: &str) -> &'a Value {
    seen.get(name).unwrap_or_else(|| panic!("no step {name}: {:?}", seen.keys()))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Whatever is on it: whole, to be read in both themes, and of one place.
fn check(seen: &BTreeMap<String, Value>) {
    for (name, page) in seen.iter().filter(|(name, _)| *name != "end") {
        // What a browser has to say of a server that fails.
        let expected = |complaint: &str| {
            let failed = complaint.contains("status of 503")
                || complaint.ends_with("/api/fleet.json: net::ERR_ABORTED");
            failed && ["failing", "paused"].contains(&name.as_str())
        };
        let mut complaints = String::new();
        for complaint in texts(&page["complaints"]).iter().filter(|complaint| !expected(complaint)) {
            writeln!(complaints, "{complaint}").unwrap();
        }
        assert_eq!(complaints, "", "{name}: the console is empty, no policy is violated");
        assert_eq!((&page["wide"], &page["language"]), (&false.into(), &"en".into()), "{name}");
        assert_eq!((&page["strange"], &page["executed"]), (&0.into(), &Value::Null), "{name}");
        assert_eq!(page["unnamed"], json!([]), "{name}: all that can be used has a name");
        assert!(page["rowElements"].as_u64().unwrap() < 80, "{name}: only the rows in sight exist");
        let headings = texts(&page["headings"]);
        assert_eq!(headings.iter().filter(|heading| heading.starts_with("H1")).count(), 1, "{headings:?}");
        for scheme in ["light", "dark"] {
            let contrast = &page["contrast"][scheme];
            assert!(contrast["ratio"].as_f64().unwrap() >= 4.5, "{name}, {scheme}: {contrast}");
            assert!(contrast["texts"].as_u64().unwrap() > 10, "{name}, {scheme}: {contrast}");
        }
        let own = page["own"].as_str().unwrap_or("file:///");
        for place in texts(&page["requested"]) {
            assert!(place.starts_with(own) || place.starts_with("data:image/svg"), "{name}: {place}");
        }
    }
}

/// The median and the largest of times in milliseconds.
fn figures(times: &Value) -> String {
    let mut times: Vec<f64> = times.as_array().unwrap().iter().map(|time| time.as_f64().unwrap()).collect();
    times.sort_by(f64::total_cmp);
    format!(
        "median {:.0} ms, most {:.0} ms, of {}",
        times[times.len() / 2],
        times[times.len() - 1],
        times.len()
    )
}

#[test]
#[ignore = "needs chromium: ./tests/run"]
fn ten_thousand_hosts_are_drawn_found_and_walked_through() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Program::start(&[
        "--listen",
        "0.0.0.0:0",
        "--rate-limit",
        "off",
        "--stratum",
        "2",
        "--dispersion",
        "1ms",
    ]);
    let port = server.listening().0.port();
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    let hosts: String =
        (0..10_000).map(|index| format!("{}:{port}\n", Ipv4Addr::from(first + index))).collect();
    let references = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|host| format!("{host}:{port}"));
    let mut options = vec!["--samples", "2", "--interval", "10ms", "--timeout", "10s", "--max-rate", "off"];
    options.extend(["--warning", "5s", "--critical", "10s"]);
    options.extend(references.iter().flat_map(|source| ["--reference", source]));
    sweep(dir.path(), "many", &options, &hosts);
    drop(server);
    as_served(dir.path(), "many");

    let mut browser = Browser::start("page.cjs", ["many".into(), dir.path().as_os_str().to_owned()]);
    let seen = browser.look();
    check(&seen);

    let many = step(&seen, "many");
    assert_eq!((&many["count"], &many["rowCount"]), (&"10,000 hosts".into(), &"10001".into()));
    assert_eq!(many["sentence"], "All 10,000 clocks are right.");
    assert!(many["elements"].as_u64().unwrap() < 3_000, "{}", many["elements"]);
    let (arrived, drawn) = (&many["timing"]["arrived"], &many["timing"]["drawn"]);
    println!(
        "10,000 hosts in a page of {} characters: drawn {:.0} ms after the data's arrival",
        many["timing"]["bytes"],
        drawn.as_f64().unwrap() - arrived.as_f64().unwrap()
    );

    println!("the same from a server, already open: {}", figures(&step(&seen, "from-a-server")["drawn"]));
    assert_eq!(step(&seen, "from-a-server")["count"], "10,000 hosts");

    let filtered = step(&seen, "filtered");
    let found = hosts.lines().filter(|host| host.contains("127.1.3.9")).count();
    assert_eq!(filtered["count"], format!("{found} of 10,000 hosts"));
    let rows = filtered["rows"].as_array().unwrap();
    assert_eq!(rows.len(), found);
    assert!(rows.iter().all(|row| row["cells"][1].as_str().unwrap().starts_with("127.1.3.9")), "{rows:?}");
    let nothing = step(&seen, "nothing");
    assert_eq!((&nothing["count"], &nothing["rows"]), (&"0 of 10,000 hosts".into(), &json!([])));
    assert!(nothing["nothing"].as_str().unwrap().starts_with("No host matches."));
    println!("from a letter to the frame that shows what it finds: {}", figures(&nothing["reactions"]));
    let scrolled = step(&seen, "scrolled");
    assert_eq!(scrolled["rows"].as_array().unwrap().last().unwrap()["at"], 10_001);
    println!("from another order to its frame: {}", figures(&scrolled["order"]));
    println!("from scrolling by 133 rows to its frame: {}", figures(&scrolled["scrolls"]));

    // Everything in the order in which it stands, and each is seen to be where one is.
    let keyboard = step(&seen, "keyboard");
    let stops = texts(&keyboard["stops"]);
    let places: Vec<Option<usize>> =
        ["Skip to the hosts", "theme", "10,000", "thresholds", "search", "sort", "grid", "State"]
            .iter()
            .map(|stop| stops.iter().position(|found| found == stop))
            .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{stops:?}");
    assert!(stops.iter().all(|stop| !stop.contains("focus unseen")), "{stops:?}");
    let moves = &keyboard["moves"];
    let row = |key: &str| moves[key]["row"].as_u64().unwrap();
    assert_eq!((row("ArrowDown"), row("ArrowUp"), row("End"), row("Home")), (3, 2, 10_001, 2), "{moves}");
    assert!(row("PageDown") > 10, "{moves}");
    for key in ["ArrowDown", "ArrowUp", "PageDown", "End", "Home"] {
        let at = &moves[key];
        assert_eq!(
            (&at["focused"], &at["selected"], &at["inSight"]),
            (&"grid".into(), &"true".into(), &true.into())
        );
        assert_eq!(at["title"], at["host"], "what is chosen is told about");
    }
    assert_eq!((&moves["Enter"]["focused"], &moves["Escape"]["focused"]), (&"h-host".into(), &"grid".into()));
    check_tree(&keyboard["tree"]);
}

/// What a screen reader is told.
fn check_tree(tree: &Value) {
    let nodes: Vec<(&str, &str)> = tree
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node[0].as_str().unwrap(), node[1].as_str().unwrap()))
        .collect();
    let count = |role: &str| nodes.iter().filter(|(found, _)| *found == role).count();
    for role in ["banner", "main", "complementary", "contentinfo", "search", "grid"] {
        assert_eq!(count(role), 1, "{role}: {nodes:?}");
    }
    assert!(count("heading") >= 8 && count("row") > 10 && count("columnheader") >= 5, "{nodes:?}");
    assert!(count("gridcell") > 50 && count("table") >= 1 && count("status") >= 2, "{nodes:?}");
    for named in [("grid", "Hosts"), ("searchbox", "Find"), ("combobox", "Theme"), ("region", "Worst pair")] {
        assert!(nodes.contains(&named), "{named:?}: {nodes:?}");
    }
    let picture = nodes.iter().find(|(role, _)| *role == "img" || *role == "image").unwrap();
    assert!(picture.1.contains("half are within"), "a canvas is told in words: {picture:?}");
}

#[test]
#[ignore = "needs chromium: ./tests/run"]
fn trouble_is_said_in_words_and_what_hosts_say_is_text() {
    let dir = tempfile::tempdir().unwrap();
    troubled_fleets(dir.path());
    let mut browser = Browser::start("page.cjs", ["trouble".into(), dir.path().as_os_str().to_owned()]);
    let seen = browser.look();
    check(&seen);
    let said = |name: &str, field: &str| step(&seen, name)[field].as_str().unwrap_or_default().to_owned();

    assert_eq!(said("healthy", "sentence"), "All 5 clocks are right.");
    assert!(said("healthy", "advice").ends_with("There is nothing to do."));
    assert_eq!(said("trouble", "sentence"), "1 clock is wrong, beyond what is critical.");
    let advice = said("trouble", "advice");
    assert!(
        advice.starts_with("Begin with 127.0.0.1:") && advice.contains(" s behind, give or take "),
        "{advice}"
    );
    assert!(said("trouble", "title").starts_with("Critical: "));
    let trouble = step(&seen, "trouble");
    let kinds: Vec<&str> =
        trouble["states"].as_array().unwrap().iter().map(|state| state[1].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["critical", "skewed", "unreachable", "rejected", "unsynchronised", "foreign-reference", "in-sync"]
    );
    // The worst first, and each with its word.
    let states: Vec<&str> =
        trouble["rows"].as_array().unwrap().iter().map(|row| row["cells"][0].as_str().unwrap()).collect();
    assert_eq!((states[0], states[1], states.len()), ("critical", "skewed", 8), "{states:?}");
    assert!(said("trouble", "host").contains("behind"), "{}", said("trouble", "host"));
    let sources = texts(&trouble["sources"]).join("\n");
    assert_eq!(
        (sources.matches("truechimer").count(), sources.matches("falseticker").count()),
        (3, 1),
        "{sources}"
    );
    assert!(said("trouble", "pair").contains("is ahead of"), "{}", said("trouble", "pair"));
    let groups = texts(&trouble["groups"]).join("\n");
    assert!(
        groups.contains("<img src=x onerror=alert(1)>") && groups.contains(r"turned \u{202e} round"),
        "{groups}"
    );
    assert!(groups.contains("20 ms"), "{groups}");
    check_tree(&trouble["tree"]);

    let only = step(&seen, "only-unreachable");
    assert_eq!((&only["pressed"], &only["count"]), (&json!(["unreachable"]), &"1 of 8 hosts".into()));
    assert!(said("of-a-group", "count").ends_with(" of 8 hosts"));
    assert_eq!(said("no-reference", "sentence"), "True time is not known.");
    assert!(said("no-reference", "advice").contains("no clock can be called right or wrong"));
    assert_eq!(said("empty", "sentence"), "Nothing was measured.");
    assert!(said("empty", "advice").contains("there are no hosts"), "{}", said("empty", "advice"));

    // Names as they are, and what is unseen in them is seen.
    let names = step(&seen, "hostile")["names"].as_array().unwrap();
    let titles: Vec<&str> = names.iter().map(|name| name["title"].as_str().unwrap()).collect();
    for (at, shown) in [
        (0, "<img src=x onerror=\"window.executed=1\">"),
        (1, "</script><script>window.executed=1</script>"),
        (2, r"right\u{202e}tfel"),
        (3, r"\u{1b}[2J\u{0}\u{2028}\u{feff}"),
        (4, "__proto__"),
        (5, "constructor"),
    ] {
        assert_eq!(titles[at], shown);
    }
    assert!(titles[6].len() > 1_000 && titles[6].chars().count() <= 2_001, "{}", titles[6].len());
    for name in names {
        let host = name["host"].as_str().unwrap();
        assert!(host.contains("<b>refid") && host.contains(r"ecause\u{202e} <i>of that</i>"), "{host}");
    }

    // A host's details are a sheet at the foot of a phone.
    let sheet = &step(&seen, "phone-host")["sheet"];
    assert_eq!(sheet["bottom"], sheet["height"], "{sheet}");
    assert!(sheet["top"].as_f64().unwrap() > 100.0, "{sheet}");
    let themes = step(&seen, "themes");
    let theme = |name: &str| themes["themes"][name].as_str().unwrap();
    let (light, dark) = (theme("light "), theme("dark "));
    assert_ne!(light, dark);
    assert_eq!([theme("light dark"), theme("dark dark")], [dark; 2]);
    assert_eq!([theme("light light"), theme("dark light")], [light; 2]);
    assert_eq!(themes["themes"]["kept"], json!(["dark", dark]));
    assert_eq!((&themes["closed"], &themes["motion"][0]), (&true.into(), &"0s".into()));
    assert_ne!(themes["motion"][1], "0s");
}

/// `healthy`, `trouble`, `no-reference`, `empty`, and `hostile`, which is `trouble` with other names.
fn troubled_fleets(dir: &Path) {
    let references = [ahead(0), ahead(0), ahead(0), ahead(3_000)];
    let named: Vec<String> = references.iter().map(|source| format!("'{}'", source.address())).collect();
    let healthy: Vec<Responder> = (0..5).map(|_| ahead(0)).collect();
    let list: String = healthy.iter().map(|host| format!("{}\n", host.address())).collect();
    let sources: Vec<String> = references[..3].iter().map(|source| source.address().to_string()).collect();
    let mut options: Vec<&str> = QUICK.to_vec();
    options.extend(sources.iter().flat_map(|source| ["--reference", source]));
    sweep(dir, "healthy", &options, &list);

    let following =
        |bytes| Script { stratum: 1, reference_id: ReferenceId::from_bytes(bytes), ..Script::default() };
    let with =
        |millis, bytes| serve(Script { offset: SignedDuration::from_millis(millis), ..following(bytes) });
    let hosts = [
        with(0, *b"GPS\0"),
        with(300, *b"GPS\0"),
        with(-5_000, *b"GPS\0"),
        serve(Script { leap: Leap::Unsynchronised, stratum: 0, ..Script::default() }),
        serve(Script { stratum: 0, reference_id: ReferenceId::from_bytes(*b"DENY"), ..Script::default() }),
        serve(Script::silent()),
        with(0, *b"<b>\""),
        with(1, *b"GPS\0"),
    ];
    let place = |index: usize| format!("'{}'", hosts[index].address());
    let inventory = dir.join("hosts.toml");
    let toml = format!(
        "reference = [{}]\nupstreams = ['clock:GPS']\nhosts = [{}]\n\
         [group.'<img src=x onerror=alert(1)>']\nwarning = '20ms'\nlabels = {{ note = '<script>alert(1)</script>' }}\nhosts = [{}]\n\
         [group.\"turned \\u202e round\"]\nhosts = [{}]\n",
        named.join(", "),
        [0, 1, 2].map(place).join(", "),
        [3, 4, 7].map(place).join(", "),
        [5, 6].map(place).join(", "),
    );
    std::fs::write(&inventory, toml).unwrap();
    let mut options = QUICK.to_vec();
    options.extend(["--inventory", inventory.to_str().unwrap()]);
    sweep(dir, "trouble", &options, "");

    let silent = serve(Script::silent());
    let silent = silent.address().to_string();
    let mut options = QUICK.to_vec();
    options.extend(["--reference", &silent]);
    sweep(dir, "no-reference", &options, &list);
    let file = dir.join("empty.html");
    let output = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args(["fleet", "--reference", &silent, "--format", "html", "--output", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");

    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let mut document: Value = serde_json::from_str(&read("trouble.json")).unwrap();
    let names = [
        "<img src=x onerror=\"window.executed=1\">".to_owned(),
        "</script><script>window.executed=1</script>".to_owned(),
        "right\u{202e}tfel".to_owned(),
        "\u{1b}[2J\0\u{2028}\u{feff}".to_owned(),
        "__proto__".to_owned(),
        "constructor".to_owned(),
        "n".repeat(64 << 10),
        "W\u{301}".repeat(32 << 10),
    ];
    for (host, name) in document["hosts"].as_array_mut().unwrap().iter_mut().zip(names) {
        // In this order in the list, whatever its clock showed.
        host["host"] = name.into();
        host["state"] = "in-sync".into();
        host["flags"] = json!([]);
        host["skew_ns"] = Value::Null;
        host["reference_id"] = "<b>refid".into();
        host["reason"] = "because\u{202e} <i>of that</i>".into();
    }
    let data = serde_json::to_string(&document).unwrap().replace('<', "\\u003c");
    std::fs::write(dir.join("hostile.html"), with_data(&read("trouble.html"), &data)).unwrap();
}

#[test]
#[ignore = "needs chromium: ./tests/run"]
fn a_served_page_keeps_up_with_its_server() {
    let dir = tempfile::tempdir().unwrap();
    troubled_fleets(dir.path());
    as_served(dir.path(), "healthy");
    let mut browser = Browser::start("page.cjs", ["served".into(), dir.path().as_os_str().to_owned()]);
    let seen = browser.look();
    check(&seen);

    let watched = step(&seen, "watched");
    assert_eq!(watched["sentence"], "All 5 clocks are right.");
    assert!(
        watched["asked"]["unchanged"].as_u64().unwrap() >= 1,
        "what it has is not sent again: {}",
        watched["asked"]
    );
    let heat = watched["heat"].as_str().unwrap();
    assert!(
        heat.starts_with("4 hosts were in sync all the time, 1 was not.")
            && heat.contains("81 % of the time"),
        "{heat}"
    );
    assert!(watched["here"].as_str().unwrap().starts_with("127.0.0.1:"), "{}", watched["here"]);
    let past = watched["past"].as_str().unwrap();
    assert!(past.contains("unreachable 1 %") && past.contains("skewed 26 %"), "{past}");

    let worse = step(&seen, "worse");
    assert_eq!(worse["sentence"], "1 clock is wrong, beyond what is critical.");
    assert_eq!(worse["focused"], "map", "what is new takes nobody's place away");
    let failing = step(&seen, "failing")["trouble"].as_str().unwrap();
    assert!(failing.contains("503") && failing.contains("What is shown is old"), "{failing}");
    let paused = step(&seen, "paused");
    assert_eq!((&paused["before"], &paused["pressed"]), (&paused["after"], &"true".into()));
    let without = step(&seen, "no-history");
    assert_eq!((&without["heat"], &without["past"]), (&Value::Null, &Value::Null));
    assert_eq!(without["sentence"], "1 clock is wrong, beyond what is critical.");
}

#[test]
#[ignore = "needs chromium: ./tests/run"]
fn no_browser_outlives_its_test() {
    let dir = tempfile::tempdir().unwrap();
    let healthy = ahead(0);
    let address = healthy.address().to_string();
    sweep(dir.path(), "many", &[&QUICK[..], &["--reference", &address]].concat(), &format!("{address}\n"));
    let browser = Browser::start("page.cjs", ["many".into(), dir.path().as_os_str().to_owned()]);
    let profile = browser.profile.path().to_str().unwrap().to_owned();
    let running = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&profile)).count()
    };
    let deadline = 200;
    assert!(
        (0..deadline).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            running() > 2
        }),
        "it starts"
    );
    // As where a test fails while the browser is at work.
    drop(browser);
    assert_eq!(running(), 0);
}
