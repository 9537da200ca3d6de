//! The study of `examples/population`, small: right codes that are refused, codes that are accepted, and a year of attack.
//!
//! `cargo run --release --example population` has more users, more years, and the peers' figures in a table.

#[path = "../examples/population/chart.rs"]
mod chart;
#[path = "../examples/population/report.rs"]
mod report;
#[path = "../examples/population/study/mod.rs"]
mod study;

use skewgate::window::WindowPolicy;
use study::{Attacker, Clock, Figures, Population, Preset, Row, Study, sum_of_prices};

const SMALL: Study = Study { seed: 5, users: 3_000, years: 3, drawn_years: 6 };

fn row<'f>(figures: &'f Figures, validator: &str, clock: Clock) -> &'f Row {
    figures
        .rows
        .iter()
        .find(|row| row.validator == validator && row.clock == clock)
        .expect("each validator has a row for each clock")
}

/// A figure and three standard errors: what a small crowd can say.
fn rejects(row: &Row) -> (f64, f64) {
    (row.false_reject_percent(), 300.0 * row.crowd.false_rejects.error())
}

#[test]
fn few_right_codes_are_refused_and_few_codes_accepted() {
    let figures = SMALL.run(&|_| {}).unwrap();
    for clock in [Clock::Right, Clock::WrongMonitored] {
        let ours = row(&figures, "skewgate", clock);
        let (refused, margin) = rejects(ours);
        assert!(refused <= 0.1 + margin && margin < 0.06, "{refused} % ± {margin}");
        assert!(ours.mean_codes() < 2.8, "{}", ours.mean_codes());
        assert!(ours.crowd.locked_out_percent() < 0.01);
        assert!(ours.year_break_in_percent() < 1.0);
    }
    // A clock that is wrong by more than it is said to be is learned as the tokens' own, at the price of some codes.
    let unmonitored = row(&figures, "skewgate", Clock::Wrong);
    assert!(unmonitored.false_reject_percent() <= 0.1 + rejects(unmonitored).1);
    assert!(unmonitored.mean_codes() < 4.5);

    // The peers are as bad as they are known to be: the model is the one that was meant.
    let peer = |validator, clock| row(&figures, validator, clock).false_reject_percent();
    assert!((14.0..17.0).contains(&peer("fixed ±1", Clock::Right)));
    assert!((78.0..82.0).contains(&peer("fixed ±1", Clock::Wrong)));
    assert!((1.5..2.6).contains(&peer("fixed ±7", Clock::Right)));
    assert!(peer("privacyIDEA-like shift", Clock::Wrong) < 0.1);

    a_year_of_attack_fails(&figures);
    what_is_printed_can_be_read(&figures);
}

fn a_year_of_attack_fails(figures: &Figures) {
    for attacker in Attacker::ALL {
        let mut weighed =
            figures.sieges.iter().filter(|siege| siege.attacker == attacker && siege.broken.is_none());
        // Less than all that the buckets pay, and not much less: the attack is at full strength.
        assert!(
            weighed.all(|siege| (0.005..sum_of_prices()).contains(&siege.chance)),
            "{:?}",
            attacker.name()
        );
        let drawn = figures
            .sieges
            .iter()
            .find(|siege| siege.attacker == attacker && siege.broken.is_some())
            .expect("drawn too");
        assert!(drawn.guesses > 1_000.0 && drawn.broken.is_some_and(|years| years <= 2), "{drawn:?}");
    }
    assert!((0.009..0.01).contains(&sum_of_prices()));
}

fn what_is_printed_can_be_read(figures: &Figures) {
    let read: serde_json::Value =
        serde_json::from_str(&report::json(5, &figures.rows).expect("numbers")).expect("JSON");
    assert_eq!(read["seed"], 5);
    let rows = read["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 18);
    let ours = rows
        .iter()
        .find(|row| row["validator"] == "skewgate" && row["clock"] == "wrong-monitored")
        .expect("skewgate's");
    for field in ["false_reject_percent", "mean_codes", "year_break_in_percent"] {
        assert!(ours[field].as_f64().is_some_and(|figure| figure > 0.0), "{field}");
    }
    let presets = SMALL.presets(&|_| {}).expect("valid policies");
    presets_are_what_they_say(&presets);
    assert!(report::text(&SMALL, figures, &presets).contains("| skewgate | wrong-monitored |"));
    let picture = chart::draw(&figures.rows);
    let parsed = picture.trim();
    assert!(parsed.starts_with("<svg") && parsed.ends_with("</svg>"));
    assert_eq!(parsed.matches("<circle").count() - parsed.matches("r=\"2.5\"").count(), 3 + 5 * 2 + 3);
    assert!(!parsed.contains("NaN"));
}

/// What the documentation of `WindowPolicy` says of them: % of right codes refused, and codes accepted on average, as well as a small crowd can say.
fn presets_are_what_they_say(presets: &[Preset]) {
    for (policy, population, refused, codes) in [
        ("default", "phones, daily", 0.08, 2.5),
        ("strict", "phones, daily", 0.22, 2.2),
        ("strict", "mixed, every three days", 0.9, 2.5),
        ("default", "hardware tokens, every four weeks", 43.0, 3.6),
        ("hardware_tokens", "hardware tokens, every four weeks", 6.4, 4.3),
        ("nist", "mixed, every three days", 0.33, 2.8),
    ] {
        let crowd = presets
            .iter()
            .find(|preset| preset.policy == policy && preset.population == population)
            .map(|preset| &preset.crowd)
            .expect("each preset with each population");
        let (seen, margin) = (100.0 * crowd.false_rejects.mean(), 400.0 * crowd.false_rejects.error());
        assert!(
            (seen - refused).abs() <= margin.max(0.1 * refused),
            "{policy}, {population}: {seen} % ± {margin}"
        );
        let seen = crowd.codes.mean();
        assert!((seen - codes).abs() < 0.1, "{policy}, {population}: {seen} codes");
    }
}

/// A phone that was off by minutes and is right now gets in, with the next code at the latest as a rule.
#[test]
fn whose_clock_was_set_right_gets_in() {
    let crowd = SMALL.measure(WindowPolicy::default(), &Population::REPAIRED).unwrap();
    assert!(100.0 * crowd.false_rejects.mean() < 20.0);
    assert!(crowd.locked_out_percent() < 0.5, "{}", crowd.locked_out_percent());
}

#[test]
fn a_seed_decides_everything() {
    let tiny = Study { users: 200, years: 1, drawn_years: 1, ..SMALL };
    let json = || report::json(tiny.seed, &tiny.run(&|_| {}).unwrap().rows).unwrap();
    assert_eq!(json(), json());
}
