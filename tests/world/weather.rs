//! How the host and its network fare, and what goes wrong with the clocks.

use std::time::Duration;

use skewgate::time::SignedDuration;

use super::Dice;
use super::host::World;

const MICRO: i64 = 1_000;
const MILLI: i64 = 1_000_000;

/// The system clock runs wrong by less than this: 83,333 ppm of a slew by chrony and 500 ppm of frequency.
const MAX_SLEW_PPB: i64 = 83_833_333;

/// How the host and its network fare in one run.
pub(super) struct Weather {
    /// How long reading a clock takes.
    pub(super) reading: i64,
    /// The process is interrupted between two readings once in so many times.
    pub(super) interrupts: u64,
    /// How late it wakes, how long a datagram waits to leave, and how long a system call takes, at the most.
    pub(super) oversleep: i64,
    pub(super) leaving: i64,
    pub(super) system_call: i64,
    /// Once in so many datagrams each way.
    pub(super) loss: u64,
    pub(super) duplication: u64,
    pub(super) strays: u64,
    /// The kernel stamps what arrives.
    pub(super) stamps: bool,
    /// How many replies the socket says it holds, and how many it does hold.
    pub(super) room: usize,
    pub(super) buffer: usize,
    pub(super) ipv6: bool,
    /// What may still go wrong with the clocks, and once in how many moments it does.
    pub(super) mischief: u32,
    pub(super) rarity: u64,
    pub(super) suspends: bool,
}

impl Weather {
    pub(super) fn roll(dice: &mut Dice) -> Self {
        let room = dice.one_of(&[2, 8, 64, 256, 256]);
        Self {
            reading: dice.one_of(&[1, 25, 25, 300, 2_000]),
            interrupts: dice.one_of(&[0, 0, 0, 40]),
            oversleep: dice.one_of(&[0, 0, 0, 100 * MICRO, 20 * MILLI, 90 * MILLI]),
            leaving: dice.one_of(&[0, 0, 20 * MICRO, 2 * MILLI]),
            system_call: dice.one_of(&[0, 2 * MICRO, 30 * MICRO]),
            loss: dice.one_of(&[0, 0, 0, 40, 8]),
            duplication: dice.one_of(&[0, 0, 20, 3]),
            strays: dice.one_of(&[0, 0, 8, 2]),
            stamps: !dice.once_in(4),
            room,
            buffer: if dice.once_in(4) { room.div_ceil(2) } else { room },
            ipv6: !dice.once_in(30),
            mischief: dice.one_of(&[0, 0, 2, 4, 8]),
            rarity: dice.one_of(&[3, 10, 30]),
            suspends: dice.once_in(12),
        }
    }
}

impl Weather {
    /// How much later than it arrived a datagram is put, as a rule.
    pub(super) fn lateness(&self) -> i64 {
        let handling = self.system_call + 4 * self.reading;
        if self.stamps { (20 * MICRO + handling / 10).min(handling) } else { handling + self.oversleep / 2 }
    }
}

impl World {
    /// Something goes wrong right now, if it still may.
    pub(super) fn maybe_mischief(&mut self) {
        if self.weather.mischief > 0 && self.dice.once_in(self.weather.rarity) {
            self.weather.mischief -= 1;
            self.do_mischief();
        }
    }

    pub(super) fn do_mischief(&mut self) {
        match self.dice.count(0, 6) {
            0..=1 => self.step(),
            2..=3 => self.slew(),
            4..=5 => self.wander(),
            _ if self.weather.suspends => self.suspend(),
            _ => self.step(),
        }
    }

    /// Steps the system clock. There and back again between two readings would go unseen by anybody.
    pub(super) fn step(&mut self) {
        let by = self.dice.magnitude(MICRO, 3_600_000 * MILLI);
        if self.stepped == 0 {
            self.stepped = self.dice.one_of(&[-1, 1]);
        }
        self.clock.step_system(SignedDuration::from_nanos(by * self.stepped));
    }

    pub(super) fn slew(&mut self) {
        let rate = match self.dice.count(0, 3) {
            0 => self.dice.between(-500_000, 500_000),
            1 => self.dice.one_of(&[-MAX_SLEW_PPB, MAX_SLEW_PPB]),
            2 => self.dice.between(-MAX_SLEW_PPB, MAX_SLEW_PPB),
            _ => 0,
        };
        self.clock.set_system_rate_error_ppb(rate);
    }

    /// Another rate of the raw clock, within φ.
    pub(super) fn wander(&mut self) {
        let most = i64::from(self.max_drift.as_ppb());
        self.remember();
        self.raw_rate_ppb = match self.dice.count(0, 3) {
            0 => most,
            1 => -most,
            _ => self.dice.between(-most, most),
        };
        self.clock.set_rate_error_ppb(self.raw_rate_ppb);
    }

    pub(super) fn suspend(&mut self) {
        let length = self.dice.magnitude(2 * MILLI, 8_000 * MILLI);
        self.remember();
        self.clock.suspend(Duration::from_nanos(length.unsigned_abs()));
        self.remember();
    }
}
