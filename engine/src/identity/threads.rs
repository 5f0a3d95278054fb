//! Work for several cores.
//!
//! The thread that asks takes part: to begin another one takes as long as some hundred comparisons, and its memory is new.

use std::sync::{OnceLock, mpsc};

use parking_lot::Mutex;

/// Returns how many threads the machine runs at once.
pub(crate) fn threads() -> usize {
    // To ask the system takes as long as a small batch.
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Does the same on so many threads at once, and returns what came of each in the order of their numbers. A panic of one is a
/// panic of this one.
pub(crate) fn on_each<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let work = &work;
    std::thread::scope(|scope| {
        let others = (1..threads).map(|number| scope.spawn(move || work(number)));
        let others: Vec<_> = others.collect();
        let mut done = vec![work(0)];
        done.extend(others.into_iter().map(|other| joined(other.join())));
        done
    })
}

/// Deals tasks out to so many threads, each the next one when it is free, and returns what came of them in their order.
pub(crate) fn dealt<T: Send, R: Send>(
    threads: usize,
    tasks: impl Iterator<Item = T> + Send,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    if threads <= 1 {
        return tasks.map(work).collect();
    }
    let tasks = Mutex::new(tasks.enumerate());
    let done = on_each(threads, |_| {
        let mut done = Vec::new();
        loop {
            let next = tasks.lock().next();
            let Some((number, task)) = next else { return done };
            done.push((number, work(task)));
        }
    });
    let mut done: Vec<(usize, R)> = done.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, done)| done).collect()
}

/// Makes tasks on this thread, so many at most, and passes each on to the next thread that is free; this one is when it has made
/// them all, which it tells by `made`. Returns what came of the tasks in their order.
pub(crate) fn passed_on<T: Send, R: Send>(
    threads: usize,
    most: usize,
    mut make: impl FnMut() -> Option<T>,
    made: impl FnOnce(),
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let take = || {
        let mut done = Vec::new();
        loop {
            let next = receiver.lock().recv();
            let Ok((number, task)) = next else { return done };
            done.push((number, work(task)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let mut others = Vec::new();
        let mut number = 0;
        while number < most
            && let Some(task) = make()
        {
            // Who makes the tasks does one of them, and each other thread is worth its beginning for one.
            if number > others.len() && others.len() + 1 < threads {
                others.push(scope.spawn(take));
            }
            sender.send((number, task)).expect("the receiver is held here");
            number += 1;
        }
        drop(sender);
        made();
        let mut done = take();
        for other in others {
            done.append(&mut joined(other.join()));
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, done)| done).collect()
}

/// Goes on with a panic of a thread as if it were of this one.
fn joined<T>(result: std::thread::Result<T>) -> T {
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_tasks_is_in_their_order() {
        for threads in [0, 1, 2, 7] {
            let squares: Vec<u32> = (0..100).map(|number| number * number).collect();
            assert_eq!(dealt(threads, 0..100_u32, |number| number * number), squares);
            assert_eq!(dealt(threads, 0..0_u32, |number| number), [] as [u32; 0]);
        }
        assert_eq!(on_each(3, |number| number), [0, 1, 2]);
    }

    #[test]
    fn tasks_that_are_passed_on_are_made_by_one() {
        for threads in [0, 1, 2, 7] {
            for most in [0, 1, 3, 1_000] {
                let (mut number, mut is_made) = (0_usize, false);
                let make = || {
                    number += 1;
                    (number <= 100).then_some(number)
                };
                let done = passed_on(threads, most, make, || is_made = true, |number| number * 2);
                let expected: Vec<usize> = (1..=most.min(100)).map(|number| number * 2).collect();
                assert_eq!(done, expected);
                assert!(is_made);
            }
        }
    }

    #[test]
    #[should_panic(expected = "of a thread")]
    fn a_panic_of_a_thread_is_one_of_whoever_asked() {
        on_each(2, |number| assert!(number == 0, "of a thread"));
    }
}
