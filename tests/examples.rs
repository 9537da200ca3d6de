//! The examples that end by themselves, as somebody runs them. examples/login_service has a test of its own.

#[path = "support/example.rs"]
mod example;

use std::process::{Command, Stdio};

/// What it prints, where it ends well.
fn run(name: &str) -> String {
    let mut program = Command::new(example::build(name));
    let output = program.stdin(Stdio::null()).output().expect("it runs");
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    assert!(output.status.success(), "{name}: {shown}");
    shown
}

#[test]
fn synchronous_code_logs_users_in() {
    let shown = run("login");
    let expected = "a code: welcome\n\
         it again: that code was used, please wait for the next one\n\
         another: that code is wrong, please try again\n";
    assert_eq!(shown, expected);
}
