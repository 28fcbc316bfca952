//! Files that nobody has to have: noise on the way out, and nothing kept on the way in.

use std::io::{self, Read, Write};

use serde::Serialize;

use crate::noise::Noise;
use crate::root::NameError;
use crate::serve::{Source, Store, Upload};

/// A name, and how much there is of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct NoiseFile {
    pub(crate) name: &'static str,
    #[serde(rename = "size")]
    pub(crate) bytes: u64,
}

/// Serves the beginning of one and the same noise as several files. Uploads of any name are hashed and dropped.
#[derive(Debug, Clone)]
pub(crate) struct NoiseFiles(pub(crate) Vec<NoiseFile>);

impl Store for NoiseFiles {
    fn open(&self, name: &str) -> Result<Source, NameError> {
        let file = self.0.iter().find(|file| file.name == name);
        let bytes = file.ok_or_else(|| NameError::NotFound(name.to_owned()))?.bytes;
        Ok(Source { contents: Box::new(Noise::new(0).take(bytes)), bytes })
    }

    fn create(&self, _name: &str) -> Result<Box<dyn Upload>, NameError> {
        Ok(Box::new(Dropped))
    }
}

/// An upload that is over when it is complete.
struct Dropped;

impl Upload for Dropped {
    fn keep(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Dropped {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
