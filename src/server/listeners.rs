//! The ports of a server.

use std::net::{SocketAddr, TcpListener};

use super::ServerError;
use crate::config::Config;

/// Taken before anything is served, so that a port that is taken ends a start and not a server.
#[derive(Debug)]
pub struct Listeners {
    pub calls: TcpListener,
    pub metrics: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(calls: TcpListener) -> Self {
        Self { calls, metrics: None }
    }
}

impl Listeners {
    pub fn bind(config: &Config) -> Result<Self, ServerError> {
        let bind = |setting, address: SocketAddr| {
            TcpListener::bind(address).map_err(|error| ServerError::Listen { setting, address, error })
        };
        let calls = bind("listen", config.listen)?;
        let metrics = config.metrics_listen.0.map(|address| bind("metrics_listen", address)).transpose()?;
        Ok(Self { calls, metrics })
    }
}
