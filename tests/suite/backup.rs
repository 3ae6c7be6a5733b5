//! Backups of the real program: taken under load, restored to what was durable, refused when they are not whole.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use gongji::grpc::proto;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use tempfile::TempDir;

use super::feed::{PEOPLE, load, people};
use super::kills::{Outcome, credit, send};
use super::process::{Dice, Replay, Server, check_ledger, ended, from_env, gongji, run};

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn backup(data: &Path, to: &Path) -> Output {
    ended(gongji(&["backup", "--data-dir", plain(data), "--to", plain(to)]))
}

fn restore(from: &Path, data: &Path) -> Output {
    ended(gongji(&["restore", "--from", plain(from), "--data-dir", plain(data)]))
}

#[track_caller]
fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("panicked"), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A no in one line, which says this.
#[track_caller]
fn refused(output: &Output, part: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(part) && !said.contains("panicked"), "{said}");
}

async fn head(server: &Server) -> proto::Head {
    let head = LedgerServiceClient::new(server.channel().await).get_head(proto::GetHeadRequest::default()).await;
    head.expect("a head").into_inner().head.expect("set")
}

async fn record(server: &Server, position: i64) -> proto::Record {
    let request = proto::ListRecordsRequest { from_position: position, page_size: 1, ..Default::default() };
    let page = LedgerServiceClient::new(server.channel().await).list_records(request).await;
    page.expect("a page").into_inner().records.remove(0)
}

#[test]
fn a_backup_under_load_restores_what_was_durable() {
    let records = from_env("GONGJI_BACKUP_RECORDS", 1_500);
    let place = Place::new();
    let (data, first, second) = (place.path("data"), place.path("first"), place.path("second"));
    // So small that the backup meets rows in memory, in journals and in tables.
    let server = Server::on(&data, &["--index-bytes", "50000"]);
    let (during, full) = run(async {
        people(&server).await;
        load(&server, 0, records / 2).await;
        let before = head(&server).await.position;
        let taking = tokio::task::spawn_blocking({
            let (data, first) = (data.clone(), first.clone());
            move || done(&backup(&data, &first))
        });
        load(&server, records / 2, records).await;
        let said = taking.await.expect("no panic");
        assert!(said.contains("digest"), "{said}");
        let full = head(&server).await;
        done(&backup(&data, &second));
        (before, full)
    });
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!((mode(&first), mode(&first.join("changes"))), (0o700, 0o600), "it is for its owner alone");
    for (from, least) in [(&first, during), (&second, full.position)] {
        let restored = place.path("restored");
        done(&restore(from, &restored));
        let said = done(&ended(gongji(&["ledger", "verify", "--data-dir", plain(&restored)])));
        assert!(said.contains("head "), "{said}");
        let copy = Server::on(&restored, &[]);
        run(async {
            let found = head(&copy).await;
            assert!(
                (least..=full.position).contains(&found.position),
                "{} of {least}..{}",
                found.position,
                full.position
            );
            assert_eq!(record(&copy, found.position).await, record(&server, found.position).await);
            check_ledger(copy.channel().await).await;
            // The secret came along: a request id is known, and whoever held the card is found by it.
            let again = send(&copy.channel().await, credit("load-0".to_owned(), 0, 1)).await;
            assert!(matches!(again, Outcome::Done { replayed: true, .. }), "{again:?}");
            let new = send(&copy.channel().await, credit("new".to_owned(), PEOPLE - 1, 1)).await;
            assert!(matches!(new, Outcome::Done { replayed: false, .. }), "{new:?}");
        });
        drop(copy);
        fs::remove_dir_all(&restored).expect("removes");
    }
}

