//! What the validator's store knows about the token: its line of an export.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use skewgate::store::Record;
use skewgate::store::backup::{LineError, read_line};
use skewgate::time::Timestamp;
use skewgate::token::TokenId;
use skewgate::validator::decide::Standing;

use super::ExplainError;

/// The only one that there is.
const SCHEMA: &str = "skewgate/tokens/1";

/// Longer than any line of an export.
const LONGEST_LINE: u64 = 16 * 1024;

/// The first or the last line of a whole export.
#[derive(Deserialize)]
struct Frame {
    schema: Option<String>,
    not_before_ns: Option<i64>,
    end: Option<bool>,
}

/// Reads the line of the token with this id, or the only one, from an export or a part of it.
pub(crate) fn read(path: &Path, id: Option<&TokenId>) -> Result<Standing, ExplainError> {
    let failed = |error| ExplainError::StateFile { path: path.to_owned(), error };
    if path == Path::new("-") {
        find(io::stdin().lock(), id, failed)
    } else {
        find(BufReader::new(File::open(path).map_err(failed)?), id, failed)
    }
}

fn find(
    mut from: impl BufRead,
    id: Option<&TokenId>,
    failed: impl Fn(io::Error) -> ExplainError,
) -> Result<Standing, ExplainError> {
    let (mut found, mut not_before): (Option<Record>, Option<Timestamp>) = (None, None);
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        if from.by_ref().take(LONGEST_LINE).read_line(&mut text).map_err(&failed)? == 0 {
            break;
        }
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        let record = match (read_line(text), serde_json::from_str::<Frame>(text)) {
            (Ok(record), _) => record,
            (Err(_), Ok(Frame { schema: Some(schema), not_before_ns, .. })) if schema == SCHEMA => {
                not_before = not_before_ns.map(Timestamp::from_unix_nanos);
                continue;
            }
            (Err(_), Ok(Frame { schema: Some(got), .. })) => {
                return Err(ExplainError::StateLine { line, error: LineError::Schema { got } });
            }
            (Err(_), Ok(Frame { end: Some(true), .. })) => continue,
            (Err(error), _) => return Err(ExplainError::StateLine { line, error }),
        };
        match id {
            Some(id) if record.key.token() != id => {}
            Some(_) => {
                found = Some(record);
                break;
            }
            None if found.is_some() => return Err(ExplainError::StateOfMany),
            None => found = Some(record),
        }
    }
    match (found, id) {
        (Some(Record { state, budget, .. }), _) => Ok(Standing { token: state, budget, not_before }),
        (None, Some(id)) => Err(ExplainError::NoSuchToken { id: id.clone() }),
        (None, None) => Err(ExplainError::NoState),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skewgate::otp::TimeStep;

    const FIRST: &str = "{\"schema\":\"skewgate/tokens/1\"}\n";
    const LAST: &str = "{\"end\":true,\"tokens\":2}\n";

    fn line(token: &str, watermark: i64) -> String {
        format!(
            "{{\"token\":\"{token}\",\"epoch\":7,\"watermark\":{watermark},\"mean_ns\":-3,\"variance_us2\":9,\
             \"updated_ns\":1780000000000000000,\"outlier_ns\":null,\"blind_full_at_ns\":5,\
             \"partial_full_at_ns\":6,\"failures\":4}}\n"
        )
    }

    fn read(text: &str, id: Option<&str>) -> Result<Standing, ExplainError> {
        let id = id.map(|id| TokenId::new(id).unwrap());
        let failed = |error| ExplainError::StateFile { path: "state".into(), error };
        find(text.as_bytes(), id.as_ref(), failed)
    }

    #[test]
    fn one_line_or_a_whole_export_is_read() {
        let (ada, eve) = (line("ada", 5), line("eve", 6));
        let watermark = |text: &str, id| read(text, id).unwrap().token.watermark.map(TimeStep::get);
        assert_eq!(watermark(&ada, None), Some(5));
        assert_eq!(watermark(ada.trim_end(), Some("ada")), Some(5));
        assert_eq!(watermark(&format!("{FIRST}{ada}{LAST}"), None), Some(5));
        let whole = format!("{FIRST}{ada}\n{eve}{LAST}");
        assert_eq!(watermark(&whole, Some("eve")), Some(6));
        let standing = read(&whole, Some("ada")).unwrap();
        assert_eq!((standing.budget.failures(), standing.token.drift.mean().as_nanos()), (4, -3));
    }

    #[test]
    fn a_whole_export_says_what_is_dead_for_all() {
        let ada = line("ada", 5);
        let first = "{\"schema\":\"skewgate/tokens/1\",\"not_before_ns\":17}\n";
        for (text, expected) in
            [(format!("{first}{ada}{LAST}"), Some(17)), (format!("{FIRST}{ada}"), None), (ada, None)]
        {
            let not_before = read(&text, None).unwrap().not_before;
            assert_eq!(not_before, expected.map(Timestamp::from_unix_nanos), "{text}");
        }
    }

    #[test]
    fn what_says_nothing_of_one_token_is_refused() {
        let (ada, eve) = (line("ada", 5), line("eve", 6));
        assert!(matches!(read("", None), Err(ExplainError::NoState)));
        assert!(matches!(read(&format!("{FIRST}{LAST}"), None), Err(ExplainError::NoState)));
        assert!(matches!(read(&format!("{ada}{eve}"), None), Err(ExplainError::StateOfMany)));
        let nobody = read(&format!("{ada}{eve}"), Some("bob"));
        assert!(matches!(nobody, Err(ExplainError::NoSuchToken { .. })));
        for (text, at) in [
            (format!("{ada}{{}}"), 2),
            (line("ada", -5), 1),
            (format!("{}{ada}", FIRST.replace("/1", "/2")), 1),
            (format!("{ada}\n{}", "x".repeat(20_000)), 3),
        ] {
            let Err(ExplainError::StateLine { line, .. }) = read(&text, None) else { panic!("{at}") };
            assert_eq!(line, at);
        }
        let newer = read(&format!("{}{ada}", FIRST.replace("/1", "/2")), None).unwrap_err().to_string();
        assert!(newer.contains("says that this is \"skewgate/tokens/2\""), "{newer}");
        // The only number of a line is that of the file.
        let broken = read(&format!("{ada}{{"), None).unwrap_err().to_string();
        assert!(broken.contains("line 2 ") && !broken.contains("line 1"), "{broken}");
    }
}
