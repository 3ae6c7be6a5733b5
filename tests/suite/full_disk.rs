//! A disk with no room, on the real program: files that may not grow past a limit, as RLIMIT_FSIZE sets it. What was answered
//! is kept, what could not be kept is not answered, nothing is answered from doubt afterwards, and with room again it goes on.

use std::fs;
use std::path::Path;
use std::process::Command;

use gongji::grpc::proto;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use tempfile::TempDir;
use tonic_types::StatusExt;

use super::feed::{PEOPLE, load, people};
use super::kills::{Answer, Outcome, credit, send};
use super::process::{PROGRAM, Server, check_ledger, ended, gongji, run};

/// The program with files of at most so many KiB. The signal is ignored, so that writes fail as on a full disk.
fn limited(kib: u64, args: &[&str]) -> Command {
    let mut command = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
    command.args(["-c", script, &kib.to_string(), PROGRAM]).args(args);
    command
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn journal_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir.join("data")).expect("reads").map(|entry| entry.expect("reads"));
    let journals = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "jnl"));
    journals.map(|entry| entry.metadata().expect("is there").len()).max().expect("there is a journal")
}

#[test]
fn a_full_disk_keeps_what_was_answered_and_answers_nothing_else() {
    let dir = TempDir::new().expect("a directory");
    let server = Server::on(dir.path(), &[]);
    run(async {
        people(&server).await;
        load(&server, 0, 100).await;
    });
    let (status, _, log) = server.terminate();
    assert!(status.success(), "{log}");
    let room = journal_bytes(dir.path()).div_ceil(1024) + 40;
    let server = Server::start(limited(room, &["serve", "--data-dir", plain(dir.path())]));
    let (answered, refused) = run(async {
        let channel = server.channel().await;
        let mut answered: Vec<(usize, Answer)> = Vec::new();
        for number in 0.. {
            assert!(number < 5_000, "the disk is never full");
            match send(&channel, credit(format!("full-{number}"), number % PEOPLE, 1)).await {
                Outcome::Done { answer, replayed } => {
                    assert!(!replayed);
                    answered.push((number, answer));
                }
                Outcome::Refused(status) => {
                    let reason = status.get_details_error_info().expect("of ours").reason;
                    assert!(["OUTCOME_UNKNOWN", "STORE_UNAVAILABLE"].contains(&reason.as_str()), "{status:?}");
                    break;
                }
                Outcome::Found(_) | Outcome::Unknown => panic!("the connection broke"),
            }
        }
        // Nothing is told from now on, reads included.
        let refused = LedgerServiceClient::new(channel.clone()).get_head(proto::GetHeadRequest::default()).await;
        let watch = proto::WatchRequest { from_position: 1, ..Default::default() };
        let watched = match LedgerServiceClient::new(channel).watch(watch).await {
            Ok(answer) => answer.into_inner().message().await.map(|_| ()),
            Err(status) => Err(status),
        };
        (answered, [refused.map(|_| ()), watched])
    });
    for answer in refused {
        let status = answer.expect_err("nothing is known any more");
        assert_eq!(status.get_details_error_info().expect("of ours").reason, "STORE_UNAVAILABLE", "{status:?}");
    }
    assert!(!answered.is_empty(), "there was some room");
    let log = server.kill();
    assert!(log.contains("cannot be written") && !log.contains("panicked"), "{log}");
    // Without room it says so at the start, or serves what there is; with room it goes on.
    let server = Server::on(dir.path(), &[]);
    run(async {
        let channel = server.channel().await;
        for (number, answer) in &answered {
            let again = send(&channel, credit(format!("full-{number}"), number % PEOPLE, 1)).await;
            let Outcome::Done { answer: found, replayed: true } = again else { panic!("{number} was lost: {again:?}") };
            assert_eq!(found.position(), answer.position());
        }
        load(&server, 100, 200).await;
        check_ledger(channel).await;
    });
    let (status, _, log) = server.terminate();
    assert!(status.success(), "{log}");
    let verified = ended(gongji(&["ledger", "verify", "--data-dir", plain(dir.path())]));
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn a_backup_without_room_is_refused_and_is_no_backup() {
    let dir = TempDir::new().expect("a directory");
    let server = Server::on(dir.path(), &[]);
    run(people(&server));
    let to = TempDir::new().expect("a directory");
    let words = ["backup", "--data-dir", plain(dir.path()), "--to", plain(to.path())];
    let mut command = limited(8, &words);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = ended(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("too large") && !said.contains("panicked"), "{said}");
    assert!(!to.path().join("changes").exists());
    assert!(ended(gongji(&words)).status.success(), "with room it is taken");
    run(async { check_ledger(server.channel().await).await });
}

#[test]
fn a_place_that_cannot_be_written_is_refused_by_name() {
    // Nobody may make a directory there, whoever this is.
    let output = ended(gongji(&["serve", "--data-dir", "/proc/gongji-data"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("/proc/gongji-data cannot be used"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
