//! Which names a disk can hold, as far as that is known without trying.

use std::fmt;

use super::Capabilities;
use crate::limits;
use crate::name::Name;

/// Why a name cannot stand on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheld {
    /// It has more than so many bytes.
    Long(u16),
    /// It is none for the FAT family, which keeps some characters for itself.
    Foreign,
}

impl Capabilities {
    /// Whether every name can stand there beside every other one.
    pub fn holds_every_name(&self) -> bool {
        self.any_bytes && self.case && usize::from(self.name) >= limits::NAME
    }

    /// Why this name cannot stand there.
    ///
    /// LIMIT: a disk only says that it does not hold every name. Those that FAT does not hold are known, and which disk is of
    /// that family: it has no links. What another one does not hold its receiver refuses.
    pub fn unheld(&self, name: &Name) -> Option<Unheld> {
        let bytes = name.as_bytes();
        if bytes.len() > usize::from(self.name) {
            return Some(Unheld::Long(self.name));
        }
        let fat = !self.any_bytes && !self.case && !self.symlinks && !self.hardlinks;
        let foreign = |byte: &u8| *byte < b' ' || b"\"*:<>?|\\".contains(byte);
        (fat && (bytes.iter().any(foreign) || matches!(bytes.last(), Some(b'.' | b' ')))).then_some(Unheld::Foreign)
    }

    /// What names have in common that are one there; `None` where all are told apart.
    ///
    /// LIMIT: one letter in two spellings, composed and decomposed, counts as two.
    pub fn alike(&self, name: &Name) -> Option<Vec<u8>> {
        if self.case {
            return None;
        }
        // Letters that have no pair in one direction may have one in the other.
        Some(match std::str::from_utf8(name.as_bytes()) {
            Ok(text) => text.to_uppercase().to_lowercase().into_bytes(),
            Err(_) => name.as_bytes().to_ascii_lowercase(),
        })
    }
}

impl fmt::Display for Unheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unheld::Long(most) => write!(f, "the backup's disk holds names of at most {most} bytes"),
            Unheld::Foreign => f.write_str(
                "the backup's disk holds no name with one of \" * : < > ? | \\ or a control character, nor one that ends in \
                 a dot or a blank",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_disk_does_not_hold_is_known() {
        let full = Capabilities::full();
        let long = "n".repeat(255);
        let odd = ["a:b", "end.", "end ", "\u{1}", &long];
        assert!(full.holds_every_name() && odd.iter().all(|odd| full.unheld(&name(odd)).is_none()));
        let short = Capabilities { name: 143, ..full };
        assert_eq!(short.unheld(&name(&long)), Some(Unheld::Long(143)));
        assert_eq!((short.unheld(&name(&"n".repeat(143))), short.holds_every_name()), (None, false));
        let fat = Capabilities { any_bytes: false, case: false, symlinks: false, hardlinks: false, ..full };
        let unheld: Vec<_> = odd.iter().map(|odd| fat.unheld(&name(odd))).collect();
        assert_eq!(
            unheld,
            [Some(Unheld::Foreign), Some(Unheld::Foreign), Some(Unheld::Foreign), Some(Unheld::Foreign), None]
        );
        assert_eq!(fat.unheld(&name(".profile é")), None);
        // An ext4 whose folders do not tell case apart.
        let folding = Capabilities { any_bytes: false, case: false, ..full };
        assert!(!folding.holds_every_name() && odd.iter().all(|odd| folding.unheld(&name(odd)).is_none()));
    }

    #[test]
    fn names_are_alike_that_differ_in_case() {
        let full = Capabilities::full();
        let folding = Capabilities { case: false, ..full };
        assert_eq!(full.alike(&name("a")), None);
        for (one, other) in [("readme", "README"), ("Straße", "STRASSE"), ("ὈΔΟΣ", "ὀδος"), ("ÉTÉ", "été")]
        {
            assert_eq!(folding.alike(&name(one)), folding.alike(&name(other)), "{one}");
        }
        assert_ne!(folding.alike(&name("a")), folding.alike(&name("b")));
        let [upper, lower] = [b"A\xff", b"a\xff"].map(|bytes| folding.alike(&Name::parse(bytes).unwrap()));
        assert_eq!(upper, lower);
    }
}
