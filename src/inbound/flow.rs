//! A connection whose other side has to go on taking what is said.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long nothing at all may be taken of an answer. Whoever takes it drop by drop is bounded by
/// [`crate::inbound::patience::Patience`], unless the answer goes on for as long as it does.
const STUCK: Duration = Duration::from_secs(30);

/// Breaks off when the other side takes nothing for too long.
pub(super) struct Flow<S> {
    stream: S,
    limit: Duration,
    /// Since the other side takes nothing.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Flow<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, limit: STUCK, stuck: None }
    }

    fn judged<T>(&mut self, poll: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stuck = None;
            return poll;
        }
        let limit = self.limit;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        stuck.as_mut().poll(context).map(|()| Err(io::Error::new(ErrorKind::TimedOut, "the answer is not taken")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Flow<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flow<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judged(poll, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judged(poll, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.judged(poll, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judged(poll, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn an_answer_that_nobody_takes_breaks_off_and_one_that_is_taken_does_not() {
        let (ours, mut theirs) = duplex(4);
        let mut flow = Flow { limit: Duration::from_mins(1), ..Flow::new(ours) };
        let told = tokio::spawn(async move { flow.write_all(&[0; 64]).await });
        theirs.read_exact(&mut [0; 64]).await.unwrap();
        assert!(told.await.unwrap().is_ok());
        let (ours, _theirs) = duplex(4);
        let mut flow = Flow { limit: Duration::from_millis(20), ..Flow::new(ours) };
        assert_eq!(flow.write_all(&[0; 64]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
