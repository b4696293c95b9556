//! Reading files that only their owner may read: passwords, private keys, the users file.
//!
//! Called while configuration is loaded. Refuses a secret that others could have read or put there, and says how to mend
//! it.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Largest secret, in bytes.
pub const LARGEST: u64 = 64 * 1024;

/// Why a secret is not read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The operating system says no.
    #[error("cannot read {}: {error}", path.display())]
    #[allow(missing_docs)]
    Read { path: PathBuf, error: io::Error },
    /// A symbolic link could be pointed elsewhere by whoever owns it.
    #[error("{} is a symbolic link; name the file itself", path.display())]
    #[allow(missing_docs)]
    Link { path: PathBuf },
    /// A folder, FIFO or device.
    #[error("{} is not a regular file", path.display())]
    #[allow(missing_docs)]
    NotFile { path: PathBuf },
    /// Belongs neither to root nor to the user that reads it.
    #[error("{0} belongs to uid {uid}, who could change it; run 'chown {ours} {0}'", path.display())]
    #[allow(missing_docs)]
    Owner { path: PathBuf, uid: u32, ours: u32 },
    /// Group or others have rights.
    #[error("{0} has mode {mode:04o}: others can read or change it; run 'chmod 600 {0}'", path.display())]
    #[allow(missing_docs)]
    Mode { path: PathBuf, mode: u32 },
    /// No bytes.
    #[error("{} is empty", path.display())]
    #[allow(missing_docs)]
    Empty { path: PathBuf },
    /// It has more than [`LARGEST`] bytes.
    #[error("{} is larger than 64 KiB: it is not a secret", path.display())]
    #[allow(missing_docs)]
    Large { path: PathBuf },
}

/// Reads a regular file of 1 to 65,536 bytes that belongs to root or to us and that nobody else has rights to. The bytes
/// are as they are, with a line end if there is one; the caller wipes them.
pub fn read_secret(path: &Path) -> Result<Vec<u8>, SecretError> {
    let failed = |error: io::Error| SecretError::Read { path: path.into(), error };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = file.map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP) if path.is_symlink() => SecretError::Link { path: path.into() },
        _ => failed(error),
    })?;
    let about = file.metadata().map_err(failed)?;
    let ours = rustix::process::geteuid().as_raw();
    if !about.is_file() {
        return Err(SecretError::NotFile { path: path.into() });
    }
    if about.uid() != 0 && about.uid() != ours {
        return Err(SecretError::Owner { path: path.into(), uid: about.uid(), ours });
    }
    if about.mode() & 0o077 != 0 {
        return Err(SecretError::Mode { path: path.into(), mode: about.mode() & 0o7777 });
    }
    // Room for all of it at once: a vector that grows would leave copies behind.
    let mut bytes = Vec::with_capacity(LARGEST as usize + 2);
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 {
        0 => Err(SecretError::Empty { path: path.into() }),
        length if length > LARGEST => Err(SecretError::Large { path: path.into() }),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_a_private_regular_file_is_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        assert!(matches!(read_secret(&path), Err(SecretError::Read { .. })));
        fs::write(&path, "secret\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = read_secret(&path).unwrap_err();
        assert!(error.to_string().ends_with(&format!("run 'chmod 600 {}'", path.display())), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_secret(&path).unwrap(), b"secret\n");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(read_secret(&link), Err(SecretError::Link { .. })));
        assert!(matches!(read_secret(dir.path()), Err(SecretError::NotFile { .. })));
        fs::write(&path, "").unwrap();
        assert!(matches!(read_secret(&path), Err(SecretError::Empty { .. })));
        fs::write(&path, vec![1; 65_536]).unwrap();
        assert_eq!(read_secret(&path).unwrap().len(), 65_536);
        fs::write(&path, vec![1; 65_537]).unwrap();
        assert!(matches!(read_secret(&path), Err(SecretError::Large { .. })));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(matches!(read_secret(&path), Err(SecretError::Owner { uid: 65_534, .. })));
        }
    }
}
