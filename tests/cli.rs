//! What the command line says to right and wrong usage, as files in `tests/cli/`.

#[test]
fn help_and_usage_errors() {
    trycmd::TestCases::new().env("COLUMNS", "100").case("tests/cli/*.trycmd");
}
