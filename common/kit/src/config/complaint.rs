//! One complaint about a configuration file, and all of them together.

use std::fmt;
use std::path::PathBuf;

use proto::name::escape;

/// What is wrong, and where. Shows as ``FILE:LINE:COLUMN: key `x`: sentence``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The file as the operator named it.
    pub file: PathBuf,
    /// Line and column, both from 1, the column in characters; `None` where the whole file is meant.
    pub at: Option<(usize, usize)>,
    /// The key with its tables, `target.backup1.address`.
    pub key: Option<String>,
    /// What is wrong and what to do.
    pub sentence: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.file.as_os_str().as_encoded_bytes(), f)?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            f.write_str("key `")?;
            escape(key.as_bytes(), f)?;
            f.write_str("`: ")?;
        }
        f.write_str(&self.sentence)
    }
}

/// At least one complaint, in the order of the file. Shows one to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaints(pub Vec<Complaint>);

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, complaint) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            complaint.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Complaints {}
