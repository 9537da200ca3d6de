use super::*;
use proptest::prelude::*;

fn problem(fill: impl FnOnce(&mut InventoryBuilder) -> Result<(), InventoryError>) -> String {
    let mut builder = Inventory::builder();
    builder.reference("ntp".parse().unwrap());
    match fill(&mut builder) {
        Ok(()) => builder.build().unwrap_err(),
        Err(error) => error,
    }
    .to_string()
}

fn lines(text: &str) -> String {
    problem(|builder| builder.lines(text).map(|_| ()))
}

#[test]
fn hosts_one_a_line() {
    let mut builder = Inventory::builder();
    builder.reference("ntp".parse().unwrap());
    builder.lines("# all of them\nWeb1\n\n  [2001:db8::1]:11123  # behind the door\r\n10.0.0.1\n").unwrap();
    let inventory = builder.build().unwrap();
    let given: Vec<_> = inventory.hosts().iter().map(Host::as_given).collect();
    assert_eq!(given, ["Web1", "[2001:db8::1]:11123", "10.0.0.1"]);
    assert_eq!(inventory.hosts()[0].address().to_string(), "web1:123");
    assert_eq!(inventory.groups()[0].name(), None);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    assert!(lines("a\n\tb c\n").starts_with("line 2, column 2: this is not a host name"));
    assert!(lines("a\u{1b}[2Jb").starts_with("line 1, column 1: this is not a host name"));
    assert_eq!(lines("# nobody\n"), "there are no hosts: name one at least");
    assert_eq!(
        lines("a.example\nA.example:123\n"),
        "A.example:123 is listed twice (it is the same host as a.example): leave one of them out"
    );
    let mut builder = Inventory::builder();
    builder.lines("a").unwrap();
    assert_eq!(builder.build().unwrap_err(), InventoryError::NoReferences);
}

#[test]
fn labels_and_names_that_could_do_harm_are_refused() {
    let host = || "a".parse::<Host>().unwrap();
    let labelled = |name: &str, value: &str| host().with_labels([(name.to_owned(), value.to_owned())].into());
    assert!(labelled("rack_7", "<b>\"quoted\"</b>").is_ok(), "outputs quote what they print");
    for name in ["", "7", "a-b", "__name__", "host", "le", "ä", "a\"b"] {
        assert_eq!(labelled(name, "x"), Err(InventoryError::LabelName), "{name}");
    }
    assert_eq!(labelled("a", "\u{1b}[2J"), Err(InventoryError::LabelValue));
    for name in ["", " ", "\u{1b}]0;x\u{7}", "a\nb"] {
        assert_eq!(Group::named(name, &Group::default()), Err(InventoryError::GroupName), "{name:?}");
    }
}

#[cfg(feature = "inventory")]
mod toml {
    use super::*;

    fn toml(text: &str) -> String {
        problem(|builder| builder.toml(text).map(|_| ()))
    }

    #[test]
    fn a_file_with_everything_in_it() {
        let mut builder = Inventory::builder();
        builder
            .toml(
                r#"
                reference = ["ntp1", { source = "ntp2:11123", group = "isp", smeared = true }]
                upstreams = ["10.0.0.1", "clock:PPS"]
                warning = "50ms"
                critical = "2s"
                measures = "served"
                labels = { site = "north" }
                hosts = ["alone"]
                [group.web]
                warning = "5ms"
                hosts = ["web1", { host = "web2:7", measures = "system", labels = { rack = "2", site = "south" } }]
                [group."old & slow"]
                upstreams = []
                critical = "1m"
                hosts = []
                "#,
            )
            .unwrap();
        let inventory = builder.build().unwrap();
        let references = inventory.references();
        assert_eq!((references[0].as_given(), references[0].is_smeared()), ("ntp1", false));
        assert_eq!((references[1].group_name(), references[1].is_smeared()), (Some("isp"), true));
        let names: Vec<_> = inventory.groups().iter().map(Group::name).collect();
        assert_eq!(names, [None, Some("old & slow"), Some("web")]);
        let [_, old, web] = inventory.groups() else { panic!("{names:?}") };
        // What a group doesn't say holds for it as for all.
        let millis =
            |thresholds: Thresholds| (thresholds.warning().as_millis(), thresholds.critical().as_millis());
        assert_eq!((millis(old.thresholds), millis(web.thresholds)), ((50, 60_000), (5, 2_000)));
        assert_eq!((old.upstreams.len(), web.upstreams.len()), (0, 2));
        assert_eq!(web.labels()["site"], "north");
        let hosts: Vec<_> = inventory
            .hosts()
            .iter()
            .map(|host| (host.as_given(), inventory.group_of(host).name(), inventory.measures(host)))
            .collect();
        let web = Some("web");
        assert_eq!(
            hosts,
            [
                ("alone", None, Measures::Served),
                ("web1", web, Measures::Served),
                ("web2:7", web, Measures::System)
            ]
        );
        assert_eq!(inventory.hosts()[2].labels().unwrap()["rack"], "2");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_place() {
        for (text, begins) in [
            ("hosts = [", "line 1, column 10: "),
            ("hosts = [\"a\"]\nhosst = 1", "line 2, column 1: unknown field"),
            ("hosts = [\n  \"a\",\n  \"b:0\"]", "line 3, column 3: the port must be a number"),
            ("hosts = [{ host = \"a..b\" }]", "line 1, column 19: this is not a host name"),
            ("hosts = [{ host = \"a\", rak = 1 }]", "line 1, column 24: unknown field"),
            ("hosts = [7]", "line 1, column 10: invalid type: integer `7`, expected a host"),
            ("hosts = [{ host = \"a\", labels = { host = \"b\" } }]", "line 1, column 10: a label's name"),
            ("warning = 1", "line 1, column 11: invalid type"),
            ("warning = \"soon\"", "line 1, column 11: write a whole number"),
            (
                "warning = \"2s\"",
                "line 1, column 11: the warning threshold (2s) is above the critical one (1s)",
            ),
            ("[group.a]\nwarning = \"2s\"", "line 2, column 11: the warning threshold (2s)"),
            ("upstreams = [\"clock:\"]", "line 1, column 14: the name of a reference clock"),
            ("upstreams = [{}]", "line 1, column 14: this must be an upstream"),
            ("measures = \"both\"", "line 1, column 12: it is one of"),
            ("reference = [\"\"]", "line 1, column 14: a source is missing"),
            ("[group.\" \"]\nhosts = []", "line 1, column 1: a group's name"),
            ("labels = { \"a b\" = \"\" }", "line 1, column 10: a label's name"),
            ("é = 1\nhosts = 1", "line 1, column 1: "),
        ] {
            let told = toml(text);
            assert!(told.starts_with(begins), "{text}\n{told}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_no_error_could_drive_a_terminal(text: String) {
            if let Err(error) = Inventory::builder().toml(&text) {
                prop_assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
            }
        }

        #[test]
        fn hostile_keys_and_values_are_not_repeated_as_they_are(key: String, value: String) {
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            for text in [
                format!("{} = 1", quoted(&key)),
                format!("[group.{}]\nhosts = [{}]", quoted(&key), quoted(&value)),
                format!("hosts = [{{ host = {}, labels = {{ {} = 'a' }} }}]", quoted(&value), quoted(&key)),
            ] {
                if let Err(error) = Inventory::builder().toml(&text) {
                    prop_assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_lines_are_read_or_refused(text: String) {
        let mut builder = Inventory::builder();
        if builder.lines(&text).is_ok() {
            for host in &builder.hosts {
                prop_assert!(host.as_given().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(text.contains(host.as_given()));
            }
        }
    }
}
