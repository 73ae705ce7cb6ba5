//! The server: one connection, made when it is needed.

use std::time::Duration;

use codex_ledger::{Answer, Report};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisResult, Value};
use tokio::task::JoinHandle;

use crate::dial::Dialer;
use crate::error::StoreError;
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
            let mut pipeline = redis::pipe();
            pipeline.ignore_errors();
            for arguments in &arguments {
                pipeline
                    .cmd("EVALSHA")
                    .arg(self.scripts.lease.get_hash())
                    .arg(arguments);
            }
            let found: Vec<RedisResult<Value>> = pipeline.query_async(&mut connection).await?;
            if found.len() != reports.len() {
                return Err(StoreError::Answer);
            }
            for (found, arguments) in found.into_iter().zip(&arguments) {
                let found = match found {
                    // It was restarted, or was told to forget its scripts.
                    Err(error) if error.code() == Some("NOSCRIPT") => {
                        let mut command = redis::cmd("EVAL");
                        command.arg(&self.scripts.lease_text).arg(arguments);
                        command.query_async(&mut connection).await
                    }
                    other => other,
                }?;
                answers.push(answer(found)?);
            }
        }
        Ok(answers)
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
        arguments
    }
}

/// The server's scripts count in floating point: above this, not every number has one. Nine million dollars.
const MOST: u64 = 1 << 53;

fn answer(value: Value) -> Result<(Option<Answer>, Duration), StoreError> {
    let numbers: [u64; 5] = redis::from_redis_value::<Vec<u64>>(value)
        .ok()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or(StoreError::Answer)?;
    let [micros, left, spent, others, is_taken] = numbers;
    let answer = Answer {
        left,
        spent,
        others,
    };
    let is_taken = is_taken == 1;
    Ok((is_taken.then_some(answer), Duration::from_micros(micros)))
}
