//! Keyset pagination: how much a page holds and where it continues.

use super::{AnomalyId, Invalid, Timestamp};

/// How many entries a page holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// The most entries any page holds.
    pub const MAX: Self = Self(1_000);
    /// A single entry.
    pub const ONE: Self = Self(1);
    /// The default number of alerts on a page.
    pub const DEFAULT: Self = Self(50);

    /// Reads a page size: 0 or none is `default`, more than the most is read as the most.
    ///
    /// # Errors
    /// When it is negative.
    pub fn parse(raw: Option<i64>, default: Self) -> Result<Self, Invalid> {
        match raw.unwrap_or(0) {
            0 => Ok(default),
            size if size < 0 => Err(Invalid::new(format!("must not be negative, is {size}"))),
            size => Ok(u16::try_from(size).map_or(Self::MAX, |size| Self(size.min(Self::MAX.0)))),
        }
    }

    /// The size as a number.
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// How many rows a store reads to know whether there is a next page: one more.
    pub const fn with_next(self) -> i64 {
        self.0 as i64 + 1
    }
}

/// The position in a list of alerts to continue at: after the alert made at `created_at` with id `anomaly_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When the last alert of the page before was made.
    pub created_at: Timestamp,
    /// The last alert of the page before.
    pub anomaly_id: AnomalyId,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The entries, in order.
    pub items: Vec<T>,
    /// True where more entries follow.
    pub has_more: bool,
    /// How many entries the whole list has, when that was asked for.
    pub total: Option<i64>,
}

/// Values that take room in an answer.
pub trait EstimatedSize {
    /// About how many bytes it takes, rather too many than too few.
    fn estimated_size(&self) -> usize;
}

/// Takes the entries of a page one by one, and says when it holds enough.
#[derive(Debug)]
pub struct PageBuilder<T> {
    size: PageSize,
    estimated_size: usize,
    items: Vec<T>,
    has_more: bool,
}

/// The most bytes that the entries of one page weigh: within the 4 MiB that gRPC clients take unless told otherwise.
pub const MAX_PAGE_WEIGHT: usize = 3 * 1024 * 1024;

impl<T: EstimatedSize> PageBuilder<T> {
    /// An empty page of at most `size` entries.
    pub const fn new(size: PageSize) -> Self {
        Self { size, estimated_size: 0, items: Vec::new(), has_more: false }
    }

    /// Takes the next entry, or learns from it that more follow than the page holds. At least one is taken.
    pub fn push(&mut self, item: T) {
        self.estimated_size += item.estimated_size();
        if self.items.len() == self.size.get()
            || (self.estimated_size > MAX_PAGE_WEIGHT && !self.items.is_empty())
        {
            self.has_more = true;
        } else {
            self.items.push(item);
        }
    }

    /// Ends the page here, although more follows; false when it holds nothing yet.
    pub const fn end_early(&mut self) -> bool {
        self.has_more = !self.items.is_empty();
        self.has_more
    }

    /// Returns true where the page takes no more.
    pub const fn is_full(&self) -> bool {
        self.has_more
    }

    /// The page.
    pub fn finish(self) -> Page<T> {
        Page { items: self.items, has_more: self.has_more, total: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_defaulted_coerced_and_refused() {
        let parse = |raw| PageSize::parse(raw, PageSize::DEFAULT);
        assert_eq!(parse(None).unwrap().get(), 50);
        assert_eq!(parse(Some(0)).unwrap().get(), 50);
        assert_eq!(parse(Some(1)).unwrap().get(), 1);
        assert_eq!(parse(Some(1_001)).unwrap().get(), 1_000);
        assert_eq!(parse(Some(i64::MAX)).unwrap().get(), 1_000);
        assert_eq!(parse(Some(-1)).unwrap_err().to_string(), "must not be negative, is -1");
    }
}
