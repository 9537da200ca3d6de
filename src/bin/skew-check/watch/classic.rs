//! Metrics in Prometheus's older text format: for `promtool check metrics`, and for whatever doesn't ask for OpenMetrics.

use std::collections::BTreeSet;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The same page. What OpenMetrics says of a counter by its name, this says of its name with `_total`; it knows neither units nor an
/// end.
pub(super) fn classic(open: &str) -> String {
    let typed = open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"));
    let counters: BTreeSet<&str> = typed.collect();
    let mut page = String::with_capacity(open.len() + 256);
    for line in open.lines() {
        let said = line.strip_prefix("# ").map(|said| said.splitn(3, ' ').collect::<Vec<_>>());
        match said.as_deref() {
            Some(["EOF"] | ["UNIT", ..]) => continue,
            Some([kind, name, what]) if counters.contains(name) => {
                page.extend(["# ", kind, " ", name, "_total ", what]);
            }
            _ => page.push_str(line),
        }
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_their_names_and_nothing_else_differs() {
        let open = "# HELP a Sweeps # EOF a.\n# TYPE a counter\na_total 3\n# HELP b_seconds Time.\n# TYPE b_seconds gauge\n\
            # UNIT b_seconds seconds\nb_seconds{host=\"# TYPE a counter\"} 1.5\n# EOF\n";
        let older = "# HELP a_total Sweeps # EOF a.\n# TYPE a_total counter\na_total 3\n# HELP b_seconds Time.\n\
            # TYPE b_seconds gauge\nb_seconds{host=\"# TYPE a counter\"} 1.5\n";
        assert_eq!(classic(open), older);
    }
}
