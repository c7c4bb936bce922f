//! The folder a set is put together in before it appears under its name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::part::write_synced;
use super::{DownloadError, Manifest};
use crate::data::catalog::Source;

/// What is to be kept. No download can have its name or that of the lock: those have no dot first.
const FILES: &str = ".files";
const LOCK: &str = ".lock";

/// `NAME.part`, locked against a second download of the same set. Downloads lie in it, what is
/// to be kept lies in a folder below it.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    /// Holds the lock until dropped; the system lets go of it if the program dies.
    lock: File,
}

impl Staging {
    pub fn open(data_dir: &Path, name: &str) -> Result<Self, DownloadError> {
        let folder = data_dir.join(format!("{name}.part"));
        let files = folder.join(FILES);
        std::fs::create_dir_all(&files).map_err(DownloadError::disk(&files))?;
        let path = folder.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(DownloadError::disk(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, lock }),
            Err(TryLockError::WouldBlock) => Err(DownloadError::Busy { name: name.to_owned() }),
            Err(TryLockError::Error(source)) => Err(DownloadError::disk(&path)(source)),
        }
    }

    /// Where the files to keep go.
    pub fn files(&self) -> PathBuf {
        self.folder.join(FILES)
    }

    /// Where the checked download of `source` lies: an archive stays outside the kept files.
    pub fn download(&self, source: &Source) -> PathBuf {
        if source.members.is_empty() {
            self.files().join(&source.save_as)
        } else {
            self.folder.join(&source.save_as)
        }
    }

    /// Where `source` lies while it is downloaded.
    pub fn arriving(&self, source: &Source) -> PathBuf {
        self.folder.join(&source.save_as)
    }

    /// Write the manifest and let the set appear as `target`, all at once.
    pub fn publish(self, manifest: &Manifest, target: &Path) -> Result<(), DownloadError> {
        let files = self.files();
        remove_others(&files, manifest).map_err(DownloadError::disk(&files))?;
        let path = files.join(Manifest::FILE);
        let text = toml::to_string(manifest).map_err(io::Error::other);
        text.and_then(|text| write_synced(&path, text.as_bytes()))
            .map_err(DownloadError::disk(&path))?;
        sync_folder(&files)?;
        if target.exists() {
            // What is there is damaged, or of an older catalogue: `is_downloaded` said no.
            std::fs::remove_dir_all(target).map_err(DownloadError::disk(target))?;
        }
        std::fs::rename(&files, target).map_err(DownloadError::disk(target))?;
        if let Some(parent) = target.parent() {
            sync_folder(parent)?;
        }
        let Self { folder, lock } = self;
        // An open file cannot be deleted everywhere.
        drop(lock);
        std::fs::remove_dir_all(&folder).map_err(DownloadError::disk(&folder))
    }
}

/// Delete what an earlier catalogue named and this one does not.
fn remove_others(files: &Path, manifest: &Manifest) -> io::Result<()> {
    for found in std::fs::read_dir(files)? {
        let found = found?;
        if !manifest.files.iter().any(|file| found.file_name() == *file.name) {
            std::fs::remove_file(found.path())?;
        }
    }
    Ok(())
}

/// Make the names in a folder survive a power cut.
fn sync_folder(folder: &Path) -> Result<(), DownloadError> {
    // Windows cannot open a folder as a file, and journals renames itself.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(DownloadError::disk(folder))?;
    }
    Ok(())
}
