//! The server: one connection, made when it is needed.

use std::time::Duration;

use codex_ledger::{Answer, Report};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisResult, Value};
use tokio::task::JoinHandle;

use crate::dial::Dialer;
use crate::error::StoreError;
use crate::health::{self, Concern};
use crate::keys;
use crate::password::Password;
use crate::script::Scripts;

/// How long the server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// So many reports are sent at once.
const AT_ONCE: usize = 128;

/// Records of hosts are kept for so much longer than a window lasts.
const KEPT_LONGER: Duration = Duration::from_secs(3600);

/// Who reports, and on which terms.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Tells it from all others, and from itself before it was started again.
    pub(crate) id: String,
    pub(crate) ttl: Duration,
    /// What is not reported of a lease that ends with its host is charged.
    pub(crate) is_strict: bool,
}

/// A server that hosts share.
pub struct Store {
    dialer: Dialer,
    password: Option<Password>,
    prefix: String,
    pub(crate) scripts: Scripts,
    connection: Option<Connection>,
}

struct Connection {
    commands: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// A server whose keys begin with `prefix`; nothing is connected yet.
    #[must_use]
    pub fn new(dialer: Dialer, password: Option<Password>, prefix: &str) -> Self {
        Self {
            dialer,
            password,
            prefix: prefix.to_owned(),
            scripts: Scripts::new(),
            connection: None,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.dialer.address().to_string()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The connection; after an error, [`Store::disconnect`] has the next call make another.
    pub(crate) async fn connected(&mut self) -> Result<MultiplexedConnection, StoreError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.commands.clone());
        }
        let stream = self.dialer.dial().await.map_err(StoreError::Connect)?;
        let address = self.dialer.address();
        let mut info = RedisConnectionInfo::default()
            .set_db(address.database.into())
            .set_skip_set_lib_name();
        if let Some(user) = &address.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password.as_str());
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
        let made = MultiplexedConnection::new_with_config(&info, stream, config);
        let made = codex_deadline::within(ANSWER_TIMEOUT, made).await;
        let (commands, driver) = made.ok_or(StoreError::Timeout)??;
        let connection = Connection {
            commands: commands.clone(),
            driver: tokio::spawn(driver),
        };
        self.connection = Some(connection);
        Ok(commands)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// What was sent and not answered may still be carried out, and counts once all the same.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Sends reports, numbered from `number` on. For each of them what is answered, `None` to one that came too late, and
    /// what the server's clock showed then, since the Unix epoch.
    pub(crate) async fn report(
        &mut self,
        host: &Host,
        reports: &[Report],
        number: u64,
    ) -> Result<Vec<(Option<Answer>, Duration)>, StoreError> {
        let mut answers = Vec::with_capacity(reports.len());
        let mut number = number;
        for reports in reports.chunks(AT_ONCE) {
            let mut connection = self.connected().await?;
            let arguments: Vec<_> = (number..)
                .zip(reports)
                .map(|(number, report)| self.arguments(host, report, number))
                .collect();
            number = number.saturating_add(u64::try_from(reports.len()).unwrap_or(0));
            let mut found = self.call(&mut connection, &arguments, false).await?;
            // It was restarted, or was told to forget its scripts: none of these was carried out.
            let is_unknown = |found: &RedisResult<Value>| matches!(found, Err(error) if error.code() == Some("NOSCRIPT"));
            if found.iter().all(is_unknown) {
                found = self.call(&mut connection, &arguments, true).await?;
            }
            for found in found {
                answers.push(answer(found?)?);
            }
        }
        Ok(answers)
    }

    /// Has the script called with each of these, in one round trip. With `text`, the first call brings it along.
    async fn call(
        &self,
        connection: &mut MultiplexedConnection,
        calls: &[Vec<String>],
        text: bool,
    ) -> Result<Vec<RedisResult<Value>>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for (place, arguments) in calls.iter().enumerate() {
            let command = if text && place == 0 {
                pipeline.cmd("EVAL").arg(&self.scripts.lease_text)
            } else {
                pipeline.cmd("EVALSHA").arg(self.scripts.lease.get_hash())
            };
            command.arg(arguments);
        }
        let found: Vec<RedisResult<Value>> = pipeline.query_async(connection).await?;
        if found.len() == calls.len() {
            Ok(found)
        } else {
            Err(StoreError::Answer)
        }
    }

    /// What is wrong with the server as it says itself; nothing if it may not be asked.
    pub(crate) async fn concerns(&mut self) -> Result<Vec<Concern>, StoreError> {
        let mut connection = self.connected().await?;
        let info: RedisResult<String> = redis::cmd("INFO").query_async(&mut connection).await;
        match info {
            Ok(info) => Ok(health::concerns(&info)),
            Err(error) if error.code() == Some("NOPERM") => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the script is called with, after its name.
    fn arguments(&self, host: &Host, report: &Report, number: u64) -> Vec<String> {
        let window = report.limit.window;
        let names = keys::of(&self.prefix, &report.account, &report.limit);
        let mut arguments = vec![keys::PARTS.len().to_string()];
        arguments.extend(names.into_iter().flatten());
        let flag = |is_set: bool| u64::from(is_set);
        let keep = keys::length(window).saturating_add(KEPT_LONGER);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        arguments.push(format!("{}:{}", host.id, report.number));
        arguments.extend(
            [
                number,
                report.spent,
                report.before_window,
                report.held,
                report.need,
                flag(report.is_in_use),
                report.limit.most,
                millis(host.ttl),
            ]
            .map(|number| number.min(MOST).to_string()),
        );
        arguments.push(keys::window_name(window).unwrap_or_default());
        arguments.push(millis(keep).to_string());
        arguments.push(flag(host.is_strict).to_string());
        arguments.push(report.ahead.min(MOST).to_string());
        arguments.push(report.keeps.min(MOST).to_string());
        arguments
    }
}

/// No clock shows the year 9000, in microseconds since the Unix epoch: what comes of one can still be written as a date.
const LAST_MOMENT: u64 = 221_845_392_000_000_000;

/// The server's scripts count in floating point: above this, not every number has one. Nine million dollars.
const MOST: u64 = 1 << 53;

/// So many numbers that are not below zero. Read as signed ones: the client's conversion makes -1 the largest number.
pub(crate) fn numbers<const N: usize>(value: Value) -> Result<[u64; N], StoreError> {
    let numbers: Vec<i64> = redis::from_redis_value(value).map_err(|_| StoreError::Answer)?;
    let numbers: Result<Vec<u64>, _> = numbers.into_iter().map(u64::try_from).collect();
    let numbers = numbers.map_err(|_| StoreError::Answer)?;
    numbers.try_into().map_err(|_| StoreError::Answer)
}

fn answer(value: Value) -> Result<(Option<Answer>, Duration), StoreError> {
    let [micros, left, spent, others, is_taken, enough] = numbers(value)?;
    if micros > LAST_MOMENT {
        return Err(StoreError::Answer);
    }
    let answer = Answer {
        left,
        spent,
        others,
        enough,
    };
    let is_taken = is_taken == 1;
    Ok((is_taken.then_some(answer), Duration::from_micros(micros)))
}
