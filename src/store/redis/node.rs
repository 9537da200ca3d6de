//! One server, and the connections to it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, Pipeline, RedisError, Value, cmd};
use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep};

use crate::store::StoreError;

use super::deadline::Deadline;
use super::failed;

/// How long to wait for an answer before asking whether anybody will give one. Long beside a round trip, short beside a deadline.
const PATIENCE: Duration = Duration::from_millis(50);

/// How old a connection must be to be given up because of who answers: its address was looked up a moment ago otherwise. While
/// an address leads to nobody but a replica, loads don't connect any faster than this.
const FRESH: Duration = Duration::from_millis(100);

/// A server. Many operations share each of its connections; one that breaks, or doesn't answer in time, is replaced when
/// it is needed next.
pub(super) struct Node {
    pub(super) address: Arc<str>,
    client: Client,
    /// One is enough, unless commands block the connection that they come by, as `WAIT` does.
    lanes: Box<[Lane]>,
    turn: AtomicUsize,
    made: AtomicU64,
}

/// Where a connection is kept. Held for a moment only: what is dead can be taken away however many wait for its successor.
#[derive(Default)]
struct Lane {
    link: Mutex<Option<Link>>,
    connecting: tokio::sync::Mutex<()>,
}

impl Lane {
    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a connection that was made before that many others. Those that use it keep it until they are done.
    fn forget(&self, made: u64) {
        self.link().take_if(|kept| kept.number < made);
    }
}

#[derive(Clone)]
struct Link {
    /// How many were made before it.
    number: u64,
    since: Instant,
    connection: MultiplexedConnection,
}

/// What a server said.
pub(super) struct Said {
    pub(super) values: Vec<Value>,
    pub(super) way: Way,
}

/// By which connection that came.
#[derive(Clone, Copy)]
pub(super) struct Way {
    since: Instant,
    /// What was made before that many is as old as the question, or older.
    made: u64,
}

impl Link {
    /// What is sent in the very moment in which a connection ends may be taken in by its queue after that was emptied for the last time
    /// (redis-rs 1.8): it is neither sent nor refused. So who has waited for long sends something after it: a connection that ended refuses
    /// that, and one that lives answers in order.
    async fn ask(&self, commands: &Pipeline, count: usize) -> Result<Vec<Value>, RedisError> {
        let (mut connection, mut behind) = (self.connection.clone(), self.connection.clone());
        let answer = std::pin::pin!(connection.send_packed_commands(commands, 0, count));
        let last = std::pin::pin!(async {
            sleep(PATIENCE).await;
            behind.send_packed_command(&cmd("PING")).await
        });
        match select(answer, last).await {
            Either::Left((answer, _)) => answer,
            Either::Right((Err(broken), _)) => Err(broken),
            Either::Right((Ok(_), _)) => {
                Err((ErrorKind::Io, "the connection ended before the question was sent").into())
            }
        }
    }
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
        let lanes = (0..lanes.max(1)).map(|_| Lane::default()).collect();
        Ok(Self {
            address,
            client: Client::open(info)?,
            lanes,
            turn: AtomicUsize::new(0),
            made: AtomicU64::new(0),
        })
    }

    /// Sends commands in one go; what the server said to each, errors too.
    pub(super) async fn ask(&self, commands: &Pipeline, deadline: Deadline) -> Result<Said, Silence> {
        let made = self.made.load(Ordering::Relaxed);
        let lane = self.turn.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        let lane = &self.lanes[lane];
        let link = match deadline.wait(self.link(lane)).await {
            Ok(link) => link.map_err(Silence::Broken)?,
            Err(passed) => return Err(Silence::TimedOut(passed)),
        };
        let count = commands.len();
        let made = made.max(link.number + 1);
        match deadline.wait(link.ask(commands, count)).await {
            Ok(Ok(values)) if values.len() == count => {
                Ok(Said { values, way: Way { since: link.since, made } })
            }
            Ok(Ok(values)) => {
                lane.forget(link.number + 1);
                let text = format!("{} answers to {count} commands", values.len());
                Err(Silence::Broken((ErrorKind::UnexpectedReturnType, "the server miscounted", text).into()))
            }
            Ok(Err(error)) => {
                // The others lead to the same server, and have likely ended with it.
                self.forget(made);
                Err(Silence::Broken(error))
            }
            // It may be dead without knowing: whoever comes next shouldn't wait for it.
            Err(passed) => {
                lane.forget(link.number + 1);
                Err(Silence::TimedOut(passed))
            }
        }
    }

    fn forget(&self, made: u64) {
        for lane in &self.lanes {
            lane.forget(made);
        }
    }

    /// Gives up the connections to a server that can't be the right one: a failover leaves them open, and the address, be it a name
    /// or a virtual one, may lead to its successor by now. False where it was looked up too lately to try that.
    pub(super) fn leave(&self, way: Way) -> bool {
        let is_old = way.since.elapsed() >= FRESH;
        if is_old {
            self.forget(way.made);
        }
        is_old
    }

    async fn link(&self, lane: &Lane) -> Result<Link, RedisError> {
        if let Some(link) = &*lane.link() {
            return Ok(link.clone());
        }
        let _one_at_a_time = lane.connecting.lock().await;
        if let Some(link) = &*lane.link() {
            return Ok(link.clone());
        }
        // Whoever waits has a deadline of its own.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let link = Link { number, since: Instant::now(), connection };
        Ok(lane.link().insert(link).clone())
    }
}
