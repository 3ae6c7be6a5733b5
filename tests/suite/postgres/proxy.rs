//! A network between a replica and its database that breaks where it is told to: right before a COMMIT gets there, or right
//! after it, so that it is done and nobody hears of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Where the next commit's connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Never,
    /// The database never hears of the commit, and takes everything back.
    BeforeCommit,
    /// The database commits, and its word of it is lost.
    AfterCommit,
}

struct Shared {
    to: SocketAddr,
    cut: Mutex<Cut>,
    cuts: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

/// See the module. Threads end with their connections, the acceptor with the test process.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let own = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared {
            to: (Ipv4Addr::LOCALHOST, port).into(),
            cut: Mutex::new(Cut::Never),
            cuts: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let acceptor = shared.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if let Ok(far) = TcpStream::connect(acceptor.to) {
                    acceptor.connect(near, far);
                }
            }
        });
        Self { port: own, shared }
    }

    /// Breaks the connection of the next commit, once.
    pub fn cut(&self, cut: Cut) {
        *self.shared.cut.lock().expect("nobody panics with it") = cut;
    }

    /// How often it has broken one.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Acquire)
    }

    /// Breaks every connection there is.
    pub fn cut_all(&self) {
        for stream in self.shared.open.lock().expect("nobody panics with it").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, near: TcpStream, far: TcpStream) {
        let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        for stream in [&near, &far] {
            let _ = stream.set_nodelay(true);
        }
        self.open.lock().expect("nobody panics with it").extend([copy(&near), copy(&far)]);
        let (from, to, shared) = (copy(&near), copy(&far), self.clone());
        thread::spawn(move || shared.ask(from, to));
        thread::spawn(move || pass(far, near));
    }

    /// What the replica says to its database.
    fn ask(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let said = &buffer[..count];
            let commits = said.windows(6).any(|word| word.eq_ignore_ascii_case(b"COMMIT"));
            let cut = match commits {
                true => std::mem::replace(&mut *self.cut.lock().expect("nobody panics with it"), Cut::Never),
                false => Cut::Never,
            };
            match cut {
                Cut::Never => {
                    if to.write_all(said).is_err() {
                        break;
                    }
                }
                Cut::BeforeCommit => {
                    self.cuts.fetch_add(1, Ordering::AcqRel);
                    break;
                }
                Cut::AfterCommit => {
                    // The near end goes first, so that the answer finds nobody. The far one ends in good order, so that
                    // the database reads all that was sent.
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = to.write_all(said);
                    let _ = to.shutdown(Shutdown::Write);
                    self.cuts.fetch_add(1, Ordering::AcqRel);
                    return;
                }
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// What the database answers, until one of both ends; it is read to its end even when nobody listens.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let _ = to.write_all(&buffer[..count]);
    }
    let _ = to.shutdown(Shutdown::Both);
}
