//! A relation of at most one row, with the interface of a [`Map`](super::Map) under the key `()`.

/// At most one row.
#[derive(Clone, Debug)]
pub struct One<S>(Option<S>);

impl<S> Default for One<S> {
    fn default() -> Self {
        One(None)
    }
}

impl<S> One<S> {
    /// The row.
    #[inline]
    pub fn get(&self, _: &()) -> Option<&S> {
        self.0.as_ref()
    }
    /// Whether there is a row.
    #[inline]
    pub fn contains(&self, _: &()) -> bool {
        self.0.is_some()
    }
    /// Puts a row in and returns the one before.
    #[inline]
    pub fn insert(&mut self, _: (), row: S) -> Option<S> {
        self.0.replace(row)
    }
    /// Puts a row in unless there is one, which is returned then.
    #[inline]
    pub fn try_insert(&mut self, _: (), row: S) -> Option<&S> {
        if self.0.is_some() {
            return self.0.as_ref();
        }
        self.0 = Some(row);
        None
    }
    /// Takes the row out.
    #[inline]
    pub fn remove(&mut self, _: &()) -> Option<S> {
        self.0.take()
    }
    /// The row, if there is one.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&(), &S)> {
        self.0.iter().map(|row| (&(), row))
    }
    /// 0 or 1.
    pub fn len(&self) -> usize {
        usize::from(self.0.is_some())
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
    /// Takes the row out.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}
