//! Any 48 bytes as the reply to a request: accepted with a bound that is in order, or refused; sntpc never
//! contradicts what got through.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skewgate::clock::{MaxDrift, Reception};
use skewgate::ntp::{Header, Refusal, ReplyLimits, Request, SourceError, Travel};
use skewgate::time::{RawInstant, SignedDuration};

const NONCE: u64 = 0x0123_4567_89ab_cdef;

fuzz_target!(|input: ([u8; 24], [u8; 16], u32, bool)| {
    let (front, back, travel_us, with_nonce) = input;
    let mut datagram = [0; 48];
    datagram[..24].copy_from_slice(&front);
    datagram[32..].copy_from_slice(&back);
    if with_nonce {
        datagram[24..32].copy_from_slice(&NONCE.to_be_bytes());
    }
    assert_eq!(Header::from_bytes(&datagram).to_bytes()[12..], datagram[12..]);
    let t1 = RawInstant::from_nanos(1_000_000_000);
    let t4 = t1 + SignedDuration::from_micros(travel_us.into());
    let travel = Travel { t1, t4, reception: Reception::Process, local: None };
    let request = Request::new(NONCE).expect("a request");
    let (limits, max_drift) = (ReplyLimits::default(), MaxDrift::default());
    let read = request.read_clock(&datagram, &travel, &limits, max_drift);
    let judged = request.judge(&datagram, &travel, &limits, max_drift);
    match &read {
        Ok(reply) => assert!(reply.sample.bound.lo() <= reply.sample.bound.hi()),
        Err(SourceError::Refused(
            refusal @ (Refusal::CrossCheck { .. } | Refusal::Sntpc { .. } | Refusal::ReferenceInFuture),
        )) => panic!("a clock that can be read is refused: {refusal}"),
        Err(_) => assert!(judged.is_err(), "true time is taken from a clock that can't be read"),
    }
    match judged {
        Ok(reply) => {
            assert!(with_nonce);
            assert!(reply.sample.bound.lo() <= reply.sample.bound.hi());
            assert!((1..16).contains(&reply.header.stratum));
        }
        Err(SourceError::Refused(refusal @ (Refusal::CrossCheck { .. } | Refusal::Sntpc { .. }))) => {
            panic!("a difference of opinion with sntpc: {refusal}");
        }
        Err(_) => {}
    }
});
