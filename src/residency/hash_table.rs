//! A hash table in its own mapped memory, for use where nothing may allocate.

use core::marker::PhantomData;

use crate::os::{call, page};

/// An entry of a [`HashTable`]. A zeroed value is the empty slot.
///
/// # Safety
/// All-zero bytes must be a valid value, and its key must be 0.
pub unsafe trait Entry: Copy {
    /// The key; never 0 in an occupied slot.
    fn key(&self) -> usize;

    /// Called when the table has put its entries at `address`, in `capacity`
    /// slots.
    fn moved_to(_address: usize, _capacity: usize) {}

    /// Called when the memory at `address` is no longer a table.
    fn gone_from(_address: usize) {}
}

/// Uses open addressing with linear probing, over pages mapped from the kernel.
/// The table grows with its content, so a process that pins nothing pays
/// nothing, and one that calls mlockall(2) does not lock memory that we do not
/// use.
pub struct HashTable<E: Entry> {
    slots: *mut E,
    /// A power of two, or 0 before the first insertion.
    capacity: usize,
    used: usize,
    /// See [`HashTable::leave_behind`].
    left_behind: bool,
    entries: PhantomData<E>,
}

// SAFETY: the table owns the mapping, which is not bound to a thread.
unsafe impl<E: Entry + Send> Send for HashTable<E> {}

impl<E: Entry> HashTable<E> {
    /// An empty table that owns no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        HashTable {
            slots: core::ptr::null_mut(),
            capacity: 0,
            used: 0,
            left_behind: false,
            entries: PhantomData,
        }
    }

    /// How many entries the table holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.used
    }

    /// Whether the table is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many slots [`HashTable::at`] walks over.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    fn slots(&self) -> &[E] {
        if self.capacity == 0 {
            return &[];
        }
        // SAFETY: `capacity` initialised slots, owned by self and borrowed with
        // it.
        unsafe { core::slice::from_raw_parts(self.slots, self.capacity) }
    }

    fn slots_mut(&mut self) -> &mut [E] {
        if self.capacity == 0 {
            return &mut [];
        }
        // SAFETY: as above, exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.slots, self.capacity) }
    }

    /// Where the search for `key` starts (Fibonacci hashing).
    fn home(key: usize, capacity: usize) -> usize {
        let spread = (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> 32) as usize & capacity.wrapping_sub(1)
    }

    fn position(&self, key: usize) -> Option<usize> {
        let slots = self.slots();
        let mut at = Self::home(key, self.capacity);
        // The table is never full, so an empty slot ends the search.
        loop {
            match slots.get(at)?.key() {
                0 => return None,
                found if found == key => return Some(at),
                _ => at = at.wrapping_add(1) & self.capacity.wrapping_sub(1),
            }
        }
    }

    /// The entry with `key`.
    #[must_use]
    pub fn get(&self, key: usize) -> Option<&E> {
        let at = self.position(key)?;
        self.slots().get(at)
    }

    /// The entry with `key`, mutable. The caller must not change its key.
    #[must_use]
    pub fn get_mut(&mut self, key: usize) -> Option<&mut E> {
        let at = self.position(key)?;
        self.slots_mut().get_mut(at)
    }

    /// Adds `entry`, or replaces the one with its key. Returns false and
    /// changes nothing if the kernel gives no memory.
    #[must_use]
    pub fn insert(&mut self, entry: E) -> bool {
        if let Some(present) = self.get_mut(entry.key()) {
            *present = entry;
            return true;
        }
        // At most two thirds full.
        let room = self.used.wrapping_add(1).wrapping_mul(3) <= self.capacity.wrapping_mul(2);
        if !room && !self.grow() {
            return false;
        }
        self.place(entry);
        self.used = self.used.wrapping_add(1);
        true
    }

    /// Puts an entry that is not in the table into the first free slot.
    fn place(&mut self, entry: E) {
        let last = self.capacity.wrapping_sub(1);
        let mut at = Self::home(entry.key(), self.capacity);
        while let Some(slot) = self.slots_mut().get_mut(at) {
            if slot.key() == 0 {
                *slot = entry;
                return;
            }
            at = at.wrapping_add(1) & last;
        }
    }

    fn grow(&mut self) -> bool {
        let first = (page::size() / size_of::<E>()).max(1).next_power_of_two();
        let capacity = self.capacity.wrapping_mul(2).max(first);
        let Ok(slots) = call::map_memory(capacity.wrapping_mul(size_of::<E>())) else {
            return false;
        };
        let old = core::mem::replace(
            self,
            HashTable {
                slots: slots as *mut E,
                capacity,
                used: self.used,
                left_behind: false,
                entries: PhantomData,
            },
        );
        for entry in old.slots().iter().filter(|entry| entry.key() != 0) {
            self.place(*entry);
        }
        E::moved_to(self.slots as usize, capacity);
        true
    }

    /// Sets whether the child of a fork finds the table empty. That saves both
    /// sides the copies. Call this before the fork; the child must drop the
    /// table. Has no effect where the kernel cannot do it (Linux before 4.14).
    pub fn leave_behind(&mut self, leave: bool) {
        if self.capacity != 0 && self.left_behind != leave {
            let bytes = self.capacity.wrapping_mul(size_of::<E>());
            self.left_behind =
                call::wipe_on_fork(self.slots as usize, bytes, leave).is_ok() == leave;
        }
    }

    /// Removes the entry with `key`.
    pub fn remove(&mut self, key: usize) -> Option<E> {
        let mut hole = self.position(key)?;
        let last = self.capacity.wrapping_sub(1);
        let removed = *self.slots().get(hole)?;
        // Close the gap so that no search stops short: move up each follower
        // whose home is not between the hole and itself.
        let mut at = hole;
        loop {
            at = at.wrapping_add(1) & last;
            let Some(follower) = self.slots().get(at).copied().filter(|slot| slot.key() != 0)
            else {
                break;
            };
            let home = Self::home(follower.key(), self.capacity);
            if at.wrapping_sub(home) & last >= at.wrapping_sub(hole) & last {
                if let Some(slot) = self.slots_mut().get_mut(hole) {
                    *slot = follower;
                }
                hole = at;
            }
        }
        if let Some(slot) = self.slots_mut().get_mut(hole) {
            // SAFETY: the trait promises that zeroes are a valid value, the
            // empty one.
            *slot = unsafe { core::mem::zeroed() };
        }
        self.used = self.used.wrapping_sub(1);
        Some(removed)
    }

    /// The entry in slot `index`, modulo the capacity, if it is occupied. For
    /// walks that are spread over many calls.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&E> {
        self.slots().get(index & self.capacity.wrapping_sub(1)).filter(|slot| slot.key() != 0)
    }

    /// All entries, in any order.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.slots().iter().filter(|slot| slot.key() != 0)
    }

    /// All entries, mutable. The caller must not change their keys.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut E> {
        self.slots_mut().iter_mut().filter(|slot| slot.key() != 0)
    }
}

