//! Two runtimes for statements: one for what answers at once, and one of low priority for what computes for long.
//!
//! ```text
//!  statement -> planned -> answered                       threads of normal priority
//!                       \-> heavy: goes on, in mid-future -> threads of low priority, as many as there are cores
//! ```
//!
//! Every statement begins on the first. Once its plan is known and says that it reads much ([`go_heavy`]), or once it has
//! computed for longer than [`LIGHT_TIME_MAX`], it goes on on the second: the future is not begun anew, it is polled there
//! from then on, and what it spawns runs there, too. The threads of the second have a low priority, so that the kernel
//! puts one aside at once when a small statement wants its core, and gives it every core that nobody else wants: one
//! runtime of cooperative tasks cannot do that, since a batch of a large scan computes for as long as it takes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// What a statement may compute before it goes on among the heavy ones, whatever its plan says.
pub const LIGHT_TIME_MAX: Duration = Duration::from_millis(20);

tokio::task_local! {
    /// Whether the statement is to go on among the heavy ones, or has.
    static HEAVY: Arc<AtomicBool>;
    /// Where heavy statements run.
    static THERE: Handle;
}

/// Runs `work` here, and goes on with it on `heavy` once it has turned out to be heavy. Dropping this ends it, wherever it
/// runs.
pub async fn light_at_first<T: Send + 'static>(
    heavy: Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let is_heavy = Arc::new(AtomicBool::new(false));
    let work = THERE.scope(heavy.clone(), work);
    let mut work = Box::pin(HEAVY.scope(Arc::clone(&is_heavy), work));
    let mut spent = Duration::ZERO;
    let answered = std::future::poll_fn(|context| {
        let begun = Instant::now();
        let polled = work.as_mut().poll(context);
        spent += begun.elapsed();
        match polled {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if is_heavy.load(Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending if spent > LIGHT_TIME_MAX => {
                is_heavy.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    });
    match answered.await {
        Some(value) => value,
        None => moved(work, &heavy).await,
    }
}

/// Goes on with `work` on `heavy`.
async fn moved<T: Send + 'static>(
    work: Pin<Box<impl Future<Output = T> + Send + 'static>>,
    heavy: &Handle,
) -> T {
    let mut running = JoinSet::new();
    running.spawn_on(work, heavy);
    match running.join_next().await {
        Some(Ok(value)) => value,
        Some(Err(failed)) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        // The process ends, and nobody is left to be answered.
        _ => std::future::pending().await,
    }
}

/// Goes on among the heavy statements from here on. Does nothing where there are no lanes, as in a command that runs one
/// statement after the other.
pub async fn go_heavy() {
    let goes = HEAVY.try_with(|heavy| !heavy.swap(true, Ordering::Relaxed)).unwrap_or(false);
    if !goes {
        return;
    }
    let mut there = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut there, true) {
        true => Poll::Ready(()),
        // Whoever polls sees what was asked for, and the next poll is one of the other runtime.
        false => Poll::Pending,
    })
    .await;
}

/// Does among the heavy statements, and beside this one, what this one does not wait for. Does nothing where there are no
/// lanes.
pub fn beside(work: impl Future<Output = ()> + Send + 'static) {
    // Where there are none the process may end with the statement.
    let _ = THERE.try_with(|heavy| drop(heavy.spawn(work)));
}

/// Tells whether this is a heavy statement.
pub fn is_heavy() -> bool {
    HEAVY.try_with(|heavy| heavy.load(Ordering::Relaxed)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime(name: &str) -> Runtime {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()
            .unwrap()
    }

    fn thread() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    /// Runs `work` with two lanes.
    fn with_lanes<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
        let (light, heavy) = (runtime("light"), runtime("heavy"));
        let mut tasks = JoinSet::new();
        tasks.spawn_on(light_at_first(heavy.handle().clone(), work), light.handle());
        let answered = light.block_on(tasks.join_next());
        heavy.shutdown_background();
        answered.unwrap().unwrap()
    }

    #[test]
    fn a_statement_goes_where_it_says_and_takes_along_what_it_spawns() {
        let seen = with_lanes(async {
            let before = (thread(), is_heavy());
            go_heavy().await;
            go_heavy().await;
            let mut spawned = JoinSet::new();
            spawned.spawn(async { thread() });
            (before, (thread(), is_heavy()), spawned.join_next().await.unwrap().unwrap())
        });
        let (light, heavy) = ("light".to_owned(), "heavy".to_owned());
        assert_eq!(seen, ((light, false), (heavy.clone(), true), heavy));
    }

    #[test]
    fn who_computes_for_long_is_heavy() {
        let seen = with_lanes(async {
            let mut seen = vec![thread()];
            let begun = Instant::now();
            while seen.len() == 1 {
                tokio::task::yield_now().await;
                if thread() != seen[0] {
                    seen.push(thread());
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "it never moves");
            }
            seen
        });
        assert_eq!(seen, ["light", "heavy"]);
    }

    #[test]
    fn who_waits_for_long_is_not() {
        let seen = with_lanes(async {
            tokio::time::sleep(LIGHT_TIME_MAX * 5).await;
            thread()
        });
        assert_eq!(seen, "light");
    }

    #[test]
    fn whoever_is_not_waited_for_any_more_ends_on_the_other_runtime_too() {
        struct Tells(std::sync::mpsc::Sender<String>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send(thread());
            }
        }
        let (light, heavy) = (runtime("light"), runtime("heavy"));
        let (sender, dropped) = std::sync::mpsc::channel();
        let (begins, begun) = std::sync::mpsc::channel();
        let mut tasks = JoinSet::new();
        let work = async move {
            let _tells = Tells(sender);
            go_heavy().await;
            begins.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        tasks.spawn_on(light_at_first(heavy.handle().clone(), work), light.handle());
        begun.recv_timeout(Duration::from_secs(60)).unwrap();
        tasks.abort_all();
        assert_eq!(dropped.recv_timeout(Duration::from_secs(60)).unwrap(), "heavy");
    }

    #[test]
    fn what_a_statement_does_not_wait_for_is_done_among_the_heavy_ones() {
        let (sender, done) = std::sync::mpsc::channel();
        with_lanes(async move {
            beside(async move { sender.send(thread()).unwrap() });
            assert_eq!(done.recv_timeout(Duration::from_secs(60)).unwrap(), "heavy");
        });
    }

    #[test]
    fn without_lanes_nothing_moves() {
        let light = runtime("light");
        light.block_on(go_heavy());
        assert!(!is_heavy());
        light.block_on(async { beside(async { unreachable!("nobody asked for lanes") }) });
    }
}
