//! Orderly ends: SIGTERM or SIGINT asks every loop to drain within a deadline.

use std::time::Duration;
use tokio::sync::watch;

/// Tells whether the process was asked to end. Cheap to clone; every loop holds one.
#[derive(Debug, Clone)]
pub struct Shutdown {
    requested: watch::Receiver<bool>,
}

/// Asks the holders of the [`Shutdown`] it was made with to end.
#[derive(Debug, Clone)]
pub struct ShutdownTrigger {
    request: watch::Sender<bool>,
}

impl ShutdownTrigger {
    /// Asks; again is harmless.
    pub fn request(&self) {
        self.request.send_replace(true);
    }
}

impl Shutdown {
    /// A pair without signals, for tests and for parts of a process.
    pub fn manual() -> (ShutdownTrigger, Self) {
        let (request, requested) = watch::channel(false);
        (ShutdownTrigger { request }, Self { requested })
    }

    /// A pair that SIGTERM and SIGINT trigger. The process exits by itself with code 1 when it has not ended `drain` after the
    /// request, or at a second signal: what was not committed is repeated after the restart.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals(drain: Duration) -> std::io::Result<(ShutdownTrigger, Self)> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (trigger, shutdown) = Self::manual();
        let (request, mut deadline) = (trigger.clone(), shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
                () = deadline.wait() => (),
            }
            request.request();
            tracing::info!(drain_seconds = drain.as_secs(), "asked to end: draining");
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
                () = tokio::time::sleep(drain) => (),
            }
            tracing::error!("not drained in time: exiting, the restart repeats what was not committed");
            std::process::exit(1);
        });
        Ok((trigger, shutdown))
    }

    /// Whether the end was requested.
    pub fn requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until the end is requested; also returns when nobody is left who could request it.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, so the process is ending anyway.
        let _ = self.requested.wait_for(|requested| *requested).await;
    }

    /// Sleeps, or returns early when the end is requested; `true` when it was.
    pub async fn sleep(&mut self, duration: Duration) -> bool {
        tokio::select! {
            () = self.wait() => true,
            () = tokio::time::sleep(duration) => self.requested(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_every_holder() {
        let (trigger, mut shutdown) = Shutdown::manual();
        let mut other = shutdown.clone();
        assert!(!shutdown.sleep(Duration::from_millis(1)).await);
        trigger.request();
        shutdown.wait().await;
        assert!(other.sleep(Duration::from_secs(60)).await && other.requested());
    }
}
