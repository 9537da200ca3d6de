use serde::{Deserialize, Serialize};

use super::*;

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(with = "super")]
    secret: Secret,
}

fn read(value: &str) -> Result<Row, String> {
    serde_json::from_str(&format!(r#"{{"secret":{value}}}"#)).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_reads_back() {
    let text = r#"{"secret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}"#;
    let row: Row = serde_json::from_str(text).unwrap();
    assert_eq!(row.secret.expose_bytes(), b"12345678901234567890");
    assert_eq!(serde_json::to_string(&row).unwrap(), text);
    // Owned text, as formats give it that unescape or decode.
    let owned: Row = serde_json::from_value(serde_json::from_str(text).unwrap()).unwrap();
    assert_eq!(owned.secret.expose_bytes(), row.secret.expose_bytes());
}

#[test]
fn reading_is_strict() {
    assert!(read(r#""gezdgnbvgy3tqojqgezdgnbvgy3tqojq""#).is_err());
    assert!(read(r#""JBSWY3DPEHPK3PXP""#).is_err());
}

#[test]
fn no_error_shows_what_was_read() {
    for wrong in
        [r#""31415926535897932384""#, "3141592653589793", "-3141592653589793", "31415926.5", "[3141592653]"]
    {
        let error = read(wrong).err().unwrap();
        assert!(!error.contains("31415"), "{error}");
    }
}
