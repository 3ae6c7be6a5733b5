//! What any store must bear on the wire, over PostgreSQL.

use super::PostgresServer;
use crate::malformed;
use crate::process::{Server, gongji};

#[test]
fn whatever_is_sent_over_postgresql_the_answer_is_documented() {
    let database = PostgresServer::shared().migrated();
    let place = ["--store", "postgres", "--database-url", database.url()];
    malformed::check(2_000, &|words| Server::start(gongji(&[words, &place].concat())));
}
