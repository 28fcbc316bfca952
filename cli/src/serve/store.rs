//! Where the files of a server come from and go to.

use std::io::{self, Read, Write};

use crate::root::{self, NameError, Root};

/// What there is under which names. All of it may block.
pub(crate) trait Store: Send + Sync {
    /// The file of this name.
    fn open(&self, name: &str) -> Result<Source, NameError>;

    /// A place for a file that will have this name once it is complete.
    fn create(&self, name: &str) -> Result<Box<dyn Upload>, NameError>;
}

/// A file to be read from its first byte on.
pub(crate) struct Source {
    pub(crate) contents: Box<dyn Read + Send>,
    pub(crate) bytes: u64,
}

/// A file on its way in. Dropped before it is kept, it leaves nothing.
pub(crate) trait Upload: Write + Send {
    /// Gives the file its name, in place of whatever had it.
    fn keep(self: Box<Self>) -> io::Result<()>;
}

impl Upload for root::Upload {
    fn keep(self: Box<Self>) -> io::Result<()> {
        root::Upload::keep(*self)
    }
}

/// The files below a directory.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) root: Root,
    pub(crate) access: Access,
}

/// What clients may do to a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    Writable,
}

impl Store for Directory {
    fn open(&self, name: &str) -> Result<Source, NameError> {
        let (file, bytes) = self.root.open(name)?;
        Ok(Source { contents: Box::new(file), bytes })
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload>, NameError> {
        match self.access {
            Access::ReadOnly => Err(NameError::ReadOnly),
            Access::Writable => Ok(Box::new(self.root.create(name)?)),
        }
    }
}
