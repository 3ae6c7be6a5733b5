//! How a running server hands out a backup: over a socket in its data directory, which is its owner's alone, so that whoever
//! may read the files may have the backup and nobody else. It carries names, numbers and the secret, and so never goes over
//! the wire that hospitals use.

use std::fs;
use std::io::{self, BufWriter};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::store::embedded::EmbeddedStore;

/// The socket's name in the data directory.
const SOCKET: &str = "backup.sock";

/// Hands out backups until it is dropped, one at a time.
pub struct Backups {
    path: PathBuf,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    ended: AtomicBool,
    /// Who is being served.
    peer: Mutex<Option<UnixStream>>,
}

impl Backups {
    /// Begins. A client that takes nothing for so long is let go.
    pub fn serve(store: Arc<EmbeddedStore>, patience: Duration) -> io::Result<Self> {
        let path = store.dir().join(SOCKET);
        // Of a server that was killed; this one holds the directory's lock.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        let state = Arc::new(State::default());
        let serve = {
            let state = state.clone();
            move || {
                for peer in listener.incoming() {
                    if state.ended.load(Ordering::SeqCst) {
                        return;
                    }
                    match peer {
                        Ok(peer) => hand_out(&store, &state, peer, patience),
                        Err(error) => tracing::warn!(kind = ?error.kind(), "a backup could not be asked for"),
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("gongji:backup".to_owned()).spawn(serve)?;
        Ok(Self { path, state, thread: Some(thread) })
    }
}

impl Drop for Backups {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        if let Some(peer) = self.peer().take() {
            let _ = peer.shutdown(std::net::Shutdown::Both);
        }
        // Wakes the thread; if nobody can connect, it has ended by itself.
        let woken = UnixStream::connect(&self.path).is_ok();
        let _ = fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

impl Backups {
    fn peer(&self) -> std::sync::MutexGuard<'_, Option<UnixStream>> {
        self.state.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hand_out(store: &EmbeddedStore, state: &State, peer: UnixStream, patience: Duration) {
    let ready = peer.set_write_timeout(Some(patience)).and_then(|()| peer.try_clone());
    *state.peer.lock().unwrap_or_else(PoisonError::into_inner) = ready.ok();
    // A stop between the look and the line above would have found nobody to shut out.
    if state.ended.load(Ordering::SeqCst) {
        return;
    }
    tracing::info!("a backup begins");
    match store.write_backup(BufWriter::with_capacity(256 << 10, peer), |_, _| {}) {
        Ok(head) => tracing::info!(position = head.position, "a backup was handed out"),
        // What was handed out is without an end, so nobody takes it for a backup.
        Err(error) => tracing::warn!(%error, "a backup was broken off"),
    }
    state.peer.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Asks the server of a data directory for a backup; none if no server runs there.
pub fn ask(dir: &Path, patience: Duration) -> io::Result<Option<UnixStream>> {
    let peer = match UnixStream::connect(dir.join(SOCKET)) {
        Ok(peer) => peer,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    peer.set_read_timeout(Some(patience))?;
    Ok(Some(peer))
}
