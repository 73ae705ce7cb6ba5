//! Where there are no control sockets, nothing is watched; the attempt says so.

use crate::error::ControlError;
use crate::place::Place;

pub(crate) fn top(place: &Place) -> Result<(), ControlError> {
    place.socket().and(Err(ControlError::Unsupported))
}
