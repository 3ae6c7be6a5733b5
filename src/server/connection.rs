//! A connection: has a time to say that it speaks HTTP/2, gives its slot back when it ends, can be ended from outside, and
//! gathers what is written to it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

/// Bytes that may wait to be written together.
const GATHERED: usize = 32 << 10;

/// Bytes with which a client says that it speaks HTTP/2.
const PREFACE: usize = 24;

/// Ends a connection from outside: the one way where its client reads nothing any more.
#[derive(Clone, Debug, Default)]
pub struct Cutter(Arc<Cut>);

#[derive(Debug, Default)]
struct Cut {
    is_cut: AtomicBool,
    connection: AtomicWaker,
}

impl Cutter {
    pub fn cut(&self) {
        self.0.is_cut.store(true, Ordering::SeqCst);
        self.0.connection.wake();
    }

    /// An error once it is cut; until then the task is woken when that happens.
    pub fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        self.0.connection.register(cx.waker());
        if self.0.is_cut.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// The time a client has to say that it speaks HTTP/2.
struct Hello {
    longest: Pin<Box<Sleep>>,
    /// Bytes still to come.
    missing: usize,
}

/// See the module.
///
/// HTTP/2 here writes and flushes after every frame that is not small, so every answer would be a system call, a packet
/// and a wake-up of the client of its own. A flush that follows a write is therefore put off until the connection's task
/// is polled again, after the calls that are ready by then: their answers leave together. A flush that follows no write,
/// a full buffer and the end of the connection write at once.
pub struct Connection {
    stream: TcpStream,
    slots: Arc<Semaphore>,
    cutter: Cutter,
    /// None: it has said so, or need not.
    hello: Option<Hello>,
    waiting: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// Whether something was added since the last flush.
    added: bool,
}

impl Connection {
    /// Takes a connection over into this thread's runtime.
    pub fn new(stream: std::net::TcpStream, slots: Arc<Semaphore>) -> io::Result<Self> {
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| TcpStream::from_std(stream));
        match stream {
            Ok(stream) => {
                let cutter = Cutter::default();
                Ok(Self { stream, slots, cutter, hello: None, waiting: Vec::new(), written: 0, added: false })
            }
            Err(error) => {
                slots.add_permits(1);
                Err(error)
            }
        }
    }

    /// Ends the connection if its client has not said by then that it speaks HTTP/2.
    pub fn greeted_within(mut self, longest: Duration) -> Self {
        self.hello = Some(Hello { longest: Box::pin(tokio::time::sleep(longest)), missing: PREFACE });
        self
    }

    fn write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cutter.check(cx)?;
        while self.written < self.waiting.len() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.waiting.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= GATHERED
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.slots.add_permits(1);
    }
}

impl Connected for Connection {
    /// Known to each call.
    type ConnectInfo = Cutter;
    fn connect_info(&self) -> Cutter {
        self.cutter.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.cutter.check(cx)?;
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(hello) = &mut self.hello {
            if read.is_pending() {
                ready!(hello.longest.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            hello.missing = hello.missing.saturating_sub(buf.filled().len() - before);
            if hello.missing == 0 {
                self.hello = None;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_full() {
            ready!(self.write_out(cx))?;
        }
        parts.iter().for_each(|part| self.waiting.extend_from_slice(part));
        self.added = true;
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.added) && !self.is_full() {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        self.write_out(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_out(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// Counts how often a task was asked to run again.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn check(test: impl FnOnce(&mut Connection, &mut Context<'_>, &Woken, &mut std::net::TcpStream)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _inside = runtime.enter();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (stream, _) = listener.accept().expect("accepted");
        let slots = Arc::new(Semaphore::new(0));
        let mut connection = Connection::new(stream, slots.clone()).expect("taken over");
        runtime.block_on(connection.stream.writable()).expect("writable");
        let woken = Arc::new(Woken::default());
        test(&mut connection, &mut Context::from_waker(&Waker::from(woken.clone())), &woken, &mut client);
        drop(connection);
        assert_eq!(slots.available_permits(), 1, "the slot is given back");
    }

    fn done<T>(polled: Poll<io::Result<T>>) -> T {
        match polled {
            Poll::Ready(result) => result.expect("a good connection"),
            Poll::Pending => panic!("nothing to wait for"),
        }
    }

    #[test]
    fn answers_that_are_ready_together_leave_together() {
        check(|connection, cx, woken, client| {
            for answer in [b"one, ", b"two, "] {
                assert_eq!(done(Pin::new(&mut *connection).poll_write(cx, answer)), answer.len());
                done(Pin::new(&mut *connection).poll_flush(cx));
            }
            assert_eq!((connection.waiting.len(), woken.0.load(Ordering::Relaxed)), (10, 2), "put off, not forgotten");
            let parts = [io::IoSlice::new(b"th"), io::IoSlice::new(b"ree")];
            assert_eq!(done(Pin::new(&mut *connection).poll_write_vectored(cx, &parts)), 5);
            done(Pin::new(&mut *connection).poll_flush(cx));
            done(Pin::new(&mut *connection).poll_flush(cx));
            assert!(connection.waiting.is_empty(), "a flush after no write writes");
            let mut read = [0; 15];
            client.read_exact(&mut read).expect("read");
            assert_eq!(&read, b"one, two, three");
        });
    }

    #[test]
    fn what_waits_is_bounded_and_leaves_before_the_end() {
        check(|connection, cx, _, client| {
            let frame = vec![7; GATHERED];
            done(Pin::new(&mut *connection).poll_write(cx, &frame));
            done(Pin::new(&mut *connection).poll_flush(cx));
            assert!(connection.waiting.is_empty(), "a full buffer is written by its first flush");
            done(Pin::new(&mut *connection).poll_write(cx, &frame));
            done(Pin::new(&mut *connection).poll_write(cx, b"more"));
            assert_eq!(connection.waiting, b"more", "a full buffer is written before it takes more");
            done(Pin::new(&mut *connection).poll_shutdown(cx));
            let mut read = Vec::new();
            client.read_to_end(&mut read).expect("read");
            assert_eq!(read.len(), 2 * GATHERED + 4);
        });
    }
}
