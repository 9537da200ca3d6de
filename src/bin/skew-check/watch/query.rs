//! What may stand behind the question mark of `/api/history.json`.

use skewgate::time::Timestamp;

use super::problem::Problem;

/// So many columns or points can be asked for: more than a screen has.
const MOST_COLUMNS: usize = 2_000;
const MOST_POINTS: usize = 5_000;
const COLUMNS: usize = 120;
const POINTS: usize = 500;

/// A day, in seconds.
const DAY_S: i64 = 86_400;

/// The latest moment that has a timestamp here, in Unix seconds: in 2262.
const LATEST_S: i64 = i64::MAX / 1_000_000_000;

const KNOWN: &str = "host, from, to, columns (without host) and points (with host)";

/// A stretch of time, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from_s: i64,
    pub(super) to_s: i64,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The worst states of all hosts.
    HeatMap { columns: usize },
    /// What is known of one.
    Host { name: String, points: usize },
}

/// What a query asks for, where it is `now`.
pub(super) fn parse(query: &[(String, String)], now: Timestamp) -> Result<(Stretch, Wanted), Problem> {
    let [mut host, mut from, mut to, mut columns, mut points] = [const { None }; 5];
    for (name, value) in query {
        let place = match name.as_str() {
            "host" => &mut host,
            "from" => &mut from,
            "to" => &mut to,
            "columns" => &mut columns,
            "points" => &mut points,
            _ => return Err(Problem::unknown_parameter(name, KNOWN)),
        };
        if place.replace(value.as_str()).is_some() {
            return Err(Problem::unknown_parameter(name, KNOWN));
        }
    }
    let wanted = match host {
        Some(_) if columns.is_some() => return Err(Problem::unknown_parameter("columns", KNOWN)),
        None if points.is_some() => return Err(Problem::unknown_parameter("points", KNOWN)),
        Some(name) => {
            Wanted::Host { name: name.to_owned(), points: count("points", points, POINTS, MOST_POINTS)? }
        }
        None => Wanted::HeatMap { columns: count("columns", columns, COLUMNS, MOST_COLUMNS)? },
    };
    let now_s = now.as_unix_seconds();
    let to_s = moment("to", to, now_s, now_s.saturating_add(1))?;
    let from_s = moment("from", from, now_s, to_s.saturating_sub(DAY_S))?;
    if from_s >= to_s {
        let got = format!("{from_s}, and to is {to_s}");
        return Err(Problem::parameter("from", &got, "one that comes before to"));
    }
    Ok((Stretch { from_s, to_s }, wanted))
}

fn count(name: &str, got: Option<&str>, otherwise: usize, most: usize) -> Result<usize, Problem> {
    let Some(got) = got else { return Ok(otherwise) };
    let count = got.parse().ok().filter(|count| (1..=most).contains(count));
    count.ok_or_else(|| Problem::parameter(name, got, &format!("a number from 1 to {most}")))
}

/// Unix seconds; what is negative is that much before now.
fn moment(name: &str, got: Option<&str>, now_s: i64, otherwise: i64) -> Result<i64, Problem> {
    let Some(got) = got else { return Ok(otherwise) };
    let seconds = got.parse::<i64>().ok().filter(|seconds| (-LATEST_S..=LATEST_S).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        let expected = "Unix seconds, or how many before now as a negative number, such as -3600";
        Problem::parameter(name, got, expected)
    })?;
    Ok(if seconds < 0 { now_s.saturating_add(seconds) } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(query: &str) -> Result<(Stretch, Wanted), String> {
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let now = Timestamp::from_unix_nanos(1_000_000 * 1_000_000_000);
        parse(&pairs, now).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn what_is_left_out_is_the_last_day() {
        let day = Stretch { from_s: 1_000_001 - 86_400, to_s: 1_000_001 };
        assert_eq!(parsed(""), Ok((day, Wanted::HeatMap { columns: 120 })));
        assert_eq!(parsed("host=a"), Ok((day, Wanted::Host { name: "a".into(), points: 500 })));
        let hour = Stretch { from_s: 996_400, to_s: 1_000_001 };
        assert_eq!(parsed("from=-3600&columns=60"), Ok((hour, Wanted::HeatMap { columns: 60 })));
        let far = Stretch { from_s: 0, to_s: 999_990 };
        assert_eq!(
            parsed("from=0&to=-10&host=&points=1"),
            Ok((far, Wanted::Host { name: "".into(), points: 1 }))
        );
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (query, code) in [
            ("columns=0", "bad_parameter"),
            ("columns=2001", "bad_parameter"),
            ("columns=1e3", "bad_parameter"),
            ("host=a&points=5001", "bad_parameter"),
            ("host=a&columns=5", "unknown_parameter"),
            ("points=5", "unknown_parameter"),
            ("from=x", "bad_parameter"),
            ("from=9223372036854775807", "bad_parameter"),
            ("from=-9223372036854775808", "bad_parameter"),
            ("from=5&to=5", "bad_parameter"),
            ("to=0", "ok"),
            ("from=1&from=2", "unknown_parameter"),
            ("<script>=1", "unknown_parameter"),
        ] {
            let found = parsed(query).map(|_| "ok".to_owned()).unwrap_or_else(|problem| problem);
            assert!(found.contains(code), "{query}: {found}");
        }
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_within_limits_or_a_problem(
            pairs in proptest::collection::vec(
                ("host|from|to|columns|points|[a-z]{0,3}", "-?[0-9]{0,20}|[ -~]{0,8}"), 0..5),
            now_s in 0..4_000_000_000_i64,
        ) {
            let now = Timestamp::from_unix_nanos(now_s * 1_000_000_000);
            if let Ok((stretch, wanted)) = parse(&pairs, now) {
                prop_assert!(stretch.from_s < stretch.to_s);
                prop_assert!(stretch.from_s >= -LATEST_S && stretch.to_s <= LATEST_S);
                match wanted {
                    Wanted::HeatMap { columns } => prop_assert!((1..=MOST_COLUMNS).contains(&columns)),
                    Wanted::Host { points, .. } => prop_assert!((1..=MOST_POINTS).contains(&points)),
                }
            }
        }
    }
}
