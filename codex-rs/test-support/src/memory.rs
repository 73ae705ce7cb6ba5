//! What an attacker who may read a process's memory finds of the key there.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::scan::{Leak, Scanner};

/// Copies of the key, or of a part of it, in the readable memory of a process, in plain or as
/// HTTP/2 codes it.
///
/// # Errors
/// When the memory may not be read: only root may, of a process that is not dumpable.
pub(crate) fn copies(pid: u32, scanner: &Scanner) -> io::Result<Vec<(String, Leak)>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut found = Vec::new();
    let mut looked_at = 0_u64;
    for region in maps.lines() {
        let Some((start, end, readable)) = parse(region) else {
            continue;
        };
        if !readable {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(end - start).expect("a region in memory")];
        // Secret memory and the kernel's own pages are mapped but cannot be read.
        let Ok(length) = read_as_much_as_possible(&memory, start, &mut bytes) else {
            continue;
        };
        looked_at += length as u64;
        let mut rest = &bytes[..length];
        while let Some(leak) = scanner.find(rest) {
            rest = &rest[leak.offset + leak.len..];
            found.push((region.to_owned(), leak));
        }
    }
    assert!(
        looked_at > 500_000,
        "only {looked_at} bytes of memory could be looked at"
    );
    Ok(found)
}

fn read_as_much_as_possible(mut memory: &File, start: u64, bytes: &mut [u8]) -> io::Result<usize> {
    memory.seek(SeekFrom::Start(start))?;
    let mut length = 0;
    while length < bytes.len() {
        match memory.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(_) if length > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// `start-end perms ...` of `/proc/PID/maps` (proc_pid_maps(5)).
fn parse(region: &str) -> Option<(u64, u64, bool)> {
    let (range, rest) = region.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?, rest.starts_with('r')))
}
