//! `skew-check man` and `skew-check completions`: read by the programs that they are for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn skew_check(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_skew-check")).args(arguments).output().expect("the binary runs")
}

fn said(arguments: &[&str]) -> String {
    let output = skew_check(arguments);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What a program says, which is there or has to be installed.
fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C.UTF-8").output();
    output.unwrap_or_else(|error| {
        panic!("this test needs {program} ({error}): run ./tests/run, which installs it")
    })
}

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = said(&["-h"]);
    let (_, list) = help.split_once("Commands:\n").expect("a list");
    let list = list.split("\n\n").next().expect("a first part");
    let names = list
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    let names: Vec<String> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() >= 7, "{help}");
    names
}

/// The long options that a help text lists.
fn options(help: &str) -> BTreeSet<String> {
    let (_, list) = help.split_once("Options:\n").expect("options");
    let listed = list.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let long = |line: &str| {
        let option = line.split([' ', ',']).find(|word| word.starts_with("--"))?;
        Some(option.trim_end_matches('.').to_owned())
    };
    listed.filter_map(long).collect()
}

fn pages(dir: &Path) -> Vec<(String, String)> {
    said(&["man", "--directory", dir.to_str().expect("UTF-8")]);
    let mut pages: Vec<_> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
            (name, fs::read_to_string(path).expect("a page"))
        })
        .collect();
    pages.sort();
    pages
}

/// What a page says, without what tells a formatter how.
fn plain(page: &str) -> String {
    page.replace(r"\-", "-")
        .replace(r"\fB", "")
        .replace(r"\fI", "")
        .replace(r"\fR", "")
        .replace(r"\*(Aq", "'")
        .replace(r"\\", r"\")
}

#[test]
fn every_command_and_each_of_its_options_is_in_its_page() {
    let dir = tempfile::tempdir().unwrap();
    // It is made where it isn't there.
    let pages = pages(&dir.path().join("share/man/man1"));
    let mut expected: Vec<String> = commands().iter().map(|name| format!("skew-check-{name}.1")).collect();
    expected.push("skew-check.1".to_owned());
    expected.sort();
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected);
    for (name, page) in &pages {
        let command = name.strip_prefix("skew-check-").and_then(|name| name.strip_suffix(".1"));
        let help = said(&[command.as_slice(), &["--help"]].concat());
        let told = plain(page);
        let (_, described) = told.split_once(".SH OPTIONS\n").expect("options");
        for option in
            options(&help).iter().filter(|option| !["--help", "--version"].contains(&option.as_str()))
        {
            let variable = format!("SKEW_CHECK_{}", option[2..].replace('-', "_").to_uppercase());
            assert!(told.contains(&variable), "{name}: {variable}");
            assert!(
                described.lines().any(|line| line.split([' ', ',']).any(|word| word == option)),
                "{name}: {option}"
            );
        }
        let sections: Vec<&str> =
            told.lines().filter_map(|line| line.strip_prefix(".SH ")).map(|s| s.trim_matches('"')).collect();
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "FILES",
            "EXAMPLES",
            "SEE ALSO",
        ] {
            assert!(sections.contains(&section), "{name}: {section} isn't in {sections:?}");
        }
        // One that is printed is the one that is written.
        assert_eq!(said(&[&["man"], command.as_slice()].concat()), *page);
    }
}

#[test]
fn every_example_is_a_right_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut examples = 0;
    for (name, page) in pages(dir.path()) {
        let told = plain(&page).replace("\\\n", "");
        let (_, told) = told
            .split_once(".SH EXAMPLES\n")
            .or_else(|| told.split_once(".SH \"EXAMPLES\"\n"))
            .expect("examples");
        for line in told.lines() {
            let Some((_, line)) = line.split_once("skew-check ") else { continue };
            if line.starts_with('(') || told.lines().last() == Some(line) {
                continue;
            }
            let words = line.split(['|', '>']).next().expect("a first part").split_whitespace();
            let words: Vec<&str> = words.take_while(|word| !word.starts_with('(')).collect();
            // Options and values are looked at before --help is, and nothing is done.
            let output = skew_check(&[&words[..], &["--help"]].concat());
            assert_eq!(
                output.status.code(),
                Some(0),
                "{name}: {line}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            examples += 1;
        }
    }
    assert!(examples >= 15, "{examples}");
}

