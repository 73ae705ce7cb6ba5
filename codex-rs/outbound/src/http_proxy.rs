//! The HTTP proxy that the environment names for a server, if any: which one the proxy goes through, by
//! rules of its own, and which one the chat client goes through, by those of reqwest.
//!
//! [`way_to`] reads a value by the rules of RFC 3986 and not by what a lenient parser makes of it: one that
//! takes `#` for the beginning of a fragment finds a host in the middle of a password. The chat client
//! keeps reqwest's rules: with the strict ones it would stop working wherever an odd entry of `NO_PROXY`
//! does no harm today, and lose `HTTP_PROXY`, which is for servers without a credential.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::environment::{
    ALL_PROXY, EnvironmentError, Fault, HTTPS_PROXY, NO_PROXY, Spellings, text,
};

/// Schemes that other programs take for a proxy.
const NOT_SPOKEN: [&str; 5] = ["socks", "socks4", "socks4a", "socks5", "socks5h"];

/// How the upstream is reached, as far as the environment says.
#[derive(Debug)]
pub enum Way {
    /// No variable names a proxy.
    Direct,
    /// The first variable names one, which the second exempts the upstream from.
    Exempt(&'static str, &'static str),
    /// The variable names one, which is for https alone.
    NotForCleartext(&'static str),
    /// Through it.
    Through(HttpProxy),
}

/// A CONNECT proxy, and the credentials for it.
pub struct HttpProxy {
    /// Scheme, host and port.
    pub url: Url,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<HeaderValue>,
    /// The variable that names it.
    pub named_by: &'static str,
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpProxy")
    }
}

impl fmt::Display for HttpProxy {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.url.origin().ascii_serialization();
        let named_by = self.named_by;
        let with = if self.authorization.is_some() {
            ", with a user"
        } else {
            ""
        };
        write!(f, "the proxy {origin} ({named_by}{with})")
    }
}

/// What the environment says of the way to `upstream`.
///
/// # Errors
///
/// [`EnvironmentError`]: a value that cannot be read in one way, whether or not it matters for this
/// upstream, or a proxy that does and cannot be used.
pub fn way_to(upstream: &Url) -> Result<Way, EnvironmentError> {
    let https = named_by(HTTPS_PROXY)?;
    let all = named_by(ALL_PROXY)?;
    let exempt = exempted_by(upstream)?;
    let Some((variable, proxy)) = https.or(all) else {
        return Ok(Way::Direct);
    };
    if upstream.scheme() != "https" {
        return Ok(Way::NotForCleartext(variable));
    }
    // An exemption counts before anything is said of the proxy.
    match (exempt, proxy) {
        (Some(exempted_by), _) => Ok(Way::Exempt(variable, exempted_by)),
        (None, Named::Usable(url, authorization)) => Ok(Way::Through(HttpProxy {
            url,
            authorization,
            named_by: variable,
        })),
        (None, Named::Unusable(fault)) => Err(EnvironmentError { variable, fault }),
    }
}

/// Host and port of the proxy that reqwest goes through to `server`, by the code and the variables that
/// it asks itself, those of plain `http` among them. Without the credentials.
#[must_use]
pub fn host_that_reqwest_finds(server: &Url) -> Option<String> {
    let target: Uri = server.as_str().parse().ok()?;
    let proxy = Matcher::from_system().intercept(&target)?;
    let authority = proxy.uri().authority()?.as_str();
    let host = authority.rsplit('@').next().unwrap_or_default();
    Some(host.to_owned())
}

/// A proxy whose URL can be read.
#[derive(PartialEq)]
enum Named {
    Usable(Url, Option<HeaderValue>),
    /// But which is not spoken to here.
    Unusable(Fault),
}

fn named_by(spellings: Spellings) -> Result<Option<(&'static str, Named)>, EnvironmentError> {
    in_one_voice(spellings, named)
}

/// What both spellings of a variable come to; it may be set in both if that is the same.
fn in_one_voice<T: PartialEq>(
    spellings: Spellings,
    read: impl Fn(&str) -> Result<T, Fault>,
) -> Result<Option<(&'static str, T)>, EnvironmentError> {
    let read = |variable| {
        let value = text(variable)?;
        let read = value.map(|value| read(&value)).transpose();
        read.map_err(|fault| EnvironmentError { variable, fault })
    };
    let [upper, lower] = spellings;
    match (read(upper)?, read(lower)?) {
        (Some(one), Some(other)) if one != other => Err(EnvironmentError {
            variable: upper,
            fault: Fault::Contradicts(lower),
        }),
        (Some(one), _) => Ok(Some((upper, one))),
        (None, other) => Ok(other.map(|other| (lower, other))),
    }
}

