//! A database whose disk is full, on the real programs: its files may not grow past a limit, or the disk itself is small. What
//! was answered is kept, what could not be kept is answered as such, and with room again everything goes on, the refused ones
//! included.

use tonic_types::StatusExt;

use super::cluster::sql;
use super::{Cluster, Durability, Node};
use crate::feed::{PEOPLE, load, people};
use crate::kills::{Answer, Outcome, credit, send};
use crate::process::{PATIENCE, Server, check_ledger, ended, gongji, run, wait_until};

fn serve(node: &Node, more: &[&str]) -> Server {
    node.sql("CREATE DATABASE gongji");
    let url = node.url("gongji");
    let made = ended(gongji(&["migrate", "up", "--database-url", &url]));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = Server::start(gongji(&[&["serve", "--store", "postgres", "--database-url", &url], more].concat()));
    run(people(&server));
    server
}

/// What was asked of a database without room, by number.
#[derive(Default)]
struct Asked {
    answered: Vec<(usize, Answer)>,
    refused: Vec<usize>,
}

fn ask(channel: &tonic::transport::Channel, number: usize) -> impl Future<Output = Outcome> {
    send(channel, credit(format!("full-{number}"), number % PEOPLE, 1))
}

impl Asked {
    /// Until so many were refused, each in words that say so.
    async fn until_refused(&mut self, server: &Server, many: usize) {
        let channel = server.channel().await;
        for number in 0.. {
            if self.refused.len() == many {
                return;
            }
            assert!(number < 20_000, "the disk is never full");
            // Not all files are full at once: what needs no room still works.
            match ask(&channel, number).await {
                Outcome::Done { answer, replayed: false } => self.answered.push((number, answer)),
                Outcome::Refused(status) => {
                    let reason = status.get_details_error_info().expect("of ours").reason;
                    let known = ["STORE_UNAVAILABLE", "STORE_FULL", "OUTCOME_UNKNOWN"];
                    assert!(known.contains(&reason.as_str()), "{status:?}");
                    self.refused.push(number);
                }
                other => panic!("{number}: {other:?}"),
            }
        }
    }

    /// With room again: what was answered is there, what was refused is done now, and nothing else; `before` were there.
    fn goes_on(self, server: Server, before: usize) {
        run(server.healthy());
        run(async {
            let channel = server.channel().await;
            for (number, answer) in &self.answered {
                let again = ask(&channel, *number).await;
                let Outcome::Done { answer: found, replayed: true } = again else {
                    panic!("{number} was lost: {again:?}")
                };
                assert_eq!(found.position(), answer.position());
            }
            for number in &self.refused {
                let again = ask(&channel, *number).await;
                assert!(matches!(again, Outcome::Done { .. }), "{number} is done with room: {again:?}");
            }
            let report = check_ledger(channel).await;
            let all = before + self.answered.len() + self.refused.len();
            assert_eq!(report.records_checked as usize, all, "each once");
        });
        let (status, _, log) = server.terminate();
        assert!(status.success() && !log.contains("panicked"), "{log}");
        println!("{} answered and {} refused by a full disk", self.answered.len(), self.refused.len());
    }
}

#[test]
fn a_full_disk_under_the_database_keeps_what_was_answered_and_goes_on_with_room() {
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    let server = serve(&node, &[]);
    // A segment of the log is 1 MiB and must fit, or the database does not start. Until the ledger is nearly as large:
    let largest = "SELECT max(pg_relation_size(oid)) / 1024 FROM pg_class WHERE oid::regclass::text LIKE 'gongji%'";
    let kib = || -> u64 { sql(&node.url("gongji"), largest).parse().expect("a number") };
    let mut done = 0;
    while kib() < 1_000 {
        done += run(load(&server, done, done + 400));
    }
    let room = kib().max(1_024) + 8;
    node.stop();
    cluster.start_with_files_below(&node, room);
    let mut asked = Asked::default();
    run(asked.until_refused(&server, 8));
    assert!(!asked.answered.is_empty(), "there was some room");
    assert!(node.log().contains("could not extend file"), "{}", node.log());
    node.stop();
    cluster.start(&node);
    asked.goes_on(server, PEOPLE + done as usize);
}

/// The database's log is on the same disk, so PostgreSQL itself goes down, and up again when there is room.
#[test]
fn a_disk_without_a_byte_left_under_the_database_and_its_log_does_the_same() {
    let mut cluster = Cluster::new();
    // Its log is not given back while it is small, so that it needs room soon.
    let Some(node) = cluster.node_on_small_disk("small", 128, &[("min_wal_size", "2MB")]) else { return };
    let server =
        serve(&node, &["--database-wait-ms", "200", "--database-commit-ms", "500", "--database-lock-ms", "200"]);
    node.fill_disk(1_500);
    let mut asked = Asked::default();
    run(asked.until_refused(&server, 8));
    assert!(!asked.answered.is_empty(), "there was some room");
    assert!(node.log().contains("No space left on device"), "{}", node.log());
    node.empty_disk();
    // It may have given up by itself meanwhile, or be on its way back.
    let answers = wait_until("PostgreSQL, or its end", PATIENCE, || {
        match super::cluster::try_sql(&node.url("postgres"), "SELECT 1") {
            Ok(_) => Some(true),
            Err(_) => (!node.runs()).then_some(false),
        }
    });
    if !answers {
        cluster.start(&node);
    }
    asked.goes_on(server, PEOPLE);
}
