//! `skew-check demo`: the main job, start to end, as a newcomer runs it.

use std::process::Command;

#[test]
fn the_demonstration_shows_the_whole_way_and_every_verdict() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_skew-check")).arg("demo").output().expect("the binary runs");
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{shown}{complaints}");
    assert!(!shown.contains('\u{1b}'), "no colours in a pipe");

    let count = |what: &str| shown.lines().filter(|line| line.ends_with(what)).count();
    assert_eq!((count(" truechimer"), count(" falseticker"), count(" unreachable")), (3, 1, 1), "{shown}");
    assert!(shown.contains("3 of 5 configured sources agree"), "{shown}");
    // Known to a millisecond or so, and shown as exactly.
    assert!(shown.contains("This clock is 40.0") || shown.contains("This clock is 39.99"), "{shown}");

    let line = |beginning: &str| {
        shown
            .lines()
            .find(|line| line.trim_start().starts_with(beginning))
            .unwrap_or_else(|| panic!("{beginning}: {shown}"))
    };
    assert!(line("the code that she sees").ends_with("a fixed ±1 on this clock refuses it"));
    assert!(line("the same, at this gate").contains("accepted: step "));
    assert!(
        line("the same once more").contains("refused: replay; the user is told to wait for the next code")
    );
    assert!(line("a wrong code").contains("refused: wrong, which pays "));
    assert!(line("a code of ten minutes ago").contains("refused: wrong, which pays "));
}