/// `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT][/]`.
fn named(value: &str) -> Result<Named, Fault> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        let known = NOT_SPOKEN.into_iter().find(|&known| known == scheme);
        return Ok(Named::Unusable(
            known.map_or(Fault::UnknownScheme, Fault::Scheme),
        ));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, host) = match rest.split_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, rest),
    };
    if let Some(user) = user {
        check_user(user)?;
    }
    let is_of_a_host =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
    if !host.chars().all(is_of_a_host) {
        return Err(Fault::Character);
    }
    let url = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| Fault::Host)?;
    if host.ends_with(':') || url.port() == Some(0) {
        return Err(Fault::Host);
    }
    let authorization = user
        .map(|user| basic(user).ok_or(Fault::Character))
        .transpose()?;
    Ok(Named::Usable(url, authorization))
}

/// What may stand before the `@` (RFC 3986, section 3.2.1).
fn check_user(user: &str) -> Result<(), Fault> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:%".contains(c);
    if user.is_empty() || !user.chars().all(is_allowed) {
        return Err(Fault::Character);
    }
    let mut decoded = Vec::new();
    let mut rest = user.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let code = digit().zip(digit()).map(|(high, low)| high * 16 + low);
            let code = code.and_then(|code| u8::try_from(code).ok());
            code.ok_or(Fault::Code)?
        } else {
            byte
        });
    }
    let decoded = zeroize::Zeroizing::new(decoded);
    match std::str::from_utf8(&decoded) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(()),
        _ => Err(Fault::Code),
    }
}

/// The value of `Proxy-Authorization` (RFC 7617), by the code that reqwest uses, too.
fn basic(user: &str) -> Option<HeaderValue> {
    let matcher = Matcher::builder()
        .https(format!("http://{user}@proxy.invalid/"))
        .build();
    let target = Uri::from_static("https://upstream.invalid/");
    matcher.intercept(&target)?.basic_auth().cloned()
}

/// Which variable exempts this upstream from a proxy, if one does.
fn exempted_by(upstream: &Url) -> Result<Option<&'static str>, EnvironmentError> {
    let found = in_one_voice(NO_PROXY, |list| is_exempt(list, upstream))?;
    Ok(found.and_then(|(variable, is_exempt)| is_exempt.then_some(variable)))
}

/// Whether a list, by commas or spaces, names the upstream.
fn is_exempt(list: &str, upstream: &Url) -> Result<bool, Fault> {
    let entries = list
        .split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|entry| !entry.is_empty());
    let mut exemptions = Vec::new();
    for (index, entry) in entries.enumerate() {
        let exemption = exemption(entry).ok_or(Fault::Exemption(index + 1))?;
        if exemption
            .port
            .is_none_or(|port| upstream.port_or_known_default() == Some(port))
        {
            exemptions.push(exemption.host);
        }
    }
    // Names and networks are matched by the code that reqwest uses, too; but for it `*` is not an address.
    if exemptions.iter().any(|host| host == "*") {
        return Ok(true);
    }
    let matcher = Matcher::builder()
        .https("http://proxy.invalid/")
        .no(exemptions.join(","))
        .build();
    let authority = upstream.host_str().unwrap_or_default();
    let target = Uri::builder()
        .scheme("https")
        .authority(authority)
        .path_and_query("/")
        .build();
    let target = target.map_err(|_| Fault::Host)?;
    Ok(matcher.intercept(&target).is_none())
}

/// An entry in the form in which it is matched.
struct Exemption {
    host: String,
    port: Option<u16>,
}

fn exemption(entry: &str) -> Option<Exemption> {
    let of = |host: &str, port| {
        Some(Exemption {
            host: host.to_owned(),
            port,
        })
    };
    let bare = entry.strip_prefix('[').and_then(|e| e.strip_suffix(']'));
    if entry == "*" || bare.unwrap_or(entry).parse::<IpAddr>().is_ok() || is_network(entry) {
        return of(bare.unwrap_or(entry), None);
    }
    if let Some((host, port)) = entry.rsplit_once(':') {
        let port = port.parse().ok()?;
        let inner = exemption(host).filter(|inner| inner.port.is_none())?;
        return of(&inner.host, Some(port));
    }
    let name = entry.strip_prefix('*').unwrap_or(entry);
    let name = if name.len() < entry.len() && !name.starts_with('.') {
        return None;
    } else {
        name
    };
    let letters = name.strip_prefix('.').unwrap_or(name);
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = !letters.is_empty() && letters.chars().all(is_of_a_name);
    // Digits and dots alone would be an address, and this is none.
    let is_number = letters.chars().all(|c| c.is_ascii_digit() || c == '.');
    (is_name && !is_number).then_some(())?;
    of(name, None)
}

/// `ADDRESS/BITS`.
fn is_network(entry: &str) -> bool {
    let Some((address, bits)) = entry.split_once('/') else {
        return false;
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

#[cfg(test)]
mod tests;
