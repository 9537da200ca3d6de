//! Rows as stores keep them: any bytes are a row or an error, a row has one encoding, and that is read back.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use skewgate::otp::TimeStep;
use skewgate::store::{Row, row};
use skewgate::time::{SignedDuration, Timestamp};
use skewgate::token::{Budget, Drift, TokenState};

#[derive(Arbitrary, Debug)]
struct Token {
    epoch: u64,
    watermark: Option<i64>,
    nonce: [u8; 8],
    mean: i64,
    variance: u64,
    updated: i64,
    outlier: Option<i64>,
}

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Row(Option<Token>, Option<(i64, i64, u32)>),
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(bytes) => {
        if let Ok(read) = row::decode(bytes) {
            assert_eq!(row::encode(&read), bytes);
        }
    }
    Input::Row(token, budget) => {
        let token = token.map(|token| TokenState {
            epoch: token.epoch,
            watermark: token.watermark.and_then(TimeStep::new),
            nonce: token.nonce,
            drift: Drift::from_parts(
                SignedDuration::from_nanos(token.mean),
                token.variance,
                Timestamp::from_unix_nanos(token.updated),
                token.outlier.map(SignedDuration::from_nanos),
            ),
        });
        let time = Timestamp::from_unix_nanos;
        let budget =
            budget.map(|(blind, partial, failures)| Budget::from_parts(time(blind), time(partial), failures));
        let written = Row { token, budget };
        assert_eq!(row::decode(&row::encode(&written)), Ok(written));
    }
});
