//! Point-in-time recovery as `docs/deployment.md` writes it: a backup taken under load, the archive, a named point, and what
//! happened after that point undone. Whoever knows more than the restored ledger is told so.

use gongji::grpc::proto;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use gongji::ledger::page::hex;
use tonic_types::StatusExt;

use super::server::migrate;
use super::{Cluster, Durability};
use crate::feed::{Consumer, load, people};
use crate::process::{Server, check_ledger, gongji, run};

fn serve(url: &str) -> Server {
    Server::start(gongji(&["serve", "--store", "postgres", "--database-url", url]))
}

#[test]
fn a_ledger_is_restored_to_a_point_in_time_with_the_digest_it_had() {
    let mut cluster = Cluster::new();
    let archive = cluster.folder().join("archive");
    let archive = archive.to_str().expect("a plain path");
    let keep = format!("mkdir -p {archive} && cp %p {archive}/%f");
    let node = cluster.node(
        "alone",
        Durability::Fast,
        &[("wal_level", "replica"), ("archive_mode", "on"), ("archive_command", &keep)],
    );
    node.sql("CREATE DATABASE gongji");
    migrate(&node.url("gongji"));
    let server = serve(&node.url("gongji"));
    run(async {
        people(&server).await;
        load(&server, 0, 100).await;
    });
    let mut backup = std::thread::scope(|scope| {
        let taken = scope.spawn(|| cluster.backup(&node, "restored"));
        run(load(&server, 100, 400));
        taken.join().expect("no panic")
    });
    let (mut good, mut all) = (Consumer::default(), Consumer::default());
    run(async {
        load(&server, 400, 500).await;
        good.read_until(&server, head(&server).await).await;
        node.sql("SELECT pg_create_restore_point('before-the-mistake')");
        load(&server, 500, 600).await;
        all.read_until(&server, head(&server).await).await;
    });
    // The last of the log is on its way to the archive when a segment ends; then the machine is gone.
    let last = node.sql("SELECT pg_walfile_name(pg_switch_wal())");
    crate::process::wait_until("the archive", crate::process::PATIENCE, || {
        std::path::Path::new(archive).join(&last).exists().then_some(())
    });
    server.kill();
    node.kill();
    let restore = [
        ("restore_command", &*format!("cp {archive}/%f %p")),
        ("recovery_target_name", "before-the-mistake"),
        ("recovery_target_action", "promote"),
    ];
    cluster.restore(&mut backup, &restore);
    crate::process::wait_until("the end of the recovery", crate::process::PATIENCE, || {
        (backup.sql("SELECT pg_is_in_recovery()") == "f").then_some(())
    });
    let server = serve(&backup.url("gongji"));
    run(async {
        let mut restored = Consumer::default();
        restored.read_until(&server, good.head.position).await;
        assert_eq!(restored.head, good.head, "the ledger ends at the point, with its digest");
        assert_eq!(head(&server).await, good.head.position);
        check_ledger(server.channel().await).await;
        // Somebody who follows had been told more.
        let request = proto::WatchRequest {
            from_position: i64::try_from(all.head.position + 1).expect("small"),
            after_digest: hex(&all.head.link),
            ..Default::default()
        };
        let told = match LedgerServiceClient::new(server.channel().await).watch(request).await {
            Err(status) => status,
            Ok(answer) => answer.into_inner().message().await.expect_err("it knows of more than there is"),
        };
        assert_eq!(told.get_details_error_info().expect("of ours").reason, "POSITION_NOT_REACHED");
        load(&server, 500, 700).await;
        check_ledger(server.channel().await).await;
    });
    server.kill();
}

async fn head(server: &Server) -> u64 {
    let answer = LedgerServiceClient::new(server.channel().await).get_head(proto::GetHeadRequest::default()).await;
    let head = answer.expect("a head").into_inner().head.expect("set").position;
    u64::try_from(head).expect("positive")
}