#[test]
fn a_stopped_server_is_backed_up_too_and_nothing_is_written_over() {
    let place = Place::new();
    let (data, to, restored) = (place.path("data"), place.path("to"), place.path("restored"));
    refused(&backup(&data, &to), "no gongji data set");
    let server = Server::on(&data, &[]);
    run(people(&server));
    let digest = run(head(&server)).digest;
    let (status, _, log) = server.terminate();
    assert!(status.success(), "{log}");
    assert!(!data.join("backup.sock").exists(), "a server that stops takes its socket away");
    // A backup within what it is of would be lost with it, whichever way the place is named.
    std::os::unix::fs::symlink(&data, place.path("link")).expect("links");
    let before = fs::read_dir(&data).expect("there").count();
    for within in ["data", "data/to", "data/a/b", "data/../data/to", "link/to", "link", "data/data"] {
        refused(&backup(&data, &place.path(within)), "lies in the data directory");
        refused(&backup(&place.path("link"), &place.path(within)), "lies in the data directory");
    }
    assert_eq!(fs::read_dir(&data).expect("there").count(), before, "nothing was made");
    // Where nothing can be made, that place is named and not the data.
    let file = place.path("file");
    fs::write(&file, "").expect("written");
    for nowhere in [&file, &file.join("to"), Path::new("/proc/backup")] {
        let output = backup(&data, nowhere);
        let told = String::from_utf8_lossy(&output.stderr);
        let expected = format!("gongji: --to {}: no backup can be made there: ", nowhere.display());
        assert!(!output.status.success() && told.starts_with(&expected), "{told}");
    }
    // Nor where the room ends in the middle.
    let full = place.path("full");
    fs::create_dir(&full).expect("makes");
    std::os::unix::fs::symlink("/dev/full", full.join("changes.unfinished")).expect("links");
    let output = backup(&data, &full);
    let told = String::from_utf8_lossy(&output.stderr);
    let expected = format!("gongji: --to {}: the backup is not finished: No space left on device", full.display());
    assert!(!output.status.success() && told.starts_with(&expected), "{told}");
    assert!(done(&backup(&data, &place.path("data-2"))).contains(&digest), "a name that begins so is another place");
    assert!(done(&backup(&data, &to)).contains(&digest));
    refused(&backup(&data, &to), "is not empty");
    assert!(done(&restore(&to, &restored)).contains(&digest));
    refused(&restore(&to, &restored), "is not empty");
    // Slashes behind a name are no part of it.
    assert!(done(&restore(&place.path("to/"), &place.path("slash//"))).contains(&digest));
    assert_eq!(
        fs::read_dir(place.path("slash")).expect("restored").count(),
        fs::read_dir(&restored).expect("there").count()
    );
    refused(&restore(&place.path("nowhere"), &place.path("other")), "nowhere");
}

#[test]
fn a_backup_that_is_not_whole_is_refused() {
    let samples = from_env("GONGJI_BACKUP_DAMAGE", 12);
    let seed = from_env("GONGJI_SEED", 0xbac);
    let _replay = Replay(format!("GONGJI_SEED={seed} GONGJI_BACKUP_DAMAGE={samples} cargo test --test suite backup::"));
    let place = Place::new();
    let (data, to, broken) = (place.path("data"), place.path("to"), place.path("broken"));
    let server = Server::on(&data, &[]);
    run(people(&server));
    done(&backup(&data, &to));
    let whole = fs::read(to.join("changes")).expect("reads");
    fs::create_dir(&broken).expect("makes");
    fs::copy(to.join("HEAD"), broken.join("HEAD")).expect("copies");
    let mut dice = Dice::new(seed);
    let check = |bytes: &[u8], what: &str| {
        fs::write(broken.join("changes"), bytes).expect("writes");
        let output = restore(&broken, &place.path("restored"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let named = ["not finished", "damaged", "no backup", "cannot be opened"].iter().any(|word| said.contains(word));
        assert!(!output.status.success() && named && !said.contains("panicked"), "{what}: {said}");
        assert!(!place.path("restored").exists(), "{what}: nothing is left where a data set would be");
    };
    check(&[], "empty");
    for number in 0..samples {
        let cut = dice.roll(whole.len());
        check(&whole[..cut], &format!("cut at {cut}"));
        // The first, the last, and some in between.
        let at = match number {
            0 => 0,
            1 => whole.len() - 1,
            2 => 20,
            _ => dice.roll(whole.len()),
        };
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << dice.roll(8);
        check(&flipped, &format!("changed at {at}"));
    }
    fs::remove_file(broken.join("changes")).expect("removes");
    fs::write(broken.join("changes.unfinished"), &whole[..100]).expect("writes");
    refused(&restore(&broken, &place.path("restored")), "broken off");
    // One that was broken off is begun again in its place.
    done(&backup(&data, &broken));
    done(&restore(&broken, &place.path("restored")));
}

#[test]
fn clients_that_break_off_or_stand_still_hinder_nobody() {
    let place = Place::new();
    let data = place.path("data");
    let server = Server::on(&data, &[]);
    run(people(&server));
    run(load(&server, 0, 1_000));
    let socket = data.join("backup.sock");
    // Gone after the first bytes.
    let mut peer = UnixStream::connect(&socket).expect("connects");
    peer.read_exact(&mut [0; 16]).expect("reads");
    drop(peer);
    // Killed in the middle of it: whatever it left is no backup.
    let to = place.path("killed");
    let mut child = gongji(&["backup", "--data-dir", plain(&data), "--to", plain(&to)]).spawn().expect("starts");
    child.kill().expect("kills");
    child.wait().expect("ends");
    done(&backup(&data, &place.path("after")));
    // Nothing that a client says is listened to.
    let mut peer = UnixStream::connect(&socket).expect("connects");
    let _ = peer.write_all(&[0xff; 1000]);
    peer.read_exact(&mut [0; 16]).expect("reads");
    // This one stands still, and the server serves and stops all the same.
    run(load(&server, 1_000, 1_100));
    let (status, took, log) = server.terminate();
    assert!(status.success(), "{log}");
    assert!(took < Duration::from_secs(10), "a stop took {took:?}");
    drop(peer);
}
