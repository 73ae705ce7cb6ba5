//! Names of users, for whoever reads what they did.
//!
//! Read once, at the start: in the sandbox there is no user database any more. Of users that are not in the
//! file, such as those of a directory service, the number is shown.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// The local user database (passwd(5)).
const PASSWD: &str = "/etc/passwd";

/// How much of it is read, in bytes.
const MOST: u64 = 4 * 1024 * 1024;

/// Names by number; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserNames(Arc<HashMap<u32, Box<str>>>);

impl UserNames {
    /// Those of the local user database. None where it cannot be read: names are a convenience.
    pub(crate) fn of_this_host() -> Self {
        let mut text = String::new();
        let read = File::open(PASSWD).and_then(|file| file.take(MOST).read_to_string(&mut text));
        match read {
            Ok(_) => Self::parse(&text),
            Err(_) => Self::default(),
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut names = HashMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(_password), Some(uid)) =
                (fields.next(), fields.next(), fields.next())
                && let Ok(uid) = uid.parse()
                && !name.is_empty()
            {
                // As getpwuid(3): the first of several.
                names.entry(uid).or_insert_with(|| Box::from(name));
            }
        }
        Self(Arc::new(names))
    }

    /// The number of a user, by its name.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let mut found = self.0.iter().filter(|(_, known)| &***known == name);
        found.next().map(|(&uid, _)| uid)
    }

    pub(crate) fn name(&self, uid: u32) -> Option<&str> {
        self.0.get(&uid).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_user_has_its_name() {
        let names = UserNames::parse(
            "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nalice:x:1001:1001::/home/alice:\n\
             # a comment\n:x:5:\n+:::\nbob:x:-1:1:\nhalf:x\n",
        );
        assert_eq!(names.name(0), Some("root"));
        assert_eq!(names.name(1001), Some("alice"));
        assert_eq!(names.name(5), None);
        assert_eq!(names.0.len(), 2);
    }
}
