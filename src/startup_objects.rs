//! The objects that were loaded at start-up: recorded then, searched later.
//!
//! Such an object is never unloaded. So it can be read without the loader's
//! lock, which a signal handler must not wait for. Recording does not read the
//! object: a process that never needs a name pays for none.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use crate::loaded::{Header, Name, Object, covers};

/// Up to `MOST` objects, in search order.
#[repr(C)] // keeps all that each process writes together, on one page
pub struct StartupObjects<const MOST: usize> {
    complete: AtomicBool,
    taken: AtomicUsize,
    slots: [Slot; MOST],
}

struct Slot {
    bias: AtomicUsize,
    count: AtomicUsize,
    /// Null until the other fields are written.
    headers: AtomicPtr<Header>,
}

impl Slot {
    const fn empty() -> Self {
        Slot {
            bias: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            headers: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Its bias and headers.
    fn get(&self) -> Option<(usize, &'static [Header])> {
        let headers = self.headers.load(Ordering::Acquire);
        if headers.is_null() {
            return None;
        }
        let count = self.count.load(Ordering::Relaxed);
        // SAFETY: `add` was given these headers, of an object that is never
        // unloaded.
        let headers = unsafe { core::slice::from_raw_parts(headers, count) };
        Some((self.bias.load(Ordering::Relaxed), headers))
    }

    fn object(&self) -> Option<Object<'static>> {
        let (bias, headers) = self.get()?;
        // SAFETY: as above.
        unsafe { Object::read(bias, headers) }
    }
}

impl<const MOST: usize> StartupObjects<MOST> {
    /// No objects yet.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "there is one, in a static")]
    pub const fn new() -> Self {
        StartupObjects {
            complete: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
            slots: [const { Slot::empty() }; MOST],
        }
    }

    /// Marks the list as complete: all objects loaded at start-up are recorded.
    pub fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Whether the list is complete. Async-signal-safe.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Records one more object; `false` if there is no room. Async-signal-safe.
    ///
    /// # Safety
    /// The object, as [`Object::read`] takes it, is never unloaded.
    pub unsafe fn add(&self, bias: usize, headers: &[Header]) -> bool {
        let next = |taken| (taken < MOST).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let Some(slot) = taken.ok().and_then(|taken| self.slots.get(taken)) else { return false };
        slot.bias.store(bias, Ordering::Relaxed);
        slot.count.store(headers.len(), Ordering::Relaxed);
        slot.headers.store(headers.as_ptr().cast_mut(), Ordering::Release);
        true
    }

    /// Drops all objects after the last one that defines `name`, if one does.
    /// Call this before the list is complete.
    pub fn end_behind(&self, name: Name<'_>) {
        let defines = |slot: &Slot| slot.object().is_some_and(|object| object.find(name).is_some());
        if let Some(last) = self.slots().iter().rposition(defines) {
            self.taken.store(last + 1, Ordering::Relaxed);
        }
    }

    /// The first definition of `name`, and the object that contains it.
    /// Async-signal-safe.
    #[inline]
    #[must_use]
    pub fn find(&self, name: Name<'_>) -> Option<(usize, Object<'static>)> {
        self.slots().iter().find_map(|slot| {
            let object = slot.object()?;
            Some((object.find(name)?, object))
        })
    }

    /// Whether `size` bytes from `start` on lie in one of them.
    /// Async-signal-safe.
    #[must_use]
    pub fn cover(&self, start: usize, size: usize) -> bool {
        let objects = self.slots().iter().filter_map(Slot::get);
        objects.into_iter().any(|(bias, headers)| covers(bias, headers, start, size))
    }

    fn slots(&self) -> &[Slot] {
        self.slots.get(..self.taken.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::{ABSENT, SIGACTION, loaded};

    #[test]
    fn what_is_recorded_is_found_in_order_and_up_to_the_bound() {
        // The objects stay loaded, and so do these copies of their headers.
        let objects = loaded().leak();
        let libc = |object: &Object<'_>| object.find(SIGACTION).is_some();
        // SAFETY: as above.
        let read = |at: usize| unsafe { Object::read(objects[at].0, &objects[at].1) };
        let at = (0..objects.len()).find(|&at| read(at).is_some_and(|object| libc(&object)));
        let at = at.expect("libc is loaded");

        let list = StartupObjects::<3>::new();
        assert!(list.find(SIGACTION).is_none());
        // SAFETY: as above.
        let add = |at: usize| unsafe { list.add(objects[at].0, &objects[at].1) };
        let other = (0..objects.len()).find(|&other| other != at).unwrap();
        assert!(add(other) && add(at) && add(other));
        assert!(!add(other), "there is no room");
        let (found, object) = list.find(SIGACTION).unwrap();
        assert_eq!(Some(found), read(at).unwrap().find(SIGACTION));
        assert!(libc(&object));

        let (bias, headers) = &objects[at];
        let data = headers.iter().rfind(|header| header.p_type == libc::PT_LOAD).unwrap();
        let (start, size) = (bias + data.p_vaddr as usize, data.p_memsz as usize);
        assert!(list.cover(start, size) && list.cover(start + 8, size - 8));
        assert!(!list.cover(start + 8, size) && !list.cover(start, usize::MAX));

        list.end_behind(ABSENT);
        assert_eq!(list.slots().len(), 3);
        list.end_behind(SIGACTION);
        assert_eq!(list.slots().len(), 2);
        assert!(add(other) && list.find(SIGACTION).is_some());
    }
}
