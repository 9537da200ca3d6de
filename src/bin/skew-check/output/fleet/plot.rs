//! A host's interval against its thresholds, in a line of text.

use std::time::Duration;

use skewgate::clock::OffsetInterval;
use skewgate::fleet::Thresholds;
use skewgate::time::SignedDuration;

/// From zero to the warning threshold, in columns; and from there to the critical one.
const INNER: i128 = 10;
const OUTER: i128 = 6;

/// The middle column. One more at each end is for what lies beyond.
const MIDDLE: i128 = INNER + OUTER + 1;

/// How many columns a plot has.
pub(super) const WIDTH: usize = 2 * (10 + 6 + 1) + 1;

/// Whose thresholds are at the marks: every host's own, so that one scale serves for all.
pub(super) const HEAD: &str = " -crit -warn       0       +warn +crit ";

/// The plot of an interval: marks at the thresholds and at zero, the bound as a bar, arrows where it goes on.
pub(super) fn plot(skew: Option<OffsetInterval>, thresholds: Thresholds) -> String {
    let mut columns = [' '; WIDTH];
    for (at, mark) in [
        (MIDDLE - INNER - OUTER, '╎'),
        (MIDDLE - INNER, '┊'),
        (MIDDLE, '│'),
        (MIDDLE + INNER, '┊'),
        (MIDDLE + INNER + OUTER, '╎'),
    ] {
        set(&mut columns, at, mark);
    }
    if let Some(skew) = skew {
        let (lo, hi) = (column(skew.lo(), thresholds), column(skew.hi(), thresholds));
        if lo == hi {
            set(&mut columns, lo, '◆');
        } else {
            for at in lo..=hi {
                set(&mut columns, at, '━');
            }
            set(&mut columns, lo, '┣');
            set(&mut columns, hi, '┫');
        }
        let last = 2 * MIDDLE;
        if lo == 0 {
            set(&mut columns, 0, '◀');
        }
        if hi == last {
            set(&mut columns, last, '▶');
        }
    }
    columns.iter().collect()
}

fn set(columns: &mut [char; WIDTH], at: i128, mark: char) {
    if let Some(column) = usize::try_from(at).ok().and_then(|at| columns.get_mut(at)) {
        *column = mark;
    }
}

/// Where an offset lies: evenly up to the warning, evenly from there to what is critical, and beyond that at the end. What is
/// beyond a threshold is never drawn on its mark, nor what is within it.
fn column(offset: SignedDuration, thresholds: Thresholds) -> i128 {
    let nanos = |length: Duration| i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
    let (warning, critical) = (nanos(thresholds.warning()), nanos(thresholds.critical()));
    let size = nanos(offset.unsigned_abs());
    let steps = if size > critical {
        MIDDLE
    } else if size > warning {
        // The first column is the one behind the mark; critical > warning here.
        INNER + 1 + ((size - warning - 1) * OUTER / (critical - warning)).min(OUTER - 1)
    } else {
        // Rounded to the nearest; warning may be zero.
        (2 * size * INNER + warning).checked_div(2 * warning).unwrap_or(0)
    };
    if offset.is_negative() { MIDDLE - steps } else { MIDDLE + steps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn thresholds(warning: u64, critical: u64) -> Thresholds {
        Thresholds::new(Duration::from_millis(warning), Duration::from_millis(critical)).unwrap()
    }

    fn shown(lo: i64, hi: i64) -> String {
        let interval = OffsetInterval::new(SignedDuration::from_millis(lo), SignedDuration::from_millis(hi));
        plot(interval, thresholds(100, 1_000))
    }

    #[test]
    fn marks_bars_and_arrows() {
        assert_eq!(plot(None, thresholds(100, 1_000)), " ╎     ┊         │         ┊     ╎ ");
        assert_eq!(shown(0, 0), " ╎     ┊         ◆         ┊     ╎ ");
        assert_eq!(shown(-20, 30), " ╎     ┊       ┣━━━━┫      ┊     ╎ ");
        assert_eq!(shown(101, 101), " ╎     ┊         │         ┊◆    ╎ ");
        assert_eq!(shown(100, 100), " ╎     ┊         │         ◆     ╎ ");
        assert_eq!(shown(1_000, 1_000), " ╎     ┊         │         ┊     ◆ ");
        assert_eq!(shown(3_000, 3_001), " ╎     ┊         │         ┊     ╎▶");
        assert_eq!(shown(-9_000, 500), "◀━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┫  ╎ ");
    }

    proptest! {
        #[test]
        fn any_interval_fits_and_is_on_its_side_of_the_marks(
            lo in i64::MIN / 2..i64::MAX / 2,
            width in 0_i64..i64::MAX / 4,
            warning in 0_u64..5_000,
            more in 0_u64..5_000,
        ) {
            let limits = thresholds(warning, warning + more);
            let (lo, hi) = (SignedDuration::from_nanos(lo), SignedDuration::from_nanos(lo.saturating_add(width)));
            let interval = OffsetInterval::new(lo, hi).unwrap();
            prop_assert_eq!(plot(Some(interval), limits).chars().count(), WIDTH);
            prop_assert!(column(lo, limits) <= column(hi, limits));
            for end in [lo, hi] {
                let (at, size) = ((column(end, limits) - MIDDLE).abs(), end.unsigned_abs());
                prop_assert_eq!(at > INNER, size > limits.warning());
                prop_assert_eq!(at > INNER + OUTER, size > limits.critical());
            }
        }
    }
}
