use super::*;

/// The word under loom, which tries every order of all steps. It sleeps like
/// futex(2): the word is compared and the sleeper enqueued in one step.
struct Model {
    state: loom::sync::atomic::AtomicU32,
    queue: loom::sync::Mutex<()>,
    sleepers: loom::sync::Condvar,
}

impl Model {
    fn new() -> Self {
        Model {
            state: loom::sync::atomic::AtomicU32::new(FREE),
            queue: loom::sync::Mutex::new(()),
            sleepers: loom::sync::Condvar::new(),
        }
    }
}

impl Word for Model {
    fn turn(&self, from: u32, to: u32) -> Result<u32, u32> {
        self.state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
    }

    fn look(&self) -> u32 {
        self.state.load(Ordering::Relaxed)
    }

    fn replace(&self, state: u32, order: Ordering) -> u32 {
        self.state.swap(state, order)
    }

    fn wait(&self, state: u32, _: Option<c_long>) {
        let queue = self.queue.lock().unwrap();
        if self.state.load(Ordering::Relaxed) == state {
            drop(self.sleepers.wait(queue).unwrap());
        }
    }

    fn wake_one(&self) {
        let _queue = self.queue.lock().unwrap();
        self.sleepers.notify_one();
    }

    fn wake_all(&self) {
        let _queue = self.queue.lock().unwrap();
        self.sleepers.notify_all();
    }
}

/// A fork in between: afterwards it wakes the threads that sleep; threads that
/// arrive meanwhile wait or give up.
fn forked(word: &Model) {
    leave(word);
    take_up(word);
    release(word);
}

/// Every thread adds one under the lock, in every possible order. A lost
/// wake-up is a deadlock, and two holders are a race: loom reports both.
fn explore(threads: usize, release: fn(&Model)) {
    use loom::cell::UnsafeCell;
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(3);
    search.check(move || {
        let shared: &'static _ = Box::leak(Box::new((Model::new(), UnsafeCell::new(0))));
        let count = move || {
            assert!(acquire(&shared.0));
            // SAFETY: under the lock; loom panics if the lock does not work.
            shared.1.with_mut(|count| unsafe { *count += 1 });
            release(&shared.0);
        };
        let others: Vec<_> = (1..threads).map(|_| loom::thread::spawn(count)).collect();
        count();
        for other in others {
            other.join().unwrap();
        }
        // SAFETY: all others have ended.
        assert_eq!(shared.1.with(|count| unsafe { *count }), threads);
    });
}

#[test]
fn no_order_of_steps_breaks_it() {
    explore(2, release);
    explore(3, release);
    explore(2, forked);
}

/// The control arm: a release that forgets to wake is detected.
#[test]
#[should_panic(expected = "deadlock")]
fn a_lost_wake_up_is_found() {
    explore(2, |word| {
        word.replace(FREE, Ordering::Release);
    });
}

/// A release that publishes nothing is detected too.
#[test]
#[should_panic(expected = "Causality violation")]
fn a_missing_release_is_found() {
    explore(2, |word| {
        if word.replace(FREE, Ordering::Relaxed) != HELD {
            word.wake_one();
        }
    });
}

macro_rules! lock {
    ($name:ident: $type:ty = $value:expr) => {
        static $name: Lock<$type> = Lock::new($value);
    };
}

fn is_refused(lock: &Lock<()>) -> bool {
    lock.with(&Blocked::all(), |()| ()).is_none()
}

/// Begins a fork, as far as `lock` is concerned.
fn begin_fork(lock: &Lock<()>) {
    lock.with_and_leave(&Blocked::all(), |()| ()).unwrap();
}

/// Ends the fork that the caller began.
fn end_fork(lock: &Lock<()>) {
    // SAFETY: the caller began a fork.
    unsafe { lock.take_over(&Blocked::all(), |()| ()) };
}

#[test]
fn who_gives_up_on_a_fork_leaves_the_lock_to_it() {
    lock!(LOCK: () = ());
    begin_fork(&LOCK);
    for _ in 0..2 {
        assert!(is_refused(&LOCK));
        assert_eq!(LOCK.state.load(Ordering::Relaxed), GIVEN_UP);
    }
    end_fork(&LOCK);
    assert!(!is_refused(&LOCK));
}

#[test]
fn many_threads_count_without_losing_one() {
    lock!(COUNT: u64 = 0);
    let add = |more| {
        COUNT.with(&Blocked::all(), |count| {
            *count += more;
            *count
        })
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20_000).for_each(|_| assert!(add(1).is_some())));
        }
    });
    assert_eq!(add(0), Some(160_000));
}

#[test]
fn who_sleeps_already_when_a_fork_begins_gives_up_too() {
    lock!(LOCK: () = ());
    std::thread::scope(|scope| {
        let sleepers = LOCK
            .with_and_leave(&Blocked::all(), |()| {
                let sleepers = [(); 2].map(|()| scope.spawn(|| is_refused(&LOCK)));
                while LOCK.state.load(Ordering::Relaxed) != HELD_AND_AWAITED {
                    std::thread::yield_now();
                }
                sleepers
            })
            .unwrap();
        assert!(sleepers.map(|sleeper| sleeper.join().unwrap()).iter().all(|gave_up| *gave_up));
        end_fork(&LOCK);
    });
}

#[test]
fn a_fork_that_does_not_end_is_not_waited_for_for_ever() {
    lock!(LOCK: () = ());
    begin_fork(&LOCK);
    std::thread::scope(|scope| {
        assert!(scope.spawn(|| is_refused(&LOCK)).join().unwrap());
        end_fork(&LOCK);
        assert!(!scope.spawn(|| is_refused(&LOCK)).join().unwrap());
    });
}

#[test]
fn a_holder_is_on_the_stack_of_the_lock() {
    lock!(LOCK: () = ());
    let within = |at: usize| (at.wrapping_sub(LOCK.stack.0.get() as usize)) < STACK;
    let here = arch::stack_pointer;
    let text = String::from("what work takes, and returns");
    let given = LOCK.with(&Blocked::all(), move |()| (within(here()), text)).unwrap();
    assert_eq!(given, (true, String::from("what work takes, and returns")));
    assert!(!within(here()));
}
