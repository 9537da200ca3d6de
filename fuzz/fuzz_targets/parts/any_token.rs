//! What a store keeps of a token, whatever it is.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use skewgate::otp::TimeStep;
use skewgate::time::{SignedDuration, Timestamp};
use skewgate::token::{Drift, TokenState};

#[derive(Arbitrary, Debug)]
pub struct AnyToken {
    epoch: u64,
    watermark: Option<i64>,
    nonce: [u8; 8],
    mean: i64,
    variance: u64,
    updated: i64,
    outlier: Option<i64>,
}

impl AnyToken {
    pub fn state(&self) -> TokenState {
        let drift = Drift::from_parts(
            SignedDuration::from_nanos(self.mean),
            self.variance,
            Timestamp::from_unix_nanos(self.updated),
            self.outlier.map(SignedDuration::from_nanos),
        );
        let watermark = self.watermark.and_then(TimeStep::new);
        TokenState { epoch: self.epoch, watermark, nonce: self.nonce, drift }
    }
}
