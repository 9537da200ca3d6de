//! Exchanges of the engine for each second of the client's processor, beside two others in the same run:
//!
//! - sntpc on a tokio socket for each target, 256 in flight: how one does it without an engine;
//! - the floor: `sendmmsg` and `recvmmsg` of 48 bytes and no NTP at all, with the engine's batches and as many in flight.
//!
//! Ten thousand targets, every one an address of its own in 127.0.0.0/8, one reply from each, no pacing. The responder is a process
//! of its own, so that the client's processor time is the client's. `cargo bench --bench engine`; with a name behind `--`
//! (`skewgate`, `sntpc`, `floor`) only that one runs, for a profiler.

fn main() {
    #[cfg(all(target_os = "linux", feature = "ntp"))]
    linux::main();
    #[cfg(not(all(target_os = "linux", feature = "ntp")))]
    println!("this measures batched system calls of Linux, with the feature ntp");
}

#[cfg(all(target_os = "linux", feature = "ntp"))]
mod linux {
    use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Read};
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg, sockopt};
    use rustix::time::{ClockId, clock_gettime};
    use skewgate::ntp::{Announcement, AskOptions, Pace, ReferenceId, Responder, Service, ask};
    use skewgate::time::os::OsClock;

    const TARGETS: usize = 10_000;
    const ROUNDS: usize = 15;
    /// How long a reply is waited for, in all three; nothing is sent twice.
    const TIMEOUT: Duration = Duration::from_secs(1);
    /// As the engine's.
    const BATCH: usize = 32;
    /// The engine's default; its buffer holds as many here, or it says so.
    const IN_FLIGHT: usize = 4_096;
    const SOCKETS_IN_FLIGHT: usize = 256;

    const RESPOND: &str = "respond";

    type Case = (&'static str, fn(&[SocketAddr]) -> usize);
    const CASES: [Case; 3] = [("skewgate", skewgate), ("sntpc", sntpc_with_tokio), ("floor", floor)];

    pub(super) fn main() {
        let named = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
        if named.as_deref() == Some(RESPOND) {
            return respond();
        }
        let cases: Vec<Case> =
            CASES.into_iter().filter(|(name, _)| named.as_ref().is_none_or(|named| named == name)).collect();
        let server = Server::start();
        let targets: Vec<SocketAddr> = (0..TARGETS).map(|index| target(index, server.port)).collect();

        let mut figures = vec![Vec::new(); cases.len()];
        for round in 0..=ROUNDS {
            for ((_, run), figures) in cases.iter().zip(&mut figures) {
                let (cpu, wall) = (now(ClockId::ProcessCPUTime), now(ClockId::Monotonic));
                let answered = run(&targets);
                let (cpu, wall) = (now(ClockId::ProcessCPUTime) - cpu, now(ClockId::Monotonic) - wall);
                // The first round warms up.
                if round > 0 {
                    let count = f64::from(u32::try_from(answered).expect("ten thousand"));
                    figures.push(Figures {
                        for_cpu: count / cpu.as_secs_f64(),
                        for_wall: count / wall.as_secs_f64(),
                        lost: TARGETS - answered,
                    });
                }
            }
        }
        drop(server);
        report(&cases, &figures);
    }

    #[derive(Clone)]
    struct Figures {
        for_cpu: f64,
        for_wall: f64,
        lost: usize,
    }

    fn report(cases: &[Case], figures: &[Vec<Figures>]) {
        println!("{TARGETS} targets on loopback, {ROUNDS} rounds; medians\n");
        println!("{:10} {:>24} {:>18} {:>6}", "", "exchanges / CPU-second", "exchanges / second", "lost");
        for ((name, _), figures) in cases.iter().zip(figures) {
            println!(
                "{name:10} {:>24.0} {:>18.0} {:>6}",
                median(figures.iter().map(|figures| figures.for_cpu)),
                median(figures.iter().map(|figures| figures.for_wall)),
                figures.iter().map(|figures| figures.lost).sum::<usize>(),
            );
        }
        let [ours, others @ ..] = figures else { return };
        println!();
        for ((name, _), other) in cases.iter().skip(1).zip(others) {
            // Of one round each: what else the machine does meanwhile slows both.
            let ratios = ours.iter().zip(other).map(|(ours, other)| ours.for_cpu / other.for_cpu);
            println!("{} / {name}, for each CPU-second: {:.2}", cases[0].0, median(ratios));
        }
    }

    fn median(values: impl Iterator<Item = f64>) -> f64 {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    #[expect(clippy::disallowed_methods, reason = "a stopwatch, and what sntpc is told")]
    fn now(clock: ClockId) -> Duration {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
        Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).expect("less than a second"))
    }

    // --- The server, in a process of its own ---------------------------------------------------------------

    /// Ends with its standard input, which is its parent's end at the latest.
    fn respond() {
        // As most servers are: at stratum 3, and following another, so that the check for reference loops has its cost.
        let announcement = Announcement::synchronised(3)
            .expect("a stratum")
            .with_reference_id(ReferenceId::from_bytes([192, 0, 2, 1]));
        let service = Service { announcement, rate_limit: None, ..Service::default() };
        let server = Responder::serve((Ipv4Addr::UNSPECIFIED, 0).into(), service, OsClock).expect("a port");
        println!("{}", server.address().port());
        let _ = std::io::stdin().read(&mut [0]);
    }

    struct Server {
        process: Child,
        port: u16,
    }

    impl Server {
        fn start() -> Self {
            let mut process = Command::new(std::env::current_exe().expect("this program"))
                .arg(RESPOND)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a second process of this program");
            let mut line = String::new();
            let output = process.stdout.take().expect("it is piped");
            BufReader::new(output).read_line(&mut line).expect("the port");
            Self { process, port: line.trim().parse().expect("a port") }
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            drop(self.process.stdin.take());
            let _ = self.process.wait();
        }
    }

    fn target(index: usize, port: u16) -> SocketAddr {
        let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
        let offset = u32::try_from(index).expect("fewer than there are addresses");
        (Ipv4Addr::from(first + offset), port).into()
    }

    // --- The engine ----------------------------------------------------------------------------------------

    fn skewgate(targets: &[SocketAddr]) -> usize {
        let pace = Pace {
            samples: 1,
            timeout: TIMEOUT,
            retries: 0,
            max_rate: None,
            max_in_flight: IN_FLIGHT,
            ..Pace::default()
        };
        let answers = ask(targets.iter().copied(), &AskOptions { pace, ..AskOptions::default() }, &OsClock);
        answers.iter().filter(|answer| answer.samples.len() == 1).count()
    }

    // --- sntpc with tokio ----------------------------------------------------------------------------------

    struct TokioSocket(tokio::net::UdpSocket);

    impl sntpc::NtpUdpSocket for TokioSocket {
        async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> sntpc::Result<usize> {
            self.0.send_to(bytes, to).await.map_err(|_| sntpc::Error::Network)
        }

        async fn recv_from(&self, bytes: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
            self.0.recv_from(bytes).await.map_err(|_| sntpc::Error::Network)
        }
    }

    #[derive(Clone, Copy, Default)]
    struct SystemClock(Duration);

    impl sntpc::NtpTimestampGenerator for SystemClock {
        fn init(&mut self) {
            self.0 = now(ClockId::Realtime);
        }

        fn timestamp_sec(&self) -> u64 {
            self.0.as_secs()
        }

        fn timestamp_subsec_micros(&self) -> u32 {
            self.0.subsec_micros()
        }
    }

    fn sntpc_with_tokio(targets: &[SocketAddr]) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let targets: Arc<[SocketAddr]> = targets.into();
            let next = Arc::new(AtomicUsize::new(0));
            let workers: Vec<_> = (0..SOCKETS_IN_FLIGHT)
                .map(|_| tokio::spawn(exchange_in_turn(Arc::clone(&targets), Arc::clone(&next))))
                .collect();
            let mut answered = 0;
            for worker in workers {
                answered += worker.await.expect("no panic");
            }
            answered
        })
    }

    /// Asks the next target until there is none left; how many answered.
    async fn exchange_in_turn(targets: Arc<[SocketAddr]>, next: Arc<AtomicUsize>) -> usize {
        let mut answered = 0;
        while let Some(&target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let socket = TokioSocket(tokio::net::UdpSocket::bind("0.0.0.0:0").await.expect("a socket"));
            let context = sntpc::NtpContext::new(SystemClock::default());
            let reply = tokio::time::timeout(TIMEOUT, sntpc::get_time(target, &socket, context)).await;
            answered += usize::from(matches!(reply, Ok(Ok(_))));
        }
        answered
    }

    // --- The floor -----------------------------------------------------------------------------------------

    fn floor(targets: &[SocketAddr]) -> usize {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        sockopt::set_socket_recv_buffer_size(&socket, 4 << 20).expect("a receive buffer");
        let addresses: Vec<SocketAddrAny> = targets.iter().map(|&target| target.into()).collect();
        // LI 0, version 4, mode 3: enough for the responder.
        let mut request = [0; 48];
        request[0] = 0x23;
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        let mut buffers = [[0; 48]; BATCH];
        let (mut sent, mut received) = (0, 0);
        let patience = Timespec { tv_sec: 1, tv_nsec: 0 };
        while received < targets.len() {
            let batch = (targets.len() - sent).min(IN_FLIGHT - (sent - received)).min(BATCH);
            if batch > 0 {
                sent += send_batch(&socket, &addresses[sent..sent + batch], &request);
            }
            let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let flags = MsgFlags::MSG_DONTWAIT;
            match recvmmsg(socket.as_raw_fd(), &mut headers, &mut slices, flags, None) {
                Ok(messages) => received += messages.count(),
                Err(nix::Error::EAGAIN) if sent - received < IN_FLIGHT && sent < targets.len() => {}
                Err(nix::Error::EAGAIN) => {
                    let mut wait = [PollFd::new(&socket, PollFlags::IN)];
                    if poll(&mut wait, Some(&patience)).expect("poll") == 0 {
                        break;
                    }
                }
                Err(error) => panic!("recvmmsg: {error}"),
            }
        }
        received
    }

    fn send_batch(socket: &UdpSocket, addresses: &[SocketAddrAny], request: &[u8; 48]) -> usize {
        let parts = [IoSlice::new(request)];
        let mut controls: [SendAncillaryBuffer<'_, '_, '_>; BATCH] = Default::default();
        let mut headers: Vec<_> = addresses
            .iter()
            .zip(&mut controls)
            .map(|(address, control)| MMsgHdr::new_with_addr(address, &parts, control))
            .collect();
        sendmmsg(socket, &mut headers, SendFlags::empty()).expect("sendmmsg")
    }
}
