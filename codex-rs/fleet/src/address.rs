//! Where the server is: `redis://HOST:PORT/DB`, `rediss://HOST:PORT/DB`, `redis+unix:/PATH`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// The port that Redis and Valkey listen on unless told otherwise.
const DEFAULT_PORT: u16 = 6379;

/// Where a server is, and as whom to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAddress {
    /// Where it listens.
    pub place: Place,
    /// The number of the database; a cluster has only 0.
    pub database: u32,
    /// The user of its access control list; `None`: its default user.
    pub user: Option<String>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a port.
    Tcp {
        /// A name or an address, an IPv6 one without brackets.
        host: String,
        /// Its port.
        port: u16,
        /// Whether it is spoken to by TLS.
        tls: bool,
    },
    /// On a Unix socket.
    Socket(PathBuf),
}

/// Why a text is not such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// It is not a URL, or has another scheme.
    Scheme,
    /// It has no host, or no path of a socket.
    NoHost,
    /// There is a password in it.
    Password,
    /// What follows the host is not the number of a database.
    Database,
    /// It has a query or a fragment.
    Rest,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "a ledger that hosts share is named redis://HOST:PORT/DB, rediss://HOST:PORT/DB or redis+unix:/PATH"
            }
            Self::NoHost => "it names no host and no socket: redis://HOST:PORT/DB or redis+unix:/PATH",
            Self::Password => {
                "there is a password in it, which every user of this host can read (ps); leave it out, change it, and \
                 name a file that has it with --ledger-password-file FILE"
            }
            Self::Database => "what follows the host is the number of a database, such as /0",
            Self::Rest => "it may have no query and no fragment (? and #)",
        })
    }
}

impl std::error::Error for AddressError {}

impl StoreAddress {
    /// Whether a text is meant to be one, and not a file.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        [
            "redis:",
            "rediss:",
            "redis+unix:",
            "valkey:",
            "valkeys:",
            "unix:",
        ]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    }
}

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::Scheme)?;
        if url.password().is_some() {
            return Err(AddressError::Password);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Rest);
        }
        if url.scheme() == "redis+unix" {
            let path = url.path();
            if !path.starts_with('/') || path.len() < 2 || url.host().is_some() {
                return Err(AddressError::NoHost);
            }
            return Ok(Self {
                place: Place::Socket(path.into()),
                database: 0,
                user: None,
            });
        }
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(AddressError::Scheme),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(AddressError::NoHost)?;
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| AddressError::Database)?,
        };
        let user = url.username();
        Ok(Self {
            place: Place::Tcp {
                host: host
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned(),
                port: url.port().unwrap_or(DEFAULT_PORT),
                tls,
            },
            database,
            user: (!user.is_empty()).then(|| user.to_owned()),
        })
    }
}

/// Without the user.
impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Socket(path) => write!(f, "redis+unix:{}", path.display()),
            Place::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}/{}", self.database)
                } else {
                    write!(f, "{scheme}://{host}:{port}/{}", self.database)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_says_where_the_server_is() {
        for (text, shown) in [
            ("redis://store", "redis://store:6379/0"),
            ("redis://store:7000/3", "redis://store:7000/3"),
            ("rediss://proxies@store/", "rediss://store:6379/0"),
            ("redis://[::1]:6380", "redis://[::1]:6380/0"),
            (
                "redis+unix:/run/redis/redis.sock",
                "redis+unix:/run/redis/redis.sock",
            ),
            ("redis+unix:///run/r.sock", "redis+unix:/run/r.sock"),
        ] {
            let address: StoreAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
        }
        let user = "rediss://proxies@store"
            .parse::<StoreAddress>()
            .unwrap()
            .user;
        assert_eq!(user.as_deref(), Some("proxies"));
    }

    #[test]
    fn what_is_wrong_is_named_and_a_password_is_not_repeated() {
        for (text, error) in [
            ("redis://:hunter2@store", AddressError::Password),
            ("redis://user:hunter2@store/0", AddressError::Password),
            ("valkey://store", AddressError::Scheme),
            ("unix:/run/redis.sock", AddressError::Scheme),
            ("redis://", AddressError::NoHost),
            ("redis+unix:relative", AddressError::NoHost),
            ("redis://store/zero", AddressError::Database),
            ("redis://store/?timeout=1", AddressError::Rest),
        ] {
            let found = text.parse::<StoreAddress>().unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("hunter2"));
        }
    }
}
