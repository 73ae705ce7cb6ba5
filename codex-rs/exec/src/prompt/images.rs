//! Images, as the Responses API takes them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::prompt::error::PromptError;

/// The most that is read of an image, in bytes: a proxy lets 64 MiB pass in all, and base64 makes four
/// bytes of three.
pub(crate) const MAX_IMAGE: u64 = 20 << 20;

/// The images of a question, as the Responses API takes them. A name with commas in it that is none of a file
/// names several.
///
/// # Errors
///
/// The first that cannot be read, or is none.
pub(crate) fn images(paths: &[PathBuf]) -> Result<Vec<String>, PromptError> {
    paths
        .iter()
        .flat_map(|path| names(path))
        .map(|path| data_url(&path))
        .collect()
}

fn names(path: &Path) -> Vec<PathBuf> {
    match path.to_str() {
        Some(text) if text.contains(',') && !path.exists() => {
            text.split(',').map(PathBuf::from).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// An image as the Responses API takes it in a request.
fn data_url(path: &Path) -> Result<String, PromptError> {
    let fault = |cause| PromptError::Unread(path.to_owned(), cause);
    let mut bytes = Vec::new();
    let length = File::open(path)
        .and_then(|file| file.take(MAX_IMAGE + 1).read_to_end(&mut bytes))
        .map_err(fault)?;
    if length as u64 > MAX_IMAGE {
        return Err(PromptError::ImageTooLarge(path.to_owned()));
    }
    let kind = media_type(&bytes).ok_or_else(|| PromptError::NotAnImage(path.to_owned()))?;
    Ok(format!("data:{kind};base64,{}", STANDARD.encode(&bytes)))
}

/// By what the file begins with; a name may say anything.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.png");
        std::fs::write(&path, b"GIF89a...").unwrap();
        assert_eq!(
            data_url(&path).unwrap(),
            "data:image/gif;base64,R0lGODlhLi4u"
        );
        std::fs::write(&path, b"no image").unwrap();
        assert!(matches!(data_url(&path), Err(PromptError::NotAnImage(_))));
        let missing = directory.path().join("none");
        assert!(matches!(data_url(&missing), Err(PromptError::Unread(..))));
    }
}
