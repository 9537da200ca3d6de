//! A server whose memory runs out: rows are lost where it makes room, and none where it may not.

use super::*;
use skewgate::validator::{AdministerError, EnrolError, Reason, Refused, Verdict};

const ROW: &str = "skewgate:user-42";
const MARKER: &str = "skewgate:\u{1}store";

fn server(policy: &str) -> RedisServer {
    let memory = [("maxmemory", "2mb"), ("maxmemory-samples", "64"), ("maxmemory-policy", policy)];
    RedisServer::with(&[DURABLE, &memory].concat())
}

async fn open_evicting(server: &RedisServer) -> Arc<RedisStore> {
    Arc::new(patient(&server.url()).accept_loss(Loss::ByEviction).connect().await.unwrap())
}

/// Some more of somebody else's keys; what the server says to that.
fn fill(server: &RedisServer, batch: usize) -> String {
    let script = "for number = 1, 20 do redis.call('SET', KEYS[1] .. number, string.rep('x', 1000)) end";
    server.cli(&["EVAL", script, "1", &format!("filler:{batch}:")])
}

fn is_there(server: &RedisServer, key: &str) -> bool {
    server.cli(&["EXISTS", key]).trim() == "1"
}

/// Until `key` has made room for others, while `kept` is in use.
async fn evict(server: &RedisServer, key: &str, kept: &str) {
    let mut batch = 0;
    while is_there(server, key) {
        fill(server, batch);
        server.cli(&["TOUCH", kept]);
        batch += 1;
        assert!(batch < 2_000, "{key} stays where it is");
        // What was used last is known to a second.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_there(server, kept));
}

/// A gate, and a token of which a code was used a moment ago.
pub(super) struct Service {
    gate: Validator,
    pub(super) time: Arc<SimTime>,
    token: Token,
    pub(super) used: Attempt,
}

impl Service {
    pub(super) async fn new(store: Arc<RedisStore>) -> Self {
        let time = Arc::new(SimTime::new(TimeInterval::around(NOW, Duration::from_millis(100))));
        let gate = Validator::builder(store, time.clone()).build().unwrap();
        let totp = Totp::builder(&Secret::from_bytes(&[7; 20]).unwrap()).build().unwrap();
        let token = Token::new(TokenId::new("user-42").unwrap(), totp);
        let used = Attempt::parse("000000").unwrap();
        let mut service = Self { gate, time, token, used };
        service.gate.enrol(&service.token, &service.shown(0)).await.unwrap();
        service.time.advance(Duration::from_secs(60));
        service.used = service.shown(0);
        assert!(service.show(&service.used).await.is_accepted());
        service.refuses_the_used_code().await;
        service
    }

    /// The code of so many steps ago.
    pub(super) fn shown(&self, ago: i64) -> Attempt {
        let totp = self.token.totp();
        let now = totp.step_at(self.time.now().unwrap().midpoint()).unwrap();
        Attempt::one(totp.code_at(TimeStep::new(now.get() - ago).unwrap()))
    }

    pub(super) async fn show(&self, attempt: &Attempt) -> Verdict {
        self.gate.validate(Some(&self.token), attempt).await
    }

    pub(super) async fn refusal(&self, attempt: &Attempt) -> Refused {
        match self.show(attempt).await {
            Verdict::Refused(refused) => refused,
            Verdict::Accepted(accepted) => panic!("{accepted:?}"),
        }
    }

    pub(super) async fn refuses_the_used_code(&self) {
        let refused = self.refusal(&self.used).await;
        assert!(matches!(refused.reason(), Reason::Replay), "{refused:?}");
    }
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn an_evicted_token_lets_nobody_in_until_it_is_enrolled_anew() {
    let server = server("allkeys-lru");
    run(async {
        let store = open_evicting(&server).await;
        let service = Service::new(store.clone()).await;
        let late = decided(&store, "user-42", accept(60_000_000)).await.unwrap();
        evict(&server, ROW, MARKER).await;
        assert_eq!(store.write(&key("user-42"), late).await.unwrap(), Written::Missing);
        for attempt in [&service.used, &service.shown(-1)] {
            let refused = service.refusal(attempt).await;
            assert!(matches!(refused.reason(), Reason::NotEnrolled), "{refused:?}");
        }
        assert!(!is_there(&server, ROW));
        // By an older code, with the secret that it had.
        service.gate.enrol(&service.token, &service.shown(1)).await.unwrap();
        assert!(service.show(&service.used).await.is_accepted(), "this is what is lost");
    });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn an_evicted_marker_is_noticed_and_brings_no_used_code_back() {
    let server = server("allkeys-lru");
    run(async {
        let service = Service::new(open_evicting(&server).await).await;
        evict(&server, MARKER, ROW).await;
        let refused = service.refusal(&service.used).await;
        assert!(matches!(refused.reason(), Reason::StoreReplaced), "{refused:?}");
        for _ in 0..5 {
            for attempt in [&service.used, &service.shown(0)] {
                assert!(!service.show(attempt).await.is_accepted());
            }
            service.time.advance(Duration::from_secs(60));
        }
        service.time.advance(Duration::from_secs(60));
        assert!(service.show(&service.shown(0)).await.is_accepted());
    });
}

/// `volatile-…` takes keys that expire, which are others' here, and is as `noeviction` where there are none.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn what_expires_makes_room_for_what_does_not() {
    for policy in ["volatile-lru", "volatile-ttl"] {
        let server = server(policy);
        run(async {
            let service = Service::new(Arc::new(open(&server).await)).await;
            let script = "for number = 1, 20 do redis.call('SET', KEYS[1] .. number, string.rep('x', 1000), 'EX', 1000) end";
            let evicted = || !server.cli(&["INFO", "stats"]).contains("evicted_keys:0\r");
            for batch in 0..200 {
                server.cli(&["EVAL", script, "1", &format!("expiring:{batch}:")]);
            }
            assert!(evicted());
            let mut batch = 0;
            while !fill(&server, batch).contains("OOM") {
                batch += 1;
            }
            for key in [ROW, MARKER] {
                assert!(is_there(&server, key));
            }
            service.refuses_the_used_code().await;
        });
    }
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_full_server_that_evicts_nothing_loses_nothing_and_lets_nobody_in() {
    let server = server("noeviction");
    run(async {
        let store = Arc::new(open(&server).await);
        let service = Service::new(store.clone()).await;
        let mut batch = 0;
        while !fill(&server, batch).contains("OOM") {
            batch += 1;
        }
        // What redis-cli itself takes is free again.
        server.cli(&["CONFIG", "SET", "maxmemory", "1536kb"]);
        service.time.advance(Duration::from_secs(30));
        let fresh = service.shown(0);
        for attempt in [&fresh, &Attempt::parse("000000").unwrap()] {
            let refused = service.refusal(attempt).await;
            assert!(matches!(refused.reason(), Reason::StoreFailed(_)), "{refused:?}");
        }
        let row = store.load(&key("user-42")).await.unwrap().row;
        assert_eq!(row.budget.unwrap().failures(), 0, "nobody has paid");
        let another = Token::new(TokenId::new("user-43").unwrap(), service.token.totp().clone());
        let enrolled = service.gate.enrol(&another, &fresh).await;
        assert!(matches!(enrolled, Err(EnrolError::StoreFailed(_))), "{enrolled:?}");
        let restored = service.gate.restored().await;
        assert!(matches!(restored, Err(AdministerError::StoreFailed(_))), "{restored:?}");
        service.refuses_the_used_code().await;

        let script = "for _, key in ipairs(redis.call('KEYS', 'filler:*')) do redis.call('DEL', key) end";
        server.cli(&["EVAL", script, "0"]);
        service.refuses_the_used_code().await;
        assert!(service.show(&fresh).await.is_accepted(), "it was not used");
        let refused = service.refusal(&fresh).await;
        assert!(matches!(refused.reason(), Reason::Replay), "{refused:?}");
    });
}
