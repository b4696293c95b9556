//! The version of the protocol that two peers have agreed on. Every decoder is told it: what a frame means may change with it.

use crate::limits::VERSIONS;

/// A version that this build speaks. Of another there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u16);

impl Version {
    /// The lowest that this build speaks: by it all is read that is the same in every version.
    pub const LOWEST: Version = Version(VERSIONS.0);
    /// The highest that this build speaks.
    pub const HIGHEST: Version = Version(VERSIONS.1);

    /// The version with this number, if this build speaks it.
    pub fn of(number: u16) -> Option<Version> {
        (VERSIONS.0..=VERSIONS.1).contains(&number).then_some(Version(number))
    }

    /// The number by which it travels.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl Default for Version {
    fn default() -> Version {
        Version::HIGHEST
    }
}
