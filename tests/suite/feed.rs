//! Watch under load, on the real program: a consumer that is killed and comes back, a server that is, and consumers that
//! do not read.
//!
//! `GONGJI_WATCH_RECORDS=500000 GONGJI_WATCH_RESUMES=200 cargo test --test suite feed:: -- --nocapture` is the long run;
//! `GONGJI_SEED=…` takes that seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gongji::domain::time::Moment;
use gongji::grpc::proto;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use gongji::ledger::page::{hex, unhex};
use gongji::store::Head;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Streaming;
use tonic::transport::Channel;

use super::kills::{Op, Outcome, credit, person, send};
use super::process::{Dice, PATIENCE, Replay, Server, check_ledger, from_env, gongji, run};

/// Accounts that are credited, and calls at once.
pub const PEOPLE: usize = 64;
const CONNECTIONS: usize = 4;

/// A consumer: what it has, as far as it can prove it.
pub struct Consumer {
    pub head: Head,
}

impl Default for Consumer {
    fn default() -> Self {
        Self { head: Head::EMPTY }
    }
}

impl Consumer {
    async fn open(&self, channel: Channel) -> Streaming<proto::WatchResponse> {
        let from_position = i64::try_from(self.head.position + 1).expect("small");
        let after_digest = hex(&self.head.link);
        let request = proto::WatchRequest { from_position, after_digest, ..Default::default() };
        LedgerServiceClient::new(channel).watch(request).await.expect("the watch goes on where it was").into_inner()
    }

    /// Each record once, in order, linked to the one before.
    fn hear(&mut self, message: proto::WatchResponse) {
        for record in &message.records {
            let at = record.committed_at.expect("set");
            let at = Moment::from_micros(at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000);
            let next = self.head.next(&unhex(&record.content_hash).expect("a digest"), at);
            let told = (record.position, record.link.clone());
            assert_eq!(told, (i64::try_from(next.position).expect("small"), hex(&next.link)), "the next in the chain");
            self.head = next;
        }
        let checkpoint = message.checkpoint.expect("set");
        let ours = (i64::try_from(self.head.position).expect("small"), hex(&self.head.link));
        assert_eq!((checkpoint.position, checkpoint.digest), ours, "nothing is left out without a filter");
    }

    /// Reads until it has so many records, and goes away without a word.
    pub async fn read_until(&mut self, server: &Server, position: u64) {
        let mut feed = self.open(server.channel().await).await;
        while self.head.position < position {
            let message = tokio::time::timeout(PATIENCE, feed.message()).await.expect("a sign of life");
            self.hear(message.expect("the server serves").expect("a watch has no end"));
        }
    }
}

/// Credits accounts from several connections until so many are done; returns how many the ledger holds then.
pub async fn load(server: &Server, from: u64, until: u64) -> u64 {
    let next = Arc::new(AtomicU64::new(from));
    let mut hands = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let channel = server.channel().await;
        for _ in 0..PEOPLE / CONNECTIONS {
            let (channel, next) = (channel.clone(), next.clone());
            hands.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= until {
                        return;
                    }
                    let op = credit(format!("load-{number}"), number as usize % PEOPLE, 1);
                    let outcome = send(&channel, op).await;
                    assert!(matches!(outcome, Outcome::Done { replayed: false, .. }), "{outcome:?}");
                }
            });
        }
    }
    while let Some(done) = hands.join_next().await {
        done.expect("no panic");
    }
    until - from
}

pub async fn people(server: &Server) {
    let channel = server.channel().await;
    for number in 0..PEOPLE {
        let outcome = send(&channel, Op::clone(&person(number, true))).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    }
}

#[test]
fn a_consumer_that_is_killed_again_and_again_has_each_record_once() {
    let records = from_env("GONGJI_WATCH_RECORDS", 3_000);
    let resumes = from_env("GONGJI_WATCH_RESUMES", 20);
    let seed = from_env("GONGJI_SEED", 0xfeed);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_WATCH_RECORDS={records} GONGJI_WATCH_RESUMES={resumes} cargo test --test suite feed::"
    ));
    let began = Instant::now();
    let dir = TempDir::new().expect("a directory");
    let mut dice = Dice::new(seed);
    let mut consumer = Consumer::default();
    let first = PEOPLE as u64;
    let half = records / 2;
    // The server is killed in the middle; the consumer comes back to the one that is started on what it left.
    for (place, (from, until)) in [(0, half), (half, records)].into_iter().enumerate() {
        let server = Server::on(dir.path(), &["--log", "warn,gongji=info"]);
        run(async {
            if place == 0 {
                people(&server).await;
            }
            let read = async {
                let (start, end) = (consumer.head.position, first + until);
                let step = (end - start) / (resumes / 2).max(1);
                for number in 1..resumes / 2 {
                    let aim = start + number * step + dice.next() % step.max(1);
                    consumer.read_until(&server, aim.min(end)).await;
                }
                consumer.read_until(&server, end).await;
            };
            tokio::join!(load(&server, from, until), read);
            assert_eq!(consumer.head.position, first + until, "and nothing beside");
            check_ledger(server.channel().await).await;
        });
        server.kill();
    }
    println!("{records} records, {resumes} resumes, one kill of the server: {:.1?}", began.elapsed());
}

/// Resident memory in bytes.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kib: u64 = line.trim().split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    kib << 10
}

#[test]
fn consumers_that_do_not_read_cost_little_and_delay_nobody() {
    const STALLED: u64 = 20;
    let records = from_env("GONGJI_WATCH_RECORDS", 3_000).max(2_000);
    let server = Server::start(gongji(&["serve", "--store", "memory"]));
    run(async {
        people(&server).await;
        load(&server, 0, records).await;
        Consumer::default().read_until(&server, records).await;
    });
    let before = resident(&server);
    // Their runtime stands still from here on, so nobody takes what is sent; they had asked for as much as there is.
    let stalled = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let feeds = stalled.block_on(async {
        let mut feeds = Vec::new();
        for _ in 0..STALLED {
            let endpoint =
                server.endpoint().initial_stream_window_size(64 << 20).initial_connection_window_size(64 << 20);
            let channel = endpoint.connect().await.expect("connects");
            feeds.push((Consumer::default().open(channel.clone()).await, channel));
        }
        feeds
    });
    run(async {
        load(&server, records, 2 * records).await;
        let mut reader = Consumer::default();
        reader.read_until(&server, 2 * records + PEOPLE as u64).await;
        check_ledger(server.channel().await).await;
    });
    let with = resident(&server);
    drop(feeds);
    drop(stalled);
    run(async { check_ledger(server.channel().await).await });
    // The load itself costs as much again without anybody who stalls.
    run(async { load(&server, 2 * records, 3 * records).await });
    let without = resident(&server);
    let each = with.saturating_sub(before) / STALLED;
    println!(
        "{STALLED} consumers that do not read, {records} more records meanwhile: {} KiB each, the load itself included; \
         resident {} MiB before, {} MiB with, {} MiB after as many records again",
        each >> 10,
        before >> 20,
        with >> 20,
        without >> 20
    );
    assert!(each <= 5 << 20, "{each} bytes each");
}
