//! Rows as stores keep them: any bytes are a row or an error, a row has one encoding, and that is read back.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use skewgate::store::{Row, row};
use skewgate::time::Timestamp;
use skewgate::token::Budget;

use any_token::AnyToken;

#[path = "parts/any_token.rs"]
mod any_token;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Row(Option<AnyToken>, Option<(i64, i64, u32)>),
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(bytes) => {
        if let Ok(read) = row::decode(bytes) {
            assert_eq!(row::encode(&read), bytes);
        }
    }
    Input::Row(token, budget) => {
        let token = token.map(|token| token.state());
        let time = Timestamp::from_unix_nanos;
        let budget =
            budget.map(|(blind, partial, failures)| Budget::from_parts(time(blind), time(partial), failures));
        let written = Row { token, budget };
        assert_eq!(row::decode(&row::encode(&written)), Ok(written));
    }
});
