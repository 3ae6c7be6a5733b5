//! A database whose disk is full, on the real programs: its files may not grow past a limit. What was answered is kept, what
//! could not be kept is answered as such, and with room again everything goes on, the refused ones included.

use tonic_types::StatusExt;

use super::server::migrate;
use super::{Cluster, Durability};
use crate::feed::{PEOPLE, load, people};
use crate::kills::{Answer, Outcome, credit, send};
use crate::process::{Server, check_ledger, gongji, run};

#[test]
fn a_full_disk_under_the_database_keeps_what_was_answered_and_goes_on_with_room() {
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    node.sql("CREATE DATABASE gongji");
    migrate(&node.url("gongji"));
    let server = Server::start(gongji(&["serve", "--store", "postgres", "--database-url", &node.url("gongji")]));
    run(async {
        people(&server).await;
        load(&server, 0, 400).await;
    });
    // The largest file now, and a little more.
    let largest = "SELECT max(pg_relation_size(oid)) / 1024 FROM pg_class WHERE relkind IN ('r', 'i', 't')";
    let kib: u64 = crate::postgres::cluster::sql(&node.url("gongji"), largest).parse().expect("a number");
    node.stop();
    // A segment of the log must fit, or the database does not start.
    cluster.start_with_files_below(&node, kib.max(1024) + 16);
    let mut answered: Vec<(usize, Answer)> = Vec::new();
    let mut refused: Vec<usize> = Vec::new();
    let mut number = 0;
    while refused.len() < 20 {
        assert!(number < 20_000, "the disk is never full");
        // Not all files are full at once: what needs no room still works.
        let sent = async { send(&server.channel().await, credit(format!("full-{number}"), number % PEOPLE, 1)).await };
        match run(sent) {
            Outcome::Done { answer, replayed: false } => answered.push((number, answer)),
            Outcome::Refused(status) => {
                let reason = status.get_details_error_info().expect("of ours").reason;
                assert!(["STORE_UNAVAILABLE", "OUTCOME_UNKNOWN"].contains(&reason.as_str()), "{status:?}");
                refused.push(number);
            }
            other => panic!("{number}: {other:?}"),
        }
        number += 1;
    }
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
        assert_eq!(report.records_checked as usize, PEOPLE + 400 + number, "each once");
    });
    let (status, _, log) = server.terminate();
    assert!(status.success() && !log.contains("panicked"), "{log}");
    println!("{} answered and {} refused by a full disk", answered.len(), refused.len());
}
