//! How often each client is answered: GCRA for each address, in a table whose size never changes.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::time::{RawInstant, SignedDuration};

/// How often one client is answered.
///
/// The default is two requests a second and eight at once. A `skew-check probe` asks four times in 0.6 s, chronyd's `iburst`
/// and ntpdate up to eight times two seconds apart: two of them behind one address are not noticed. At two answers a
/// second a spoofed source gets 96 bytes a second of unasked for traffic, less than was spent on it.
///
/// IPv6 clients are counted by their whole address, not by their /64: one host must not be able to mute its
/// neighbours, and whoever changes address for each request gains no more than it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second that can go on for ever.
    pub per_second: NonZeroU32,
    /// Requests at once after a silence.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// So many a second, and four times as many at once.
    #[must_use]
    pub const fn per_second(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: per_second.saturating_mul(FOUR) }
    }
}

const FOUR: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

impl Default for RateLimit {
    fn default() -> Self {
        Self::per_second(NonZeroU32::MIN.saturating_add(1))
    }
}

/// A client that asks too often is told so once in this time; in between there is silence, so that a spoofed
/// source is hardly bothered and an honest one hears of it even if a kiss gets lost.
const KISS_INTERVAL: Duration = Duration::from_secs(8);

/// Clients that are remembered: 4,096 sets of 8, at 40 bytes 1.3 MB.
const SETS: usize = 4_096;
const WAYS: usize = 8;

/// What a request deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    Answer,
    Kiss,
    Silence,
}

/// Remembers who asked how often.
///
/// The table is a cache with sets, as processors have them: an address can be in the places of one set only, found by a
/// hash with a key of its own, so that nobody can aim. Where all are taken, the client that is nearest to having its full
/// burst again is forgotten. A flood of spoofed sources thus costs the same time for each packet, no memory, and pushes
/// out whoever asks least; a client that is being limited stays known the longest.
#[derive(Debug)]
pub(super) struct Limiter {
    interval: SignedDuration,
    /// How far ahead of now the theoretical arrival time may be.
    tolerance: SignedDuration,
    hasher: RandomState,
    clients: Vec<[Option<Client>; WAYS]>,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    address: IpAddr,
    /// When the full burst is there again: GCRA's theoretical arrival time.
    full_at: RawInstant,
    next_kiss: RawInstant,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        let interval = SignedDuration::from_nanos(1_000_000_000 / i64::from(limit.per_second.get()));
        let nanos = interval.as_nanos().saturating_mul(i64::from(limit.burst.get() - 1));
        Self {
            interval,
            tolerance: SignedDuration::from_nanos(nanos),
            hasher: RandomState::new(),
            clients: vec![[None; WAYS]; SETS],
        }
    }

    pub(super) fn rule(&mut self, address: IpAddr, now: RawInstant) -> Ruling {
        let address = address.to_canonical();
        #[expect(clippy::cast_possible_truncation, reason = "fewer sets than any usize counts")]
        let set = self.hasher.hash_one(address) as usize % SETS;
        let Some(set) = self.clients.get_mut(set) else { return Ruling::Silence };
        let place = set
            .iter()
            .position(|place| place.is_some_and(|client| client.address == address))
            // `None` is less than any time: a free place is taken first.
            .or_else(|| (0..WAYS).min_by_key(|&way| set[way].map(|client| client.full_at)));
        let Some(place) = place.and_then(|way| set.get_mut(way)) else { return Ruling::Silence };
        let client = match place {
            Some(client) if client.address == address => client,
            other => other.insert(Client { address, full_at: now, next_kiss: now }),
        };
        let arrival = client.full_at.max(now);
        if arrival - now <= self.tolerance {
            client.full_at = arrival + self.interval;
            Ruling::Answer
        } else if client.next_kiss <= now {
            client.next_kiss = now + SignedDuration::from(KISS_INTERVAL);
            Ruling::Kiss
        } else {
            Ruling::Silence
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ruling::{Answer, Kiss, Silence};
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn at(millis: i64) -> RawInstant {
        RawInstant::from_nanos(millis * 1_000_000)
    }

    const ADA: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn known(limiter: &Limiter) -> usize {
        limiter.clients.iter().flatten().flatten().count()
    }

    #[test]
    fn eight_at_once_then_one_kiss_then_silence_and_two_a_second_again() {
        let mut limiter = Limiter::new(RateLimit::default());
        let at_once: Vec<Ruling> = (0..12).map(|_| limiter.rule(ADA, at(0))).collect();
        assert_eq!(at_once[..8], [Answer; 8]);
        assert_eq!(at_once[8..], [Kiss, Silence, Silence, Silence]);
        assert_eq!(limiter.rule(ADA, at(499)), Silence);
        assert_eq!([limiter.rule(ADA, at(500)), limiter.rule(ADA, at(500))], [Answer, Silence]);
        // A kiss again after 8 s, whatever was answered meanwhile.
        let later: Vec<Ruling> = (0..10).map(|_| limiter.rule(ADA, at(8_000))).collect();
        assert_eq!((later[7], later[8], later[9]), (Answer, Kiss, Silence));
        assert_eq!(limiter.rule(BOB, at(8_000)), Answer, "another client pays nothing for it");
    }

    #[test]
    fn what_goes_on_for_ever_is_the_rate() {
        for per_second in [1, 2, 7, 1_000] {
            let mut limiter = Limiter::new(RateLimit::per_second(NonZeroU32::new(per_second).unwrap()));
            let answered = (0..100_000).filter(|&millis| limiter.rule(ADA, at(millis)) == Answer).count();
            let expected = usize::try_from(100 * per_second + 4 * per_second).unwrap();
            // At 1,000 a second there is one request each time that one may come.
            let expected = expected.min(100_000);
            assert!(answered.abs_diff(expected) <= 1, "{per_second}: {answered}, not {expected}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_same_client() {
        let mut limiter = Limiter::new(RateLimit { burst: NonZeroU32::MIN, ..RateLimit::default() });
        assert_eq!(limiter.rule(ADA, at(0)), Answer);
        assert_eq!(limiter.rule("::ffff:10.0.0.1".parse().unwrap(), at(0)), Kiss);
        let neighbour = IpAddr::V6(Ipv6Addr::from_bits((0xfd00 << 112) | 1));
        let other = IpAddr::V6(Ipv6Addr::from_bits((0xfd00 << 112) | 2));
        assert_eq!([limiter.rule(neighbour, at(0)), limiter.rule(other, at(0))], [Answer, Answer]);
    }

    #[test]
    fn a_flood_of_spoofed_sources_grows_nothing_and_forgets_no_one_who_is_limited() {
        let mut limiter = Limiter::new(RateLimit::default());
        while limiter.rule(ADA, at(0)) == Answer {}
        let capacity = limiter.clients.capacity();
        for spoofed in 0..1_000_000_u32 {
            limiter.rule(IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + spoofed)), at(0));
        }
        assert_eq!(limiter.clients.capacity(), capacity);
        assert_eq!(known(&limiter), SETS * WAYS, "it is full, and no fuller");
        assert_eq!(limiter.rule(ADA, at(0)), Silence, "still known, and still told once only");
        assert_eq!(limiter.rule(BOB, at(0)), Answer, "a full table is no refusal");
        assert!(size_of::<Option<Client>>() <= 40, "the comment above says how much memory it takes");
    }
}
