//! Which PostgreSQL it is, and since when it runs.

use crate::store::{Replaced, StoreError};

use super::row::corrupt;

/// Which PostgreSQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server {
    system: i64,
    timeline: i64,
}

impl Server {
    /// As the tables have it.
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let [system, timeline] = numbers(text)?;
        Ok(Self { system, timeline })
    }

    /// In which way it isn't the one that it was. A new timeline begins where a standby is promoted, and where a base backup
    /// is recovered: nothing tells one from the other.
    pub(super) fn compare(self, known: Option<Self>, promotion: Replaced) -> Option<Replaced> {
        match known {
            Some(known) if known == self => None,
            Some(known) if known.system == self.system && known.timeline < self.timeline => Some(promotion),
            _ => Some(Replaced::Restored),
        }
    }
}

/// A server from its start to its stop, as a connection has found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) server: Server,
    /// When it was started, in microseconds since 1970. Another run of the same server was started at another time.
    pub(super) started: i64,
    /// From where its log would have been replayed when the connection was made. No server lets anybody in before its first checkpoint, so
    /// this isn't before the end of the log that it found when it was started.
    pub(super) redo: i64,
}

impl Run {
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let [system, timeline, started, redo] = numbers(text)?;
        Ok(Self { server: Server { system, timeline }, started, redo })
    }

    /// As changes carry it. A change that was decided from another run's rows may have been forgotten with them.
    pub(super) fn lineage(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.server.system.to_be_bytes());
        // PostgreSQL has 32 bits for it.
        bytes[8..12].copy_from_slice(&self.server.timeline.to_be_bytes()[4..]);
        bytes[12..].copy_from_slice(&self.started.to_be_bytes());
        bytes
    }

    /// The identifier, the timeline and the start, as they were written there.
    pub(super) fn of_lineage(lineage: [u8; 20]) -> [i64; 3] {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
        [number(&lineage[..8]), number(&lineage[8..12]), number(&lineage[12..])]
    }
}

fn numbers<const N: usize>(text: &str) -> Result<[i64; N], StoreError> {
    let numbers: Option<Vec<i64>> = text.split('/').map(|number| number.parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| corrupt(format!("the server's identity is {text:?}, expected {N} numbers")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_identifier_and_its_timeline() {
        let server = |text: &str| Server::parse(text).unwrap();
        let now = server("7711046875946803446/3");
        let seen = |known: &str, promotion| now.compare(Some(server(known)), promotion);
        for promotion in [Replaced::Failover, Replaced::Restored] {
            assert_eq!(seen("7711046875946803446/3", promotion), None);
            assert_eq!(seen("7711046875946803446/2", promotion), Some(promotion));
            assert_eq!(seen("7711046875946803446/4", promotion), Some(Replaced::Restored), "time ran back");
            assert_eq!(seen("7711046875946803447/3", promotion), Some(Replaced::Restored));
            assert_eq!(seen("7711046875946803447/2", promotion), Some(Replaced::Restored));
            assert_eq!(now.compare(None, promotion), Some(Replaced::Restored), "a lost row is no new one");
        }
        for text in ["", "1", "1/", "/1", "a/1", "1/1/1"] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_lineage_says_all_but_the_log() {
        for (system, timeline, started) in
            [(7_711_046_875_946_803_446, 3, 1_780_315_200_000_000), (-1, 4_294_967_295, 0)]
        {
            let run = Run::parse(&format!("{system}/{timeline}/{started}/9")).unwrap();
            assert_eq!(Run::of_lineage(run.lineage()), [system, timeline, started]);
            assert_eq!(
                Run::parse(&format!("{system}/{timeline}/{started}/8")).unwrap().lineage(),
                run.lineage()
            );
        }
        for text in ["", "1/2", "1/2/3", "1/2/3/", "1/2/3/4/5"] {
            assert!(Run::parse(text).is_err(), "{text}");
        }
    }
}
