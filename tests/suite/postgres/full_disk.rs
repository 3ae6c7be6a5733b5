//! A database whose disk is full, on the real programs: its files may not grow past a limit. What was answered is kept, what
//! could not be kept is answered as such, and with room again everything goes on, the refused ones included.

use tonic_types::StatusExt;

use super::cluster::sql;
use super::{Cluster, Durability};
use crate::feed::{PEOPLE, load, people};
use crate::kills::{Answer, Outcome, credit, send};
use crate::process::{Server, check_ledger, ended, gongji, run};

#[test]
fn a_full_disk_under_the_database_keeps_what_was_answered_and_goes_on_with_room() {
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    node.sql("CREATE DATABASE gongji");
    let made = ended(gongji(&["migrate", "up", "--database-url", &node.url("gongji")]));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = Server::start(gongji(&["serve", "--store", "postgres", "--database-url", &node.url("gongji")]));
    run(people(&server));
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
    let mut answered: Vec<(usize, Answer)> = Vec::new();
    let mut refused: Vec<usize> = Vec::new();
    let mut number = 0;
    run(async {
        let channel = server.channel().await;
        while refused.len() < 8 {
            assert!(number < 20_000, "the disk is never full");
            // Not all files are full at once: what needs no room still works.
            match send(&channel, credit(format!("full-{number}"), number % PEOPLE, 1)).await {
                Outcome::Done { answer, replayed: false } => answered.push((number, answer)),
                Outcome::Refused(status) => {
                    let reason = status.get_details_error_info().expect("of ours").reason;
                    let known = ["STORE_UNAVAILABLE", "STORE_FULL", "OUTCOME_UNKNOWN"];
                    assert!(known.contains(&reason.as_str()), "{status:?}");
                    refused.push(number);
                }
                other => panic!("{number}: {other:?}"),
            }
            number += 1;
        }
    });
    assert!(!answered.is_empty(), "there was some room");
    assert!(node.log().contains("could not extend file"), "{}", node.log());
    node.stop();
    cluster.start(&node);
    run(server.healthy());
    run(async {
        let channel = server.channel().await;
        for (number, answer) in &answered {
            let again = send(&channel, credit(format!("full-{number}"), number % PEOPLE, 1)).await;
            let Outcome::Done { answer: found, replayed: true } = again else { panic!("{number} was lost: {again:?}") };
            assert_eq!(found.position(), answer.position());
        }
        for number in &refused {
            let again = send(&channel, credit(format!("full-{number}"), number % PEOPLE, 1)).await;
            assert!(matches!(again, Outcome::Done { .. }), "{number} is done with room: {again:?}");
        }
        let report = check_ledger(channel).await;
        assert_eq!(report.records_checked as usize, PEOPLE + done as usize + number, "each once");
    });
    let (status, _, log) = server.terminate();
    assert!(status.success() && !log.contains("panicked"), "{log}");
    println!("{} answered and {} refused by a full disk", answered.len(), refused.len());
}
