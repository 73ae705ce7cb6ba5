//! Looks up the upstream's name, or its proxy's: one look-up at a time, on one thread, for everybody.
//!
//! The C library's resolver blocks, for 10 s and more where name servers do not answer. With a thread
//! for each request that waits, callers could exhaust the threads of the user, and where none is left
//! nothing could be looked up at all. So the thread is there from the start, and everybody who asks
//! while it works gets the same answer. It also has a sandbox of its own: files, UDP and the port of name
//! servers are within its reach and no other thread's.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::oneshot;
use tower_service::Service;

/// Of the thread, in bytes; glibc's resolver takes tens of KiB, and what nsswitch.conf(5) adds as much.
const STACK: usize = 512 * 1024;

type Answer = Result<Vec<SocketAddr>, ResolveError>;

/// Why a name has no address, in the C library's words.
#[derive(Clone, Debug)]
pub(crate) struct ResolveError(String);

impl std::fmt::Display for ResolveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ResolveError {}

struct Question {
    name: String,
    answer: oneshot::Sender<Answer>,
}

/// A way to ask the thread; clones ask the same one.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    questions: mpsc::Sender<Question>,
}

impl Resolver {
    /// Starts the thread, which first runs `confine`, and gives what that came to. It ends when the
    /// last clone is dropped and its last look-up is over.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub(crate) fn start<T: Send + 'static>(
        confine: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<(Self, T)> {
        let (said, confined) = mpsc::sync_channel(1);
        let begin = move || {
            // Whoever started it waits for this.
            let _ = said.send(confine());
        };
        let resolver = Self::with(begin, |name| {
            (name, 0).to_socket_addrs().map(Iterator::collect)
        })?;
        let confined = confined.recv().map_err(io::Error::other)?;
        Ok((resolver, confined))
    }

    /// A resolver for where nothing has to be looked up; there is no thread.
    pub(crate) fn absent() -> Self {
        let (questions, _unasked) = mpsc::channel();
        Self { questions }
    }

    fn with(
        begin: impl FnOnce() + Send + 'static,
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> io::Result<Self> {
        let (questions, asked) = mpsc::channel::<Question>();
        std::thread::Builder::new()
            .name("resolver".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                begin();
                while let Ok(first) = asked.recv() {
                    // Whoever asked has given up meanwhile: nobody needs the answer.
                    let first = std::iter::once(first).chain(asked.try_iter());
                    let waiting: Vec<Question> = first
                        .filter(|question| !question.answer.is_closed())
                        .collect();
                    answer_all(waiting, &asked, &look_up);
                }
            })?;
        Ok(Self { questions })
    }
}

/// Looks up the name of the first question, and answers everybody with that name, those included who
/// asked while the look-up went on.
fn answer_all(
    mut waiting: Vec<Question>,
    asked: &mpsc::Receiver<Question>,
    look_up: &impl Fn(&str) -> io::Result<Vec<SocketAddr>>,
) {
    while let Some(name) = waiting.first().map(|question| question.name.clone()) {
        let found = look_up(&name).map_err(|error| ResolveError(error.to_string()));
        waiting.extend(asked.try_iter());
        let (answered, others): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|question| question.name == name);
        for question in answered {
            // Whoever has given up needs no answer.
            let _ = question.answer.send(found.clone());
        }
        waiting = others;
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (answer, answered) = oneshot::channel();
        let asked = self.questions.send(Question {
            name: name.as_str().to_owned(),
            answer,
        });
        Box::pin(async move {
            let gone = || ResolveError("the resolver's thread is gone".to_owned());
            asked.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?.map(Vec::into_iter)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn ask(resolver: &Resolver, name: &str) -> <Resolver as Service<Name>>::Future {
        resolver.clone().call(name.parse().unwrap())
    }

    #[tokio::test]
    async fn everybody_who_asks_meanwhile_gets_the_same_answer() {
        let (go, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let look_ups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&look_ups);
        let resolver = Resolver::with(
            || {},
            move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                begun.send(()).unwrap();
                wait.recv().unwrap();
                Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))])
            },
        )
        .unwrap();
        let first = ask(&resolver, "a.example");
        has_begun.recv().unwrap();
        let others: Vec<_> = (0..400).map(|_| ask(&resolver, "a.example")).collect();
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap().count(), 1);
        for other in others {
            assert_eq!(other.await.unwrap().count(), 1);
        }
        assert_eq!(look_ups.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn another_name_is_looked_up_for_itself_and_an_error_is_told() {
        let resolver = Resolver::with(
            || {},
            |name| match name {
                "a.example" => Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))]),
                _ => Err(io::Error::other("unknown")),
            },
        )
        .unwrap();
        let (good, bad) = (ask(&resolver, "a.example"), ask(&resolver, "b.example"));
        assert_eq!(bad.await.unwrap_err().to_string(), "unknown");
        assert_eq!(good.await.unwrap().count(), 1);
    }
}
