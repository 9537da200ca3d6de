//! One server, and the connections to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, Pipeline, RedisError, Value};
use tokio::sync::Mutex;

use crate::store::StoreError;

use super::deadline::Deadline;
use super::failed;

/// A server. Many operations share each of its connections; one that breaks, or doesn't answer in time, is replaced when
/// it is needed next.
pub(super) struct Node {
    pub(super) address: Arc<str>,
    client: Client,
    /// One is enough, unless commands block the connection that they come by, as `WAIT` does.
    lanes: Box<[Mutex<Option<Link>>]>,
    turn: AtomicUsize,
    made: AtomicU64,
}

#[derive(Clone)]
struct Link {
    number: u64,
    connection: MultiplexedConnection,
}

/// Why there is no answer.
pub(super) enum Silence {
    /// The connection is lost. What was asked may have been done.
    Broken(RedisError),
    /// There was none in time. What was asked may be done yet.
    TimedOut(StoreError),
}

impl Silence {
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Broken(error) => failed(error),
            Self::TimedOut(error) => error,
        }
    }
}

impl Node {
    pub(super) fn new(info: ConnectionInfo, lanes: usize) -> Result<Self, RedisError> {
        let address = info.addr().to_string().into();
        let lanes = (0..lanes.max(1)).map(|_| Mutex::default()).collect();
        Ok(Self {
            address,
            client: Client::open(info)?,
            lanes,
            turn: AtomicUsize::new(0),
            made: AtomicU64::new(0),
        })
    }

    /// Sends commands in one go; what the server said to each, errors too.
    pub(super) async fn ask(&self, commands: &Pipeline, deadline: Deadline) -> Result<Vec<Value>, Silence> {
        let made = self.made.load(Ordering::Relaxed);
        let lane = self.turn.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        let lane = &self.lanes[lane];
        let mut link = match deadline.wait(self.link(lane)).await {
            Ok(link) => link.map_err(Silence::Broken)?,
            Err(passed) => return Err(Silence::TimedOut(passed)),
        };
        let count = commands.len();
        match deadline.wait(link.connection.send_packed_commands(commands, 0, count)).await {
            Ok(Ok(values)) if values.len() == count => Ok(values),
            Ok(Ok(values)) => {
                self.forget(lane, link.number);
                let text = format!("{} answers to {count} commands", values.len());
                Err(Silence::Broken((ErrorKind::UnexpectedReturnType, "the server miscounted", text).into()))
            }
            Ok(Err(error)) => {
                // The others lead to the same server, and have likely ended with it.
                for lane in &self.lanes {
                    self.forget(lane, link.number.max(made));
                }
                Err(Silence::Broken(error))
            }
            // It may be dead without knowing: whoever comes next shouldn't wait for it.
            Err(passed) => {
                self.forget(lane, link.number);
                Err(Silence::TimedOut(passed))
            }
        }
    }

    async fn link(&self, lane: &Mutex<Option<Link>>) -> Result<Link, RedisError> {
        let mut place = lane.lock().await;
        if let Some(link) = &*place {
            return Ok(link.clone());
        }
        // Whoever waits has a deadline of its own.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let link = Link { number: self.made.fetch_add(1, Ordering::Relaxed), connection };
        Ok(place.insert(link).clone())
    }

    /// Forgets a connection with this number or a lower one. Those that use it keep it until they are done.
    fn forget(&self, lane: &Mutex<Option<Link>>, number: u64) {
        // Locked: somebody is replacing it already.
        if let Ok(mut place) = lane.try_lock() {
            place.take_if(|kept| kept.number <= number);
        }
    }
}