#[test]
fn a_command_that_is_none_and_a_place_that_can_not_be_written_to_are_told() {
    let output = skew_check(&["man", "nonsense"]);
    assert_eq!(output.status.code(), Some(3));
    let output = skew_check(&["man", "--directory", "/proc/nowhere"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("can't write /proc/nowhere"), "{output:?}");
    assert_eq!(skew_check(&["completions", "sh"]).status.code(), Some(3));
}

#[test]
#[ignore = "needs groff, man and mandoc: ./tests/run"]
fn pages_are_formatted_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    for (name, page) in pages(dir.path()) {
        let file = dir.path().join(&name);
        let file = file.to_str().unwrap();
        let groff = run("groff", &["-man", "-ww", "-b", "-k", "-Tutf8", file]);
        assert!(groff.status.success() && groff.stderr.is_empty(), "{name}: {groff:?}");
        let man = run("man", &["--warnings", "-E", "UTF-8", "-l", file]);
        assert!(man.status.success() && man.stderr.is_empty(), "{name}: {man:?}");
        let shown = String::from_utf8(man.stdout).unwrap();
        assert!(shown.contains("SEE ALSO") && shown.contains("skew-check"), "{shown}");
        // What it calls a warning, a blank line too many, comes from the page's maker.
        let mandoc = run("mandoc", &["-Tlint", "-Werror", file]);
        assert!(mandoc.status.success(), "{name}: {}", String::from_utf8_lossy(&mandoc.stdout));
        assert!(page.starts_with(".") || page.contains("\n.TH "), "{page}");
    }
}

/// What bash offers where the cursor is at the end of these words.
fn bash_offers(script: &Path, words: &[&str]) -> Vec<String> {
    let (last, before) = words.split_last().expect("a word");
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let line = format!(
        ". '{}'; COMP_WORDS=({}); COMP_CWORD={}; $(complete -p skew-check | sed 's/.*-F \\([^ ]*\\).*/\\1/') skew-check '{last}' '{}'; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        quoted.join(" "),
        words.len() - 1,
        before.last().expect("the command")
    );
    let output = run("bash", &["--norc", "-c", &line]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("skew-check");
    fs::write(&script, said(&["completions", "bash"])).unwrap();
    let checked = run("bash", &["-n", script.to_str().unwrap()]);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    assert_eq!(bash_offers(&script, &["skew-check", "fl"]), ["fleet"]);
    assert_eq!(bash_offers(&script, &["skew-check", "fleet", "--max"]), ["--max-rate", "--max-in-flight"]);
    assert_eq!(bash_offers(&script, &["skew-check", "fleet", "--format", "p"]), ["prometheus"]);
    let offered = bash_offers(&script, &["skew-check", ""]);
    for command in commands() {
        assert!(offered.contains(&command), "{command}: {offered:?}");
        // Each of its options, too.
        let offered: BTreeSet<String> =
            bash_offers(&script, &["skew-check", &command, "--"]).into_iter().collect();
        for option in options(&said(&[&command, "-h"])) {
            assert!(offered.contains(&option), "{command} {option}: {offered:?}");
        }
    }
}

#[test]
#[ignore = "needs zsh and fish: ./tests/run"]
fn zsh_and_fish_take_their_scripts_and_fish_completes() {
    let dir = tempfile::tempdir().unwrap();
    let script = |shell: &str| {
        let file = dir.path().join(if shell == "zsh" { "_skew-check" } else { "skew-check.fish" });
        fs::write(&file, said(&["completions", shell])).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (zsh, fish) = (script("zsh"), script("fish"));
    for (shell, script) in [("zsh", &zsh), ("fish", &fish)] {
        let output = run(shell, &["-n", script]);
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    }
    // As it is found by a shell of somebody who has it in $fpath.
    let line = format!(
        "fpath=('{}' $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[skew-check]",
        dir.path().display()
    );
    let output = run("zsh", &["-f", "-c", &line]);
    assert_eq!(
        (String::from_utf8_lossy(&output.stdout).trim(), output.stderr.len()),
        ("_skew-check", 0),
        "{output:?}"
    );
    let offers = |line: &str| {
        let output = run("fish", &["--no-config", "-c", &format!("source '{fish}'; complete -C '{line}'")]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| line.split('\t').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(offers("skew-check fl"), ["fleet"]);
    assert_eq!(offers("skew-check fleet --max-r"), ["--max-rate"]);
    assert_eq!(offers("skew-check fleet --format p"), ["prometheus"]);
}

#[test]
fn each_shell_has_a_script() {
    for shell in SHELLS {
        let script = said(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
}
