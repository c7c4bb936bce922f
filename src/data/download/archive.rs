//! Unpacks the wanted members of a zip, trusting nothing it says.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{DownloadError, Recorded};
use crate::data::catalog::{Member, Source};
use crate::jobs::Context;

/// Unpack the members that `source` names from `archive` into `folder`.
///
/// Member names only select: files on disk are named by the catalogue. An archive in which any
/// name leads outside is refused as a whole, and deleted, as is one that is broken.
pub(super) fn unpack<E>(
    archive: &Path,
    source: &Source,
    folder: &Path,
    context: &Context<E>,
) -> Result<Vec<Recorded>, DownloadError> {
    let unpacked = unpack_members(archive, source, folder, context);
    if let Err(
        DownloadError::Archive { .. }
        | DownloadError::UnsafeMember { .. }
        | DownloadError::MemberTooLarge { .. },
    ) = unpacked
    {
        // Kept, it would fail again without being downloaded again.
        std::fs::remove_file(archive).map_err(DownloadError::disk(archive))?;
    }
    unpacked
}

fn unpack_members<E>(
    archive: &Path,
    source: &Source,
    folder: &Path,
    context: &Context<E>,
) -> Result<Vec<Recorded>, DownloadError> {
    let broken = |error: ZipError| zip_error(archive, error);
    let file = File::open(archive).map_err(DownloadError::disk(archive))?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    for name in zip.file_names() {
        let name = name.map_err(broken)?;
        if !stays_inside(&name) {
            let (path, member) = (archive.to_owned(), name.into_owned());
            return Err(DownloadError::UnsafeMember { path, member });
        }
    }
    let mut unpacked = Vec::with_capacity(source.members.len());
    for member in &source.members {
        context.progress(None, format!("Unpacking {}", member.save_as));
        let mut packed = zip.by_name(&member.path).map_err(|error| match error {
            ZipError::FileNotFound => DownloadError::Archive {
                path: archive.to_owned(),
                reason: format!("it has no member `{}`", member.path),
            },
            other => zip_error(archive, other),
        })?;
        let target = folder.join(&member.save_as);
        copy(&mut packed, &target, archive, member, context)?;
        unpacked.push(Recorded::of(&target, &member.save_as, context)?);
    }
    Ok(unpacked)
}

/// Copy a member to `target`, giving up as soon as it grows past its limit: the size in the
/// header is only a claim. The CRC is checked at its end.
fn copy<E>(
    packed: &mut impl Read,
    target: &Path,
    archive: &Path,
    member: &Member,
    context: &Context<E>,
) -> Result<(), DownloadError> {
    let mut file = File::create(target).map_err(DownloadError::disk(target))?;
    let mut buffer = vec![0; 1 << 18];
    let mut written = 0;
    loop {
        context.checkpoint()?;
        let read = match packed.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(zip_error(archive, ZipError::Io(error))),
        };
        written += read as u64;
        if written > member.max_bytes {
            return Err(DownloadError::MemberTooLarge {
                path: archive.to_owned(),
                member: member.path.clone(),
                limit: member.max_bytes,
            });
        }
        file.write_all(&buffer[..read]).map_err(DownloadError::disk(target))?;
    }
    file.sync_all().map_err(DownloadError::disk(target))
}

fn zip_error(archive: &Path, error: ZipError) -> DownloadError {
    DownloadError::Archive { path: archive.to_owned(), reason: error.to_string() }
}

/// Whether a member's name stays below the folder it would be unpacked in, on every system.
fn stays_inside(name: &str) -> bool {
    let forward = PathBuf::from(name.replace('\\', "/"));
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    // A drive letter is a plain name to Unix.
    forward.components().all(inside) && !name.contains([':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_outside_are_seen() {
        for name in ["../evil", "a/../../evil", "/etc/passwd", "..\\evil", "c:\\evil", "a\0b"] {
            assert!(!stays_inside(name), "{name:?}");
        }
        for name in ["ml-1m/ratings.dat", "./a", "a..b", "ml-1m/"] {
            assert!(stays_inside(name), "{name:?}");
        }
    }
}