impl<E: Entry> Default for HashTable<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entry> Drop for HashTable<E> {
    fn drop(&mut self) {
        if self.capacity != 0 {
            E::gone_from(self.slots as usize);
            let bytes = self.capacity.wrapping_mul(size_of::<E>());
            // SAFETY: `grow` made the mapping, and nothing refers to it now.
            let _ = unsafe { call::unmap_memory(self.slots as usize, bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Pair(usize, u32);

    // SAFETY: zeroes are `Pair(0, 0)`.
    unsafe impl Entry for Pair {
        fn key(&self) -> usize {
            self.0
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((1..400_usize, any::<u32>(), any::<bool>()), 0..2000)) {
            let (mut table, mut model) = (HashTable::new(), HashMap::new());
            for (key, value, put) in steps {
                // Keys a large power of two apart collide in weak hashes.
                let key = key << (key % 40);
                if put {
                    prop_assert!(table.insert(Pair(key, value)));
                    model.insert(key, value);
                } else {
                    prop_assert_eq!(table.remove(key).map(|pair| pair.1), model.remove(&key));
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for (&key, &value) in &model {
                prop_assert_eq!(table.get(key), Some(&Pair(key, value)));
            }
            let all: HashMap<_, _> = table.iter().map(|pair| (pair.0, pair.1)).collect();
            prop_assert_eq!(all, model);
        }
    }
}
