//! Who is told of what goes up of a request's body: its record, its dump, and whoever is charged for it.

use std::sync::Arc;

use bytes::Bytes;
use http_body::SizeHint;

use crate::access::reservation::Reservation;
use crate::dumps::Dump;
use crate::inspect::request::RequestModel;
use crate::observe::record::Record;

/// Who is told.
pub(super) struct RequestNotes {
    /// As the caller declared it.
    declared: SizeHint,
    /// Of the request, where somebody keeps one.
    record: Option<Arc<Record>>,
    /// Looks for the model that is asked for, while somebody wants to know.
    model: Option<Box<RequestModel>>,
    /// Where it is dumped, until it is over.
    dump: Option<Dump>,
    /// What it may spend, until the last of it has gone.
    reservation: Option<Arc<Reservation>>,
    /// How much of it has gone, in bytes.
    sent: u64,
}

impl RequestNotes {
    /// Nobody, of a body of this size.
    pub(super) fn of(declared: SizeHint) -> Self {
        Self {
            declared,
            record: None,
            model: None,
            dump: None,
            reservation: None,
            sent: 0,
        }
    }

    pub(super) fn record(&mut self, record: &Arc<Record>) {
        let keeps_records = record.observer().keeps_records();
        self.model = keeps_records.then(|| Box::new(RequestModel::new()));
        self.record = Some(Arc::clone(record));
    }

    pub(super) fn dump(&mut self, dump: Option<Dump>) {
        self.dump = dump;
        self.finish_dump_if_whole();
    }

    pub(super) fn charge(&mut self, reservation: Option<Arc<Reservation>>) {
        self.reservation = reservation;
    }

    /// These bytes are on their way.
    pub(super) fn note(&mut self, data: &Bytes, is_last: bool) {
        if let Some(dump) = &mut self.dump {
            dump.take(data);
            self.sent += u64::try_from(data.len()).unwrap_or(u64::MAX);
            self.finish_dump_if_whole();
        }
        if is_last && let Some(reservation) = self.reservation.take() {
            reservation.note_sent();
        }
        let Some(record) = &self.record else {
            return;
        };
        record.count_request_bytes(data.len());
        if let Some(model) = &mut self.model {
            model.push(data);
            if let Some(found) = model.model() {
                record.note_request_model(found);
                self.model = None;
            }
        }
    }

    /// All of it is on its way.
    pub(super) fn end(&mut self) {
        if let Some(dump) = self.dump.take() {
            dump.finish();
        }
    }

    /// Nobody asks for the end of a body that is as long as it was declared.
    fn finish_dump_if_whole(&mut self) {
        if self.declared.exact() == Some(self.sent) {
            self.end();
        }
    }
}
