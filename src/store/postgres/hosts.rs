//! The hosts of one database, each tried for a time of its own: one that is silent, as a machine that lost its power is, must
//! not use up the time of the others.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

pub(super) struct Hosts {
    each: Vec<Config>,
    /// Whom to try first: who answered last, or comes behind the one being tried.
    next: AtomicUsize,
}

impl Hosts {
    pub fn of(config: &Config) -> Self {
        Self {
            each: (0..config.get_hosts().len()).map(|place| alone(config, place)).collect(),
            next: AtomicUsize::new(0),
        }
    }

    pub fn count(&self) -> u32 {
        u32::try_from(self.each.len()).unwrap_or(u32::MAX)
    }

    /// Whose turn it is. Who breaks off while trying leaves the turn to the one behind.
    pub fn turn(&self) -> (usize, &Config) {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.each.len();
        (place, &self.each[place])
    }

    pub fn answered(&self, place: usize) {
        self.next.store(place, Ordering::Relaxed);
    }
}

/// The same, with one host only.
fn alone(all: &Config, place: usize) -> Config {
    let mut one = Config::new();
    match &all.get_hosts()[place] {
        Host::Tcp(name) => one.host(name),
        Host::Unix(path) => one.host_path(path),
    };
    if let Some(address) = all.get_hostaddrs().get(place) {
        one.hostaddr(*address);
    }
    // One port may be that of all.
    if let Some(port) = all.get_ports().get(place).or(all.get_ports().first()) {
        one.port(*port);
    }
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(name) = all.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    if let Some(name) = all.get_application_name() {
        one.application_name(name);
    }
    if let Some(time) = all.get_connect_timeout() {
        one.connect_timeout(*time);
    }
    if let Some(time) = all.get_tcp_user_timeout() {
        one.tcp_user_timeout(*time);
    }
    if let Some(time) = all.get_keepalives_interval() {
        one.keepalives_interval(time);
    }
    if let Some(retries) = all.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.keepalives(all.get_keepalives()).keepalives_idle(all.get_keepalives_idle());
    one.ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation());
    one.channel_binding(all.get_channel_binding()).target_session_attrs(all.get_target_session_attrs());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_the_same_database() {
        let text = "postgres://ann:secret@one:1,two,three:3/city?application_name=x&sslmode=disable&connect_timeout=7";
        let all: Config = text.parse().expect("understood");
        let hosts = Hosts::of(&all);
        for (place, (name, port)) in [("one", 1), ("two", 5432), ("three", 3)].into_iter().enumerate() {
            let alone = format!(
                "postgres://ann:secret@{name}:{port}/city?application_name=x&sslmode=disable&connect_timeout=7"
            );
            assert_eq!(hosts.each[place], alone.parse().expect("understood"), "{name}");
        }
        let alone: Config = "postgres://ann@one/city".parse().expect("understood");
        assert_eq!(Hosts::of(&alone).each, [alone]);
        let sockets: Config = "host=/a,/b port=7 user=ann dbname=city".parse().expect("understood");
        let second: Config = "host=/b port=7 user=ann dbname=city".parse().expect("understood");
        assert_eq!(Hosts::of(&sockets).each[1], second);
    }

    #[test]
    fn who_answered_last_is_tried_first_and_who_is_silent_leaves_the_turn() {
        let hosts = Hosts::of(&"host=a,b,c user=ann".parse().expect("understood"));
        let mut turns = vec![hosts.turn().0, hosts.turn().0];
        hosts.answered(1);
        turns.extend([hosts.turn().0, hosts.turn().0, hosts.turn().0]);
        assert_eq!(turns, [0, 1, 1, 2, 0]);
    }
}
